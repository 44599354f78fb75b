import type { JobStage } from "../../console-api";
import { duration, number } from "../../text";
import { Table } from "../../ui/layout";
import { Progress } from "../../ui/progress";
import { text } from "../jobs.text";
import { stageShare } from "./parts";

export function Stages({ stages }: { stages: JobStage[] }) {
  return (
    <Table
      caption={text("stages")}
      rows={stages}
      rowKey={({ number }) => number}
      empty={text("noStages")}
      columns={[
        { title: text("stage"), cell: ({ name }) => name },
        {
          title: text("progress"),
          cell: (stage) => (
            <Progress label={text("progressOfStage", { stage: stage.name })} share={stageShare(stage)} />
          ),
        },
        {
          title: text("batches"),
          numeric: true,
          cell: ({ done, failed, batches }) =>
            `${number(done)} / ${number(batches)}${failed > 0 ? ` (${text("failedBatches", { count: failed })})` : ""}`,
        },
        { title: text("processed"), numeric: true, cell: ({ progress }) => number(progress.processed) },
        { title: text("readUnits"), numeric: true, cell: ({ progress }) => number(progress.readUnits, 1) },
        { title: text("writeUnits"), numeric: true, cell: ({ progress }) => number(progress.writeUnits, 1) },
        { title: text("width"), numeric: true, cell: ({ width }) => number(width) },
        {
          title: text("took"),
          numeric: true,
          cell: ({ startedAt, endedAt }) =>
            duration((endedAt ? Date.parse(endedAt) : Date.now()) - Date.parse(startedAt)),
        },
      ]}
    />
  );
}
