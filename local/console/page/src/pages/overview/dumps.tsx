import type { DumpAge } from "../../console-api";
import { href } from "../../route";
import { ago, number } from "../../text";
import { Card, Table } from "../../ui/layout";
import { text } from "../overview.text";

export function Dumps({ dumps }: { dumps: DumpAge[] }) {
  return (
    <Card
      title={text("dumps")}
      actions={
        <a class="button" href={href("dumps")}>
          {text("allDumps")}
        </a>
      }
    >
      <p class="muted">{text("dumpsHelp")}</p>
      <Table
        caption={text("dumps")}
        rows={dumps}
        rowKey={({ table }) => table}
        empty={text("noDumps")}
        columns={[
          { title: text("table"), cell: ({ table }) => table },
          { title: text("lastGood"), cell: ({ lastGoodAt }) => (lastGoodAt ? ago(lastGoodAt) : text("never")) },
          {
            title: text("items"),
            numeric: true,
            cell: ({ items }) => (items === undefined ? "–" : number(items)),
          },
          { title: text("verified"), cell: ({ verifiedAt }) => (verifiedAt ? ago(verifiedAt) : "–") },
          { title: text("scheduled"), cell: ({ scheduled }) => (scheduled ? text("yes") : text("no")) },
        ]}
      />
    </Card>
  );
}
