// What needs attention, each with what to do. Codes that this page does not know are shown as they are.

import type { Attention as Item } from "../../console-api";
import { href } from "../../route";
import { ago, dateTime, decimal } from "../../text";
import { Card } from "../../ui/layout";
import { Notice } from "../../ui/notice";
import { text } from "../overview.text";
import { advice } from "./attention.text";

export function Attention({ items }: { items: Item[] }) {
  if (items.length === 0) {
    return (
      <Notice kind="success" title={text("allWell")}>
        <p>{text("allWellHelp")}</p>
      </Notice>
    );
  }
  return (
    <Card title={text("attention")}>
      <ul class="attention">
        {items.map((item) => (
          <Entry key={`${item.code} ${item.link ?? ""} ${JSON.stringify(item.values)}`} item={item} />
        ))}
      </ul>
    </Card>
  );
}

function Entry({ item }: { item: Item }) {
  const values = Object.fromEntries(Object.entries(item.values).map(([name, value]) => [name, valueText(value)]));
  const title = advice(item.code, values);
  const action = advice(`${item.code}.do`, values);
  const link = REMEDIES[item.code] ?? item.link;
  return (
    <li class={item.severity}>
      <div>
        <span class={`tag ${item.severity}`}>{text(item.severity)}</span>
        <strong>{title ?? item.code}</strong>
        {title === undefined && (
          <p class="muted">
            {Object.entries(values)
              .map(([name, value]) => `${name}: ${value}`)
              .join(" · ")}
          </p>
        )}
        {title !== undefined && values.reason !== undefined && <p class="muted">{values.reason}</p>}
        {action && <p>{action}</p>}
      </div>
      {link?.startsWith("#/") && (
        <a class="button" href={link}>
          {advice(`${item.code}.link`, values) ?? text("look")}
        </a>
      )}
    </li>
  );
}

/** Where a job is the remedy: its form. */
const REMEDIES: Record<string, string> = {
  no_model: href("jobs", [], { submit: "train" }),
  training_old: href("jobs", [], { submit: "train" }),
  stream_failures: href("jobs", [], { submit: "rebuild-history" }),
};

const TIME = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/;

function valueText(value: string | number): string | number {
  if (typeof value === "number") return Number.isInteger(value) ? value : decimal(value, 3);
  return TIME.test(value) ? `${dateTime(value)} (${ago(value)})` : value;
}
