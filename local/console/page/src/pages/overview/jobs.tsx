import type { Job, Overview } from "../../console-api";
import { href } from "../../route";
import { ago } from "../../text";
import { Card } from "../../ui/layout";
import { JobProgress, JobState } from "../jobs/parts";
import { text } from "../overview.text";

export function Jobs({ running, failed, lastTraining }: Overview["jobs"]) {
  return (
    <Card
      title={text("jobs")}
      actions={
        <a class="button" href={href("jobs")}>
          {text("allJobs")}
        </a>
      }
    >
      {running.length === 0 && <p class="empty">{text("noJobs")}</p>}
      {running.length > 0 && (
        <List title={text("runningJobs")} jobs={running} about={(job) => <JobProgress job={job} />} />
      )}
      {failed.length > 0 && (
        <List
          title={text("failedJobs")}
          jobs={failed}
          about={(job) => <span class="muted">{job.failure ?? (job.endedAt && ago(job.endedAt))}</span>}
        />
      )}
      {lastTraining && (
        <List
          title={text("lastTraining")}
          jobs={[lastTraining]}
          about={(job) => <span class="muted">{ago(job.endedAt ?? job.createdAt)}</span>}
        />
      )}
    </Card>
  );
}

function List(props: { title: string; jobs: Job[]; about: (job: Job) => preact.ComponentChildren }) {
  return (
    <div>
      <h3>{props.title}</h3>
      <ul class="rows">
        {props.jobs.map((job) => (
          <li key={job.jobId}>
            <a href={href("jobs", [job.jobId])}>{job.kind}</a> <JobState job={job} /> {props.about(job)}
          </li>
        ))}
      </ul>
    </div>
  );
}
