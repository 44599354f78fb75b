// Dumps, archives and exports, the newest first.

import { get, useLoad } from "../../api";
import type { Dump, Dumps } from "../../console-api";
import { href, navigate } from "../../route";
import { ago, bytes, dateTime, number } from "../../text";
import { Card, Field, Table } from "../../ui/layout";
import { Await, Notice } from "../../ui/notice";
import "../../ui/parts.css";
import { text } from "../dumps.text";

const EVERY_MS = 30_000;

export function DumpsCard({ table }: { table: string | undefined }) {
  const dumps = useLoad("dumps", (signal) => get<Dumps>("/console/api/dumps", signal), EVERY_MS);
  return (
    <Card title={text("dumpsCard")}>
      <Await of={dumps}>
        {({ items, problems }) => {
          const tables = [...new Set(items.map((dump) => dump.table))].sort();
          const shown = items.filter((dump) => table === undefined || dump.table === table);
          return (
            <>
              {problems.map(({ location, problem }) => (
                <Notice key={location} kind="warning" title={text("unreadable", { location })}>
                  <p>{problem}</p>
                </Notice>
              ))}
              {(tables.length > 1 || table !== undefined) && <TableChoice tables={tables} table={table} />}
              <DumpList dumps={shown} empty={text(table === undefined ? "noDumps" : "noDumpsOf")} />
            </>
          );
        }}
      </Await>
      <p class="hint">{text("aboutVerify")}</p>
    </Card>
  );
}

function TableChoice({ tables, table }: { tables: string[]; table: string | undefined }) {
  return (
    <div class="filters">
      <Field label={text("table")}>
        {({ id }) => (
          <select
            id={id}
            value={table ?? ""}
            onChange={(event) => navigate(href("dumps", [], { table: event.currentTarget.value || undefined }))}
          >
            <option value="">{text("everyTable")}</option>
            {tables.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        )}
      </Field>
    </div>
  );
}

function DumpList({ dumps, empty }: { dumps: Dump[]; empty: string }) {
  return (
    <Table
      caption={text("dumpsCard")}
      rows={dumps}
      rowKey={({ location, table }) => `${location} ${table}`}
      empty={empty}
      columns={[
        {
          title: text("table"),
          cell: (dump) => (
            <>
              {dump.table} <span class="tag">{text(dump.kind)}</span>
            </>
          ),
        },
        {
          title: text("readAt"),
          cell: ({ readAt }) =>
            readAt !== null && (
              <time dateTime={readAt} title={dateTime(readAt)}>
                {ago(readAt)}
              </time>
            ),
        },
        { title: text("state"), cell: (dump) => <State dump={dump} /> },
        { title: text("verified"), cell: (dump) => <Verified dump={dump} /> },
        { title: text("items"), numeric: true, cell: ({ items }) => number(items) },
        { title: text("size"), numeric: true, cell: (dump) => bytes(dump.bytes) },
        { title: text("actions"), cell: (dump) => <Actions dump={dump} /> },
        { title: text("format"), cell: ({ format }) => format },
        { title: text("location"), cell: ({ location }) => <code class="location">{location}</code> },
      ]}
    />
  );
}

function State({ dump: { complete, filtered } }: { dump: Dump }) {
  return (
    <>
      <span class={complete ? "tag success" : "tag error"}>{text(complete ? "complete" : "incomplete")}</span>
      {filtered && <span class="tag">{text("filtered")}</span>}
    </>
  );
}

function Verified({ dump: { verifiedAt, verifiedOk } }: { dump: Dump }) {
  if (verifiedAt === undefined) return <span class="muted">{text("never")}</span>;
  return (
    <span class={verifiedOk ? "tag success" : "tag error"} title={dateTime(verifiedAt)}>
      {text(verifiedOk ? "equal" : "differs", { ago: ago(verifiedAt) })}
    </span>
  );
}

/** Links to the form of the job: what it reads and costs is said there before it starts. */
function Actions({ dump }: { dump: Dump }) {
  const { location, table, readAt } = dump;
  const restored = restoreParameters(dump);
  // Jobs that are submitted over HTTP use no files of the machine.
  if (!location.startsWith("s3://")) return <span class="muted">{text("onMachine")}</span>;
  const values = { table, at: readAt === null ? "" : dateTime(readAt) };
  const job = (kind: string, parameters: unknown) =>
    href("jobs", [], { submit: kind, parameters: JSON.stringify(parameters) });
  return (
    <span class="links">
      <a href={job("verify", { dump: location })} aria-label={text("verifyOne", values)}>
        {text("verify")}
      </a>
      {restored && (
        <a href={job("restore", restored)} aria-label={text("restoreOne", values)}>
          {text("restore")}
        </a>
      )}
    </span>
  );
}

/** A copy is restored beside its table; archived items go back to where they were. */
function restoreParameters({ kind, location, table }: Dump): Record<string, unknown> | undefined {
  const beside = { from: location, table: `${table}-restored`, create: true };
  switch (kind) {
    case "dump":
    case "export":
      return beside;
    case "schema":
      return { ...beside, schemaOnly: true };
    case "archive":
      return { from: location, table, onConflict: "skip" };
    case "incrementalExport":
      // Of use only with the full export that it follows.
      return undefined;
  }
}
