// Who works on what of a job that runs. Read when it is asked for: a job may have ten thousand batches.

import { useState } from "preact/hooks";
import { get, useLoad } from "../../api";
import type { JobBatch, JobStage } from "../../console-api";
import { duration, number } from "../../text";
import { Card, Field, Table } from "../../ui/layout";
import { Await } from "../../ui/notice";
import { text } from "../jobs.text";

const STATES = ["waiting", "running", "done", "failed"] as const;

export function Batches({ jobId, stages }: { jobId: string; stages: JobStage[] }) {
  const [open, setOpen] = useState(false);
  const [stage, setStage] = useState("");
  const [state, setState] = useState("");
  return (
    <Card title={text("batches")} wide>
      {!open ? (
        <div>
          <button onClick={() => setOpen(true)}>{text("showBatches")}</button>
        </div>
      ) : (
        <>
          <div class="filters">
            <Field label={text("stage")}>
              {({ id }) => (
                <select id={id} value={stage} onChange={(event) => setStage(event.currentTarget.value)}>
                  <option value="">{text("currentStage")}</option>
                  {stages.map(({ number, name }) => (
                    <option key={number} value={number}>
                      {name}
                    </option>
                  ))}
                </select>
              )}
            </Field>
            <Field label={text("state")}>
              {({ id }) => (
                <select id={id} value={state} onChange={(event) => setState(event.currentTarget.value)}>
                  <option value="">{text("anyState")}</option>
                  {STATES.map((state) => (
                    <option key={state} value={state}>
                      {text(`batch.${state}`)}
                    </option>
                  ))}
                </select>
              )}
            </Field>
          </div>
          <Pages key={`${stage} ${state}`} {...{ jobId, stage, state }} />
        </>
      )}
    </Card>
  );
}

function Pages({ jobId, stage, state }: { jobId: string; stage: string; state: string }) {
  const [cursors, setCursors] = useState<string[]>([]);
  const cursor = cursors.at(-1) ?? "";
  const given = Object.entries({ stage, state, cursor }).filter(([, value]) => value !== "");
  const page = useLoad(`${jobId} ${stage} ${state} ${cursor}`, (signal) =>
    get<{ items: JobBatch[]; cursor?: string }>(
      `/console/api/jobs/${encodeURIComponent(jobId)}/batches?${new URLSearchParams(given)}`,
      signal,
    ),
  );
  return (
    <Await of={page}>
      {({ items, cursor: next }) => (
        <>
          <Table
            caption={text("batches")}
            rows={items}
            rowKey={({ stage, batch }) => `${stage}/${batch}`}
            empty={text("noBatches")}
            columns={[
              { title: text("batch"), cell: ({ batch }) => number(batch) },
              { title: text("state"), cell: ({ state }) => batchState(state) },
              { title: text("attempts"), numeric: true, cell: ({ attempts }) => number(attempts) },
              { title: text("holder"), cell: ({ holder }) => holder ?? "–" },
              { title: text("processed"), numeric: true, cell: ({ counts }) => number(counts?.processed ?? 0) },
              { title: text("took"), numeric: true, cell: took },
              { title: text("reason"), cell: ({ error }) => error ?? "" },
            ]}
          />
          <div class="actions">
            <button onClick={page.reload}>{text("reload")}</button>
            {cursors.length > 0 && <button onClick={() => setCursors(cursors.slice(0, -1))}>{text("back")}</button>}
            {next && <button onClick={() => setCursors([...cursors, next])}>{text("more")}</button>}
          </div>
        </>
      )}
    </Await>
  );
}

function batchState(state: string): string {
  const known = STATES.find((one) => one === state);
  return known ? text(`batch.${known}`) : state;
}

/** Of a batch that has ended it is known only if its end is. */
function took({ state, startedAt, endedAt }: JobBatch): string {
  if (!startedAt || (state !== "running" && !endedAt)) return "–";
  return duration((endedAt ? Date.parse(endedAt) : Date.now()) - Date.parse(startedAt));
}
