// What the files would come to, before anything is written.

import { Card } from "../../ui/layout";
import { Failure, Notice } from "../../ui/notice";
import { text } from "../import.text";
import { JobProgress } from "./job-progress";
import { Message } from "./message";
import { proposalsOf } from "./options";
import { type Attempt, type ImportState, check as checkAgain, presentParameters, setOptions } from "./store";
import { FileSummary, Rejected } from "./summary";

export function CheckCard({ state, check }: { state: ImportState; check: Attempt }) {
  const { report, job, problem } = check;
  const stale = check.parameters !== presentParameters(state);
  return (
    <Card title={text("check")}>
      {problem && <Failure problem={problem} retry={() => void checkAgain()} />}
      {!problem && !report && job?.endedAt === undefined && <JobProgress attempt={check} title={text("checking")} />}
      {job?.state === "cancelled" && <p>{text("cancelled")}</p>}
      {job?.failure !== undefined && <ReadingFailure failure={job.failure} state={state} />}
      {report && (
        <>
          <p class="hint">{text(stale ? "checkedBefore" : "dropped")}</p>
          {report.files.map(({ file, summary }) => (
            <FileSummary
              key={file}
              name={report.files.length > 1 ? file : undefined}
              summary={summary}
              options={state.options}
            />
          ))}
          <Rejected report={report} />
        </>
      )}
    </Card>
  );
}

function ReadingFailure({ failure, state }: { failure: string; state: ImportState }) {
  const { map } = proposalsOf(failure);
  // The job names the file by where it is stored; a person knows it by its name.
  const shown = state.files.reduce(
    (message, { location, name }) => (location === undefined ? message : message.replaceAll(location, name)),
    failure,
  );
  return (
    <Notice kind="error" title={text("checkFailed")}>
      <p>
        <Message>{shown}</Message>
      </p>
      {map && (
        <button
          onClick={() => {
            setOptions({ map: { ...state.options.map, ...map } });
            void checkAgain();
          }}
        >
          {text("useMapping", {
            mapping: Object.entries(map)
              .map(([ours, theirs]) => `${ours} = ${theirs}`)
              .join(", "),
          })}
        </button>
      )}
    </Notice>
  );
}
