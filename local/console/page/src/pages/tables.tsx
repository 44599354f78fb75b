// The tables of the stack, and others that this console may read: what they are made of and what is in them.

import { get, useLoad } from "../api";
import type { TableDescription } from "../console-api";
import type { PageProps } from "../pages";
import { href } from "../route";
import { bytes, number } from "../text";
import { PageTitle, Table } from "../ui/layout";
import { Await, Notice } from "../ui/notice";
import { text } from "./tables.text";
import { OneTable } from "./tables/table";
import "./tables/tables.css";

export function TablesPage({ route }: PageProps) {
  const tables = useLoad("tables", (signal) => get<{ items: TableDescription[] }>("/console/api/tables", signal));
  const [name] = route.path;
  return (
    <>
      <PageTitle actions={name !== undefined && <a href={href("tables")}>{text("allTables")}</a>}>
        {name ?? text("tables")}
      </PageTitle>
      <Await of={tables}>
        {({ items }) => {
          if (name === undefined) return <TableList tables={items} />;
          const table = items.find((one) => one.name === name);
          if (table) return <OneTable key={name} table={table} query={route.query} />;
          return (
            <Notice kind="warning" title={text("unknownTable")}>
              <p>{text("unknownTableHelp", { name })}</p>
            </Notice>
          );
        }}
      </Await>
    </>
  );
}

function TableList({ tables }: { tables: TableDescription[] }) {
  return (
    <>
      <div class="card">
        <Table
          caption={text("tables")}
          rows={tables}
          rowKey={({ name }) => name}
          empty={text("noTables")}
          columns={[
            {
              title: text("table"),
              cell: ({ name, ofStack }) => (
                <>
                  <a href={href("tables", [name])}>{name}</a>
                  {ofStack && <span class="tag">{text("ofStack")}</span>}
                </>
              ),
            },
            {
              title: text("key"),
              cell: ({ key }) => key.map((part) => `${part.name} (${part.type})`).join(", "),
            },
            { title: text("items"), numeric: true, cell: ({ itemCount }) => number(itemCount) },
            { title: text("size"), numeric: true, cell: (table) => bytes(table.bytes) },
            { title: text("indexes"), numeric: true, cell: ({ indexes }) => number(indexes.length) },
            { title: text("status"), cell: ({ status }) => status },
          ]}
        />
      </div>
      <p class="hint">{text("aboutCounts")}</p>
    </>
  );
}
