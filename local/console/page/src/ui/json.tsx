// JSON for people: names and values, what is nested deep folded.

import { dateTime, number } from "../text";
import "./json.css";

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

export function Json({ value, depth = 0 }: { value: unknown; depth?: number }) {
  if (value === null || value === undefined) return <span class="muted">–</span>;
  if (typeof value === "number") return <>{number(value, Math.abs(value) < 100 ? 4 : 0)}</>;
  if (typeof value === "string") return <>{TIME.test(value) ? dateTime(value) : value}</>;
  if (typeof value !== "object") return <>{String(value)}</>;
  const entries = Object.entries(value);
  if (entries.length === 0) return <span class="muted">–</span>;
  if (Array.isArray(value) && value.every((one) => one === null || typeof one !== "object"))
    return <>{value.map(String).join(", ")}</>;
  if (depth > 0)
    return (
      <details>
        <summary>{Array.isArray(value) ? number(value.length) : Object.keys(value).slice(0, 4).join(", ")}</summary>
        <Entries entries={entries} depth={depth} />
      </details>
    );
  return <Entries entries={entries} depth={depth} />;
}

function Entries({ entries, depth }: { entries: [string, unknown][]; depth: number }) {
  return (
    <dl class="json">
      {entries.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            <Json value={value} depth={depth + 1} />
          </dd>
        </div>
      ))}
    </dl>
  );
}
