// What every list of jobs shows of one.

import type { Job, JobStage } from "../../console-api";
import { duration, number, percent } from "../../text";
import { Progress } from "../../ui/progress";
import { text } from "../jobs.text";

const TAGS = { waiting: "", running: "accent", succeeded: "success", failed: "error", cancelled: "warning" } as const;

export function JobState({ job }: { job: Job }) {
  return job.cancelling && !hasEnded(job) ? (
    <span class="tag warning">{text("cancelling")}</span>
  ) : (
    <StateTag state={job.state} />
  );
}

export function StateTag({ state }: { state: Job["state"] }) {
  return <span class={`tag ${TAGS[state]}`}>{text(state)}</span>;
}

export function hasEnded({ state }: Job): boolean {
  return state === "succeeded" || state === "failed" || state === "cancelled";
}

/** The share of a stage that is done: by items where their number is known, else by batches; of one batch it is unknown. */
export function stageShare({ of, progress, batches, done, failed, endedAt }: JobStage): number | undefined {
  if (endedAt) return 1;
  if (of) return Math.min(1, progress.processed / of);
  return batches > 1 ? (done + failed) / batches : undefined;
}

/** The stage under way with how far it is. */
export function JobProgress({ job }: { job: Job }) {
  const stage = job.stages.at(-1);
  if (hasEnded(job) || !stage) return null;
  const share = stageShare(stage);
  const figures = [
    stage.name,
    stage.of
      ? text("ofItems", { processed: stage.progress.processed, of: stage.of })
      : text("ofBatches", { done: stage.done + stage.failed, batches: stage.batches }),
    share === undefined ? undefined : percent(share),
    left(stage, share),
  ];
  return (
    <div class="progress">
      <Progress label={text("progressOf", { kind: job.kind, stage: stage.name })} share={share} />
      <span class="muted">{figures.filter((figure) => figure !== undefined).join(" · ")}</span>
    </div>
  );
}

/** Rate and time left, as the stage went so far. */
function left(stage: JobStage, share: number | undefined): string | undefined {
  const seconds = (Date.now() - Date.parse(stage.startedAt)) / 1000;
  if (!share || share >= 1 || seconds < 2 || stage.progress.processed === 0) return undefined;
  const rate = stage.progress.processed / seconds;
  return text("rateAndLeft", { rate: number(rate), left: duration((seconds / share) * (1 - share) * 1000) });
}

export function jobDuration({ startedAt, endedAt }: Job): string {
  if (!startedAt) return "–";
  return duration((endedAt ? Date.parse(endedAt) : Date.now()) - Date.parse(startedAt));
}

/** What a job works on, in one line. */
export function jobSubject(job: Job): string {
  const given = job.parameters as Record<string, unknown>;
  const name = (value: unknown): string | undefined => {
    if (typeof value === "string") return value;
    if (Array.isArray(value)) return value.map(name).filter(Boolean).join(", ");
    if (value && typeof value === "object") {
      const { table, location } = value as Record<string, unknown>;
      return name(table) ?? name(location);
    }
    return undefined;
  };
  return [given.table ?? given.source ?? given.sources ?? given.from, given.to]
    .map(name)
    .filter((part) => part)
    .join(" → ");
}
