import { useState } from "preact/hooks";
import { get, useLoad } from "../../api";
import type { Job } from "../../console-api";
import { href } from "../../route";
import { ago, number } from "../../text";
import { PageTitle, Table } from "../../ui/layout";
import { Await } from "../../ui/notice";
import { text } from "../jobs.text";
import { JobProgress, JobState, jobDuration, jobSubject } from "./parts";

interface Page {
  items: Job[];
  cursor?: string;
}

const EVERY_MS = 5_000;

export function JobList() {
  // The cursors of the pages before; the newest page is read again and again.
  const [cursors, setCursors] = useState<string[]>([]);
  const cursor = cursors.at(-1);
  const query = new URLSearchParams({ limit: "25", ...(cursor ? { cursor } : {}) });
  const page = useLoad(
    `jobs ${cursor ?? ""}`,
    (signal) => get<Page>(`/jobs?${query}`, signal),
    cursor ? undefined : EVERY_MS,
  );
  return (
    <>
      <PageTitle
        actions={
          <a class="button primary" href={href("jobs", [], { submit: "" })}>
            {text("newJob")}
          </a>
        }
      >
        {text("title")}
      </PageTitle>
      <Await of={page}>
        {({ items, cursor: next }) => (
          <section class="card" aria-label={text("title")}>
            <Table
              caption={text("title")}
              rows={items}
              rowKey={({ jobId }) => jobId}
              empty={text("noJobs")}
              columns={[
                {
                  title: text("job"),
                  cell: (job) => (
                    <>
                      <a href={href("jobs", [job.jobId])}>{job.jobId}</a>
                      <div class="muted subject">{jobSubject(job)}</div>
                    </>
                  ),
                },
                { title: text("kind"), cell: ({ kind }) => kind },
                {
                  title: text("state"),
                  cell: (job) => (
                    <>
                      <JobState job={job} />
                      <JobProgress job={job} />
                      {job.failure && <div class="muted failure">{job.failure}</div>}
                    </>
                  ),
                },
                { title: text("processed"), numeric: true, cell: ({ total }) => number(total.processed) },
                { title: text("refused"), numeric: true, cell: ({ total }) => number(total.refused) },
                { title: text("submitted"), cell: ({ createdAt }) => ago(createdAt) },
                { title: text("took"), numeric: true, cell: jobDuration },
              ]}
            />
            {(next || cursors.length > 0) && (
              <div class="actions">
                <button disabled={cursors.length === 0} onClick={() => setCursors(cursors.slice(0, -1))}>
                  {text("newer")}
                </button>
                <button disabled={!next} onClick={() => next && setCursors([...cursors, next])}>
                  {text("older")}
                </button>
              </div>
            )}
          </section>
        )}
      </Await>
    </>
  );
}
