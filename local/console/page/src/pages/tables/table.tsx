// One table: its schema, a form that says which items, and the items.

import { useState } from "preact/hooks";
import { useSession } from "../../app";
import type { TableDescription } from "../../console-api";
import { href, navigate } from "../../route";
import { bytes, number } from "../../text";
import { Card, Figure, Figures, Table } from "../../ui/layout";
import { text } from "../tables.text";
import { ItemsResult } from "./items";
import { type Search, SearchForm, askOf, queryOf, searchOf } from "./search";

export function OneTable({ table, query }: { table: TableDescription; query: URLSearchParams }) {
  const session = useSession();
  // The same question may be asked again: each time is a new result.
  const [asked, setAsked] = useState(0);
  const search = searchOf(query);
  const ask = askOf(search, table);
  const operations = table.name === session.tables.operations;
  const show = (next: Search) => {
    navigate(href("tables", [table.name], queryOf(next)));
    setAsked((n) => n + 1);
  };
  return (
    <>
      <Schema table={table} />
      <Card title={text("find")}>
        <SearchForm key={query.toString()} table={table} search={search} onSearch={show} />
      </Card>
      {ask && (
        <ItemsResult
          key={`${asked} ${query}`}
          table={table}
          ask={ask}
          writable={table.editable}
          note={operations ? text("operationsHelp") : session.writable ? undefined : text("readOnlyHelp")}
        />
      )}
    </>
  );
}

function Schema({ table }: { table: TableDescription }) {
  const [hash, range] = table.key;
  return (
    <Card title={text("schema")}>
      <Figures>
        {hash && <Figure name={text("partitionKey")} value={<code>{hash.name}</code>} hint={hash.type} />}
        {range && <Figure name={text("sortKey")} value={<code>{range.name}</code>} hint={range.type} />}
        <Figure name={text("items")} value={number(table.itemCount)} />
        <Figure name={text("size")} value={bytes(table.bytes)} />
      </Figures>
      <dl class="table-facts">
        <Fact name={text("status")} value={table.status} />
        <Fact name={text("billing")} value={table.billing} />
        <Fact name={text("stream")} value={table.stream ?? text("off")} />
        <Fact name={text("ttl")} value={table.ttl ?? text("off")} />
        {table.pointInTimeRecovery !== undefined && (
          <Fact name={text("recovery")} value={text(table.pointInTimeRecovery ? "on" : "off")} />
        )}
      </dl>
      {table.indexes.length > 0 && (
        <Table
          caption={text("indexes")}
          rows={table.indexes}
          rowKey={({ name }) => name}
          columns={[
            { title: text("index"), cell: ({ name }) => <code>{name}</code> },
            { title: text("kind"), cell: ({ kind }) => text(kind) },
            { title: text("key"), cell: ({ key }) => key.map((part) => `${part.name} (${part.type})`).join(", ") },
            { title: text("projection"), cell: ({ projection }) => projection },
          ]}
        />
      )}
    </Card>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
