import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { JobEstimate } from "../../console-api";
import { bytes, duration, number, usd } from "../../text";
import { Card, Figure, Figures } from "../../ui/layout";
import { text } from "../jobs.text";

export function Estimate({ estimate, children }: { estimate: JobEstimate; children: ComponentChildren }) {
  const { items, changes, readUnits, writeUnits, seconds, costUsd, notes } = estimate;
  const top = useRef<HTMLDivElement>(null);
  useEffect(() => top.current?.scrollIntoView({ block: "nearest" }), []);
  return (
    <div ref={top} role="status">
      <Card title={text("estimateTitle")}>
        <Figures>
          {items !== undefined && <Figure name={text("items")} value={number(items)} />}
          {changes !== undefined && <Figure name={text("changes")} value={number(changes)} />}
          {estimate.bytes !== undefined && <Figure name={text("size")} value={bytes(estimate.bytes)} />}
          <Figure name={text("readUnits")} value={number(readUnits, 1)} />
          <Figure name={text("writeUnits")} value={number(writeUnits, 1)} />
          {seconds !== undefined && <Figure name={text("time")} value={duration(seconds * 1000)} />}
          <Figure name={text("cost")} value={usd(costUsd)} hint={text("costHint")} />
        </Figures>
        {notes && notes.length > 0 && (
          <ul>
            {notes.map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
        )}
        <div class="actions">{children}</div>
      </Card>
    </div>
  );
}
