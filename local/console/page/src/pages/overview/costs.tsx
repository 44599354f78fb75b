import type { Cost } from "../../console-api";
import { bytes, dateTime, number, usd } from "../../text";
import { Card, Figure, Figures, Table } from "../../ui/layout";
import { costNote, text } from "../overview.text";

export function Costs({ cost }: { cost: Cost }) {
  return (
    <Card title={text("cost")} wide>
      <p class="muted">{costNote(cost.note) ?? cost.note}</p>
      <Figures>
        <Figure
          name={text("perDay")}
          value={cost.usdPerDay === undefined ? "–" : usd(cost.usdPerDay)}
          hint={cost.usdPerDay === undefined ? text("afterAnHour") : undefined}
        />
        <Figure
          name={text("readUnits")}
          value={number(cost.readUnits)}
          hint={text("since", { since: dateTime(cost.since) })}
        />
        <Figure
          name={text("writeUnits")}
          value={number(cost.writeUnits)}
          hint={text("since", { since: dateTime(cost.since) })}
        />
      </Figures>
      <details>
        <summary>{text("byTable")}</summary>
        <Table
          caption={text("byTable")}
          rows={cost.parts}
          rowKey={({ table }) => table}
          empty={text("noUnits")}
          columns={[
            { title: text("table"), cell: ({ table }) => table },
            { title: text("readUnits"), numeric: true, cell: ({ readUnits }) => number(readUnits) },
            { title: text("writeUnits"), numeric: true, cell: ({ writeUnits }) => number(writeUnits) },
            {
              title: text("stored"),
              numeric: true,
              cell: ({ storedBytes }) => (storedBytes === undefined ? "–" : bytes(storedBytes)),
            },
            { title: text("usd"), numeric: true, cell: (part) => usd(part.usd) },
          ]}
        />
      </details>
    </Card>
  );
}
