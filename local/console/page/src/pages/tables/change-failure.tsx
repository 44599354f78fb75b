import type { Problem } from "../../api";
import { Failure, Notice } from "../../ui/notice";
import { text } from "../tables.text";

/** Why an item was not written; that somebody else changed it is no fault of what was written. */
export function ChangeFailure({ problem }: { problem: Problem }) {
  if (problem.code !== "item_changed") return <Failure problem={problem} />;
  return (
    <Notice kind="error" title={text("changedMeanwhile")}>
      <p>{problem.message}</p>
      <p>{text("changedHelp")}</p>
    </Notice>
  );
}
