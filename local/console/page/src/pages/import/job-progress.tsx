// How far a job of this import has come.

import { href } from "../../route";
import { bytes, number } from "../../text";
import { Progress } from "../../ui/progress";
import { text } from "../import.text";
import type { Attempt } from "./store";

export function JobProgress({ attempt, title }: { attempt: Attempt; title: string }) {
  const { job, jobId } = attempt;
  const stage = job?.stages.at(-1);
  const ended = stage ? stage.done + stage.failed : 0;
  const read = stage?.progress.bytes;
  return (
    <div role="status" class="running">
      <p>
        <strong>{title}</strong> {jobId && <a href={href("jobs", [jobId])}>{text("jobLink", { id: jobId })}</a>}
      </p>
      <Progress label={text("stageProgress")} share={stage && ended / Math.max(stage.batches, 1)} />
      <p class="muted">
        {stage ? text("progress", { stage: stage.name, done: ended, of: stage.batches }) : text("waiting")}
        {stage && stage.progress.processed > 0 && ` · ${text("records")}: ${number(stage.progress.processed)}`}
        {read !== undefined && read > 0 && ` · ${bytes(read)}`}
      </p>
    </div>
  );
}
