// The items that a job could not process, with their reasons.

import { useState } from "preact/hooks";
import { get, useLoad } from "../../api";
import { Json } from "../../ui/json";
import { Card } from "../../ui/layout";
import { Await } from "../../ui/notice";
import { text } from "../jobs.text";

interface RefusedItems {
  items: { refused: unknown; reason: unknown }[];
  more: boolean;
}

const STEP = 25;
const MAX = 1_000;

export function Refused({ jobId, ended }: { jobId: string; ended: boolean }) {
  const [limit, setLimit] = useState(STEP);
  const refused = useLoad(`${jobId} ${limit} ${ended}`, (signal) =>
    get<RefusedItems>(`/console/api/jobs/${encodeURIComponent(jobId)}/refused?limit=${limit}`, signal),
  );
  return (
    <Card title={text("refusedItems")} wide>
      <Await of={refused}>
        {({ items, more }) => (
          <>
            {items.length === 0 && <p class="empty">{text("noRefused")}</p>}
            <ol class="items">
              {items.map(({ refused, reason }, index) => (
                <li key={index}>
                  <strong>{typeof reason === "string" ? reason : JSON.stringify(reason)}</strong>
                  <Json value={refused} />
                </li>
              ))}
            </ol>
            {more && limit >= MAX && <p class="hint">{text("moreRefused", { count: MAX })}</p>}
            {more && limit < MAX && (
              <div class="actions">
                <button onClick={() => setLimit(Math.min(MAX, limit * 4))}>{text("more")}</button>
              </div>
            )}
          </>
        )}
      </Await>
    </Card>
  );
}
