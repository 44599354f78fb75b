// Who holds which lock, since when and for how long.

import { useState } from "preact/hooks";
import { call, get, useLoad } from "../../api";
import { useSession } from "../../app";
import type { Lock } from "../../console-api";
import { ago, dateTime, number } from "../../text";
import { Confirm } from "../../ui/confirm";
import { Card, type Column, Table } from "../../ui/layout";
import { Await } from "../../ui/notice";
import { text } from "../dumps.text";

const EVERY_MS = 5_000;

export function LocksCard() {
  const { writable } = useSession();
  const locks = useLoad("locks", (signal) => get<{ items: Lock[] }>("/console/api/locks", signal), EVERY_MS);
  const [broken, setBroken] = useState<Lock>();
  const columns: Column<Lock>[] = [
    { title: text("lock"), cell: ({ name }) => <code>{name}</code> },
    {
      title: text("state"),
      cell: ({ expired }) => (
        <span class={expired ? "tag warning" : "tag accent"}>{text(expired ? "expired" : "held")}</span>
      ),
    },
    { title: text("holder"), cell: ({ holder }) => holder },
    { title: text("since"), cell: ({ since }) => <Time at={since} /> },
    { title: text("until"), cell: ({ until }) => <Time at={until} /> },
    { title: text("fence"), numeric: true, cell: ({ fence }) => number(fence) },
    { title: text("note"), cell: ({ note }) => note },
  ];
  if (writable) {
    columns.push({
      title: text("actions"),
      cell: (lock) =>
        lock.expired && (
          <button class="small" aria-label={text("breakOne", { name: lock.name })} onClick={() => setBroken(lock)}>
            {text("break")}
          </button>
        ),
    });
  }
  return (
    <Card title={text("locks")}>
      <Await of={locks}>
        {({ items }) => (
          <Table
            caption={text("locks")}
            rows={items}
            rowKey={({ name }) => name}
            empty={text("noLocks")}
            columns={columns}
          />
        )}
      </Await>
      <p class="hint">{text("aboutLocks")}</p>
      {broken && (
        <Confirm
          title={text("breakTitle", { name: broken.name })}
          action={text("break")}
          danger
          onConfirm={async () => {
            await call("DELETE", "/console/api/locks", { body: { name: broken.name, fence: broken.fence } });
            locks.reload();
          }}
          onClose={() => setBroken(undefined)}
        >
          <p>{text("breakHelp", { holder: broken.holder })}</p>
        </Confirm>
      )}
    </Card>
  );
}

const Time = ({ at }: { at: string }) => (
  <time dateTime={at} title={dateTime(at)}>
    {ago(at)}
  </time>
);
