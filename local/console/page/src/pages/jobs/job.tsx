// One job: how far it is, what failed and why, its log, its result.

import { useEffect, useState } from "preact/hooks";
import { call, get, Problem, useLoad } from "../../api";
import type { Job, JobView } from "../../console-api";
import { useMayWrite } from "../../app";
import { href } from "../../route";
import { dateTime, number } from "../../text";
import { Confirm } from "../../ui/confirm";
import { Json } from "../../ui/json";
import { Card, Figure, Figures, Grid, PageTitle, Table } from "../../ui/layout";
import { Await, Notice } from "../../ui/notice";
import { text } from "../jobs.text";
import { Batches } from "./batches";
import { Refused } from "./refused";
import { hasEnded, jobDuration, JobProgress, JobState, jobSubject } from "./parts";
import { Stages } from "./stages";

const EVERY_MS = 2_000;

export function JobPage({ jobId }: { jobId: string }) {
  const mayWrite = useMayWrite();
  const [ended, setEnded] = useState(false);
  const path = `/jobs/${encodeURIComponent(jobId)}`;
  const job = useLoad(jobId, (signal) => get<JobView>(path, signal), ended ? undefined : EVERY_MS);
  const [cancelling, setCancelling] = useState(false);
  useEffect(() => setEnded(job.value !== undefined && hasEnded(job.value)), [job.value]);

  async function cancel() {
    try {
      await call("DELETE", path);
    } catch (error) {
      // It has ended in the meantime, which is what the page then shows.
      if (!(error instanceof Problem && error.code === "job_ended")) throw error;
    }
    job.reload();
  }

  return (
    <>
      <PageTitle
        actions={
          job.value && (
            <>
              <a class="button" href={href("jobs")}>
                {text("allJobs")}
              </a>
              <a class="button" href={againAddress(job.value)}>
                {text("again")}
              </a>
              {mayWrite && !hasEnded(job.value) && !job.value.cancelling && (
                <button class="danger" onClick={() => setCancelling(true)}>
                  {text("cancel")}
                </button>
              )}
            </>
          )
        }
      >
        {job.value ? `${job.value.kind} ${jobSubject(job.value)}` : text("job")}
      </PageTitle>
      <Await of={job}>{(value) => <Details job={value} />}</Await>
      {cancelling && (
        <Confirm
          title={text("cancelTitle")}
          action={text("cancel")}
          danger
          onConfirm={cancel}
          onClose={() => setCancelling(false)}
        >
          <p>{text("cancelHelp")}</p>
        </Confirm>
      )}
    </>
  );
}

/** Constants that may be of persons are hidden in a job that has ended: `…` would be submitted as it is. */
function againAddress(job: Job): string {
  return href("jobs", [], { submit: job.kind, parameters: JSON.stringify(job.parameters) });
}

function Details({ job }: { job: JobView }) {
  return (
    <>
      {job.failure && (
        <Notice kind="error" title={text("failure")}>
          <p>{job.failure}</p>
          <p>{text("failureHelp")}</p>
        </Notice>
      )}
      <Grid halves>
        <Card title={text("progress")} wide>
          <p>
            <JobState job={job} /> {job.waitsUntil && text("waits", { until: dateTime(job.waitsUntil) })}
          </p>
          <JobProgress job={job} />
          <Figures>
            <Figure name={text("processed")} value={number(job.total.processed)} />
            <Figure name={text("matched")} value={number(job.total.matched)} />
            <Figure name={text("changed")} value={number(job.total.changed)} />
            <Figure name={text("refused")} value={number(job.total.refused)} />
            <Figure name={text("readUnits")} value={number(job.total.readUnits, 1)} />
            <Figure name={text("writeUnits")} value={number(job.total.writeUnits, 1)} />
            <Figure name={text("took")} value={jobDuration(job)} hint={dateTime(job.startedAt ?? job.createdAt)} />
          </Figures>
          <Stages stages={job.stages} />
        </Card>
        {job.failures.length > 0 && (
          <Card title={text("failures")} wide>
            <Table
              caption={text("failures")}
              rows={job.failures}
              rowKey={({ stage, batch }) => `${stage}/${batch}`}
              columns={[
                {
                  title: text("stage"),
                  cell: ({ stage }) => job.stages.find(({ number }) => number === stage)?.name ?? stage,
                },
                { title: text("batch"), cell: ({ batch }) => number(batch) },
                { title: text("reason"), cell: ({ reason }) => reason },
              ]}
            />
          </Card>
        )}
        {(job.total.refused > 0 || job.failures.length > 0) && <Refused jobId={job.jobId} ended={hasEnded(job)} />}
        <Card title={text("result")}>
          {job.result === undefined || job.result === null ? (
            <p class="empty">{hasEnded(job) ? text("noResult") : text("resultLater")}</p>
          ) : (
            <Json value={job.result} />
          )}
          {job.kind === "train" && job.state === "succeeded" && (
            <div class="actions">
              <a class="button" href={href("models")}>
                {text("toModels")}
              </a>
            </div>
          )}
        </Card>
        <Card title={text("submission")}>
          <Json
            value={{
              jobId: job.jobId,
              createdAt: job.createdAt,
              startedAt: job.startedAt,
              endedAt: job.endedAt,
              ...(job.lock ? { lock: `${job.lock.name} (${job.lock.fence})` } : {}),
              parameters: job.parameters,
            }}
          />
        </Card>
        {!hasEnded(job) && <Batches jobId={job.jobId} stages={job.stages} />}
        <Card title={text("log")} wide>
          {job.log.length === 0 ? (
            <p class="empty">{text("noLog")}</p>
          ) : (
            <ol class="log" tabIndex={0} aria-label={text("log")}>
              {job.log.map(({ at, line }, index) => (
                <li key={`${at} ${index}`}>
                  <time dateTime={at}>{dateTime(at)}</time> {line}
                </li>
              ))}
            </ol>
          )}
        </Card>
      </Grid>
    </>
  );
}
