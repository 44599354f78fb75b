// What the newest training's gate found: its model and the one that was live then, on the same questions where there
// were enough of them.

import { get, useLoad } from "../../api";
import type { GateComparison, JobView } from "../../console-api";
import { decimal, percent } from "../../text";
import { text } from "../models.text";

export function Gate({ jobId, version }: { jobId: string; version: number }) {
  const job = useLoad(`gate ${jobId}`, (signal) => get<JobView>(`/jobs/${encodeURIComponent(jobId)}`, signal));
  const compared = (job.value?.result as { compared?: GateComparison | null } | undefined)?.compared;
  if (!compared) return null;
  const { by, baskets, liveVersion, difference, gate } = compared;
  const versions = { version: String(version), before: String(liveVersion) };
  return (
    <>
      <p>
        {text(by === "basketsSinceLive" ? "gateSince" : "gateOwn", {
          ...versions,
          baskets,
          new: decimal(compared.new, 3),
          live: decimal(compared.live, 3),
        })}
      </p>
      <p class="muted">
        {difference
          ? text("gateDifference", {
              low: decimal(difference[0], 3),
              high: decimal(difference[1], 3),
              gate: percent(gate, 1),
            })
          : text("gateFew")}
      </p>
    </>
  );
}
