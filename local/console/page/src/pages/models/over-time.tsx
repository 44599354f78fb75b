import { useState } from "preact/hooks";
import type { Training } from "../../console-api";
import { decimal } from "../../text";
import { Chart, type ChartSeries, type Ink } from "../../ui/chart";
import { Card, Field } from "../../ui/layout";
import { text } from "../models.text";
import { LengthField } from "./comparison";
import { measured, MEASURES, measureText, type Measure, type Method } from "./measures";

const LINES: { method: Method; ink: Ink; dashed: boolean }[] = [
  { method: "model", ink: "accent", dashed: false },
  { method: "handFormula", ink: "second", dashed: false },
  { method: "gpTopFreq", ink: "muted", dashed: false },
  { method: "gTopFreq", ink: "muted", dashed: true },
];

/** What each training measured, the oldest first. */
export function OverTime({ trainings }: { trainings: Training[] }) {
  const [measure, setMeasure] = useState<Measure>("ndcg");
  const [length, setLength] = useState(10);
  const shown = trainings
    .filter(({ metrics, endedAt }) => metrics?.model && endedAt)
    .sort((a, b) => Date.parse(a.endedAt ?? "") - Date.parse(b.endedAt ?? ""));
  if (shown.length === 0) return null;
  const x = {
    title: text("trained"),
    values: shown.map(({ endedAt }) => Date.parse(endedAt ?? "")),
    kind: "time" as const,
  };
  const lines = LINES.map(({ method, ...look }) => ({
    name: text(method),
    values: shown.map(({ metrics }) => measured(metrics, method, measure, length) ?? null),
    ...look,
  })).filter(({ values }) => values.some((value) => value !== null));
  const advantage = differences(shown);
  return (
    <Card title={text("overTime")} wide>
      <div class="filters">
        <Field label={text("measure")}>
          {({ id }) => (
            <select
              id={id}
              value={measure}
              onChange={(event) => setMeasure(MEASURES.find((one) => one === event.currentTarget.value) ?? "ndcg")}
            >
              {MEASURES.map((one) => (
                <option key={one} value={one}>
                  {text(one, { length })}
                </option>
              ))}
            </select>
          )}
        </Field>
        {measure !== "coverage" && <LengthField length={length} onChange={setLength} />}
      </div>
      <Chart title={text(measure, { length })} x={x} series={lines} format={(value) => measureText(measure, value)} />
      {advantage && (
        <Chart
          title={text("advantage")}
          x={x}
          series={[advantage]}
          format={(value) => decimal(value, 3)}
          height={160}
        />
      )}
    </Card>
  );
}

/** By how much the learned order was better than the fixed formula, with the intervals of the difference. */
function differences(trainings: Training[]): ChartSeries | undefined {
  const estimates = trainings.map(({ metrics }) => metrics?.ranker?.difference ?? null);
  if (estimates.every((estimate) => estimate === null)) return undefined;
  return {
    name: text("advantageSeries"),
    values: estimates.map((estimate) => estimate?.mean ?? null),
    interval: {
      low: estimates.map((estimate) => estimate?.interval?.[0] ?? null),
      high: estimates.map((estimate) => estimate?.interval?.[1] ?? null),
    },
  };
}
