// The import itself, its outcome, and the training that makes recommendations of it.

import type { ImportReport, WriteCounts } from "../../console-api";
import { href } from "../../route";
import { number } from "../../text";
import { Card, Figure, Figures } from "../../ui/layout";
import { Failure, Notice } from "../../ui/notice";
import { text } from "../import.text";
import { JobProgress } from "./job-progress";
import { type Attempt, type ImportState, presentParameters, run as importNow, train } from "./store";

export function RunCard({ state, report }: { state: ImportState; report: ImportReport }) {
  const { check, run, training, options } = state;
  const stale = check?.parameters !== presentParameters(state);
  const sum = (of: "purchases" | "products") => report.files.reduce((total, file) => total + file.summary[of], 0);
  const taken = report.files.reduce((total, { summary }) => total + summary.taken, 0);
  const purchases = options.kind === "purchases";
  return (
    <Card title={text("importNow")}>
      {taken === 0 ? (
        <p>{text("nothingToImport")}</p>
      ) : (
        !run && (
          <>
            <div class="actions">
              <button class="primary" disabled={stale} onClick={() => void importNow()}>
                {purchases
                  ? text("importPurchases", { count: sum("purchases") })
                  : text("importProducts", { count: sum("products") })}
              </button>
              {stale && <span class="hint">{text("checkedBefore")}</span>}
            </div>
            <p class="hint">{text("runHint")}</p>
          </>
        )
      )}
      {run && <Outcome attempt={run} title={text("runs")} retry={importNow} />}
      {run?.report?.written && <Written written={run.report.written} />}
      {run?.report && (
        <>
          <p>{text("trainNext")}</p>
          {!training && (
            <div class="actions">
              <button class="primary" onClick={() => void train()}>
                {text("train")}
              </button>
            </div>
          )}
        </>
      )}
      {training && <Outcome attempt={training} title={text("trainingRuns")} retry={train} />}
      {training?.job?.state === "succeeded" && (
        <Notice kind="success" title={text("trained")}>
          <a href={href("models")}>{text("seeModels")}</a>
        </Notice>
      )}
    </Card>
  );
}

function Outcome({ attempt, title, retry }: { attempt: Attempt; title: string; retry: () => Promise<void> }) {
  const { job, jobId, problem } = attempt;
  if (problem) return <Failure problem={problem} retry={() => void retry()} />;
  if (job?.endedAt === undefined) return <JobProgress attempt={attempt} title={title} />;
  if (job.state === "cancelled") return <p>{text("cancelled")}</p>;
  if (job.state !== "failed") return null;
  return (
    <Notice kind="error" title={text("failed")}>
      <p lang="en">{job.failure}</p>
      {jobId && <a href={href("jobs", [jobId])}>{text("jobLink", { id: jobId })}</a>}
    </Notice>
  );
}

function Written({ written }: { written: WriteCounts }) {
  const names = [
    "newPurchases",
    "changedPurchases",
    "knownPurchases",
    "differingPurchases",
    "erasedPurchases",
    "newProducts",
    "changedProducts",
    "knownProducts",
  ] as const;
  return (
    <Notice kind={written.differingPurchases > 0 ? "warning" : "success"} title={text("imported")}>
      <Figures>
        {names
          .filter((name) => written[name] > 0)
          .map((name) => (
            <Figure key={name} name={text(name)} value={number(written[name])} />
          ))}
      </Figures>
    </Notice>
  );
}
