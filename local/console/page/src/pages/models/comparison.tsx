import "../../ui/parts.css";
import { useState } from "preact/hooks";
import { number } from "../../text";
import { Field, Table } from "../../ui/layout";
import type { Model } from "../models";
import { text } from "../models.text";
import { BASELINES, LENGTHS, MEASURES, measured, measureText, type Measure } from "./measures";

/** The models that are kept, beside what needs no learning. */
export function Comparison({ models }: { models: Model[] }) {
  const [length, setLength] = useState(10);
  const live = models.find((model) => model.live);
  const users = live?.metrics?.model?.users;
  if (!live?.metrics?.model) {
    return <p class="empty">{text("notEvaluated")}</p>;
  }
  return (
    <>
      <p class="muted">{text("comparisonHelp", { users: number(users ?? 0) })}</p>
      {models.length > 1 && <p class="muted">{text("previousHelp")}</p>}
      <div class="filters">
        <LengthField length={length} onChange={setLength} />
      </div>
      <Table
        caption={text("comparison")}
        rows={[...MEASURES]}
        rowKey={(measure) => measure}
        columns={[
          {
            title: text("measure"),
            cell: (measure) => (
              <div class="signal">
                {text(measure, { length })}
                <div class="hint">{text(`${measure}Help`)}</div>
              </div>
            ),
          },
          ...models.map((model) => ({
            title: text(model.live ? "liveModel" : "previousModel", { version: String(model.version) }),
            numeric: true,
            cell: (measure: Measure) => (
              <strong>{measureText(measure, measured(model.metrics, "model", measure, length))}</strong>
            ),
          })),
          ...BASELINES.map((method) => ({
            title: text(method),
            numeric: true,
            cell: (measure: Measure) => measureText(measure, measured(live.metrics, method, measure, length)),
          })),
        ]}
      />
      <p class="hint">{text("segmentsHelp")}</p>
    </>
  );
}

export function LengthField({ length, onChange }: { length: number; onChange: (length: number) => void }) {
  return (
    <Field label={text("length")}>
      {({ id }) => (
        <select id={id} value={length} onChange={(event) => onChange(Number(event.currentTarget.value))}>
          {LENGTHS.map((one) => (
            <option key={one} value={one}>
              {text("products", { count: one })}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
