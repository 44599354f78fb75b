import type { Training } from "../../console-api";
import { href } from "../../route";
import { ago, duration } from "../../text";
import { Card, Table } from "../../ui/layout";
import { StateTag } from "../jobs/parts";
import { text } from "../models.text";
import { measured, measureText } from "./measures";

export function Trainings({ trainings }: { trainings: Training[] }) {
  return (
    <Card title={text("trainings")} wide>
      <Table
        caption={text("trainings")}
        rows={trainings}
        rowKey={({ jobId, version }, index) => jobId ?? version ?? index}
        empty={text("noTrainings")}
        columns={[
          {
            title: text("training"),
            cell: ({ jobId, startedAt, endedAt }) => {
              const at = endedAt ?? startedAt;
              const name = at ? ago(at) : (jobId ?? "–");
              return jobId ? <a href={href("jobs", [jobId])}>{name}</a> : name;
            },
          },
          { title: text("state"), cell: ({ state }) => (state ? <StateTag state={state} /> : "–") },
          { title: text("version"), numeric: true, cell: ({ version }) => version ?? "–" },
          {
            title: text("ndcg", { length: 10 }),
            numeric: true,
            cell: ({ metrics }) => measureText("ndcg", measured(metrics, "model", "ndcg", 10)),
          },
          {
            title: text("recall", { length: 10 }),
            numeric: true,
            cell: ({ metrics }) => measureText("recall", measured(metrics, "model", "recall", 10)),
          },
          {
            title: text("coverage"),
            numeric: true,
            cell: ({ metrics }) => measureText("coverage", measured(metrics, "model", "coverage", 10)),
          },
          {
            title: text("order"),
            cell: ({ metrics }) => (metrics ? text(metrics.ranker?.used ? "learnedOrder" : "handFormula") : "–"),
          },
          {
            title: text("took"),
            numeric: true,
            cell: ({ startedAt, endedAt }) =>
              startedAt && endedAt ? duration(Date.parse(endedAt) - Date.parse(startedAt)) : "–",
          },
          { title: text("reason"), cell: ({ reason }) => <span class="reason">{reason ?? ""}</span> },
        ]}
      />
    </Card>
  );
}
