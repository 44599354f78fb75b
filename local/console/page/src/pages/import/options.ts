// How files are read: what a person may say where the files do not show it. The names are those of the job's parameters.

import type { RecordKind } from "../../console-api";

/** A rule about rows: those with this value in this column are kept, or skipped. */
export interface RowRule {
  column: string;
  value: string;
  action: "only" | "skip";
}

export interface ReadingOptions {
  kind: RecordKind;
  /** The file's columns, by ours. */
  map: Record<string, string>;
  profile: string;
  dateOrder: "" | "dayFirst" | "monthFirst";
  timeFormat: string;
  timezone: string;
  decimal: "" | "point" | "comma";
  currency: string;
  encoding: string;
  rules: RowRule[];
  /** Lists, as a person writes them: separated by commas. */
  fillDown: string;
  skipProducts: string;
  /** One a line: a name of a guest may have a comma. */
  guests: string;
  onChange: "" | "keep" | "replace" | "add";
}

export const noOptions: ReadingOptions = {
  kind: "purchases",
  map: {},
  profile: "",
  dateOrder: "",
  timeFormat: "",
  timezone: "",
  decimal: "",
  currency: "",
  encoding: "",
  rules: [],
  fillDown: "",
  skipProducts: "",
  guests: "",
  onChange: "",
};

/** Our columns, those without which a file is nothing first. */
export const COLUMNS: Record<RecordKind, { name: string; required: boolean }[]> = {
  purchases: [
    { name: "user_id", required: true },
    { name: "product_id", required: true },
    { name: "timestamp", required: true },
    { name: "time_of_day", required: false },
    { name: "basket_id", required: false },
    { name: "quantity", required: false },
    { name: "price", required: false },
    { name: "line_total", required: false },
    { name: "currency", required: false },
    { name: "product_name", required: false },
    { name: "recommendation_id", required: false },
  ],
  products: [
    { name: "product_id", required: true },
    { name: "product_name", required: true },
    { name: "categories", required: false },
    { name: "price", required: false },
    { name: "currency", required: false },
    { name: "available", required: false },
    { name: "attributes", required: false },
  ],
};

/** The parameters of the job; what was left open is left out. */
export function parametersOf(options: ReadingOptions, sources: string[]): Record<string, unknown> {
  const { kind, profile, dateOrder, timeFormat, timezone, decimal, currency, encoding, rules, onChange } = options;
  const own = COLUMNS[kind].map(({ name }) => name);
  const map = own.filter((name) => options.map[name]?.trim()).map((name) => `${name}=${options.map[name]?.trim()}`);
  const parameters = {
    ...(sources.length === 1 ? { source: sources[0] } : { sources }),
    kind,
    map: map.join(","),
    profile: profile.trim(),
    dateOrder,
    timeFormat: timeFormat.trim(),
    timezone: timezone.trim(),
    decimal,
    currency: currency.trim().toUpperCase(),
    encoding: encoding.trim(),
    only: byColumn(rules.filter(({ action }) => action === "only")),
    skip: byColumn(rules.filter(({ action }) => action === "skip")),
    fillDown: listed(options.fillDown, ","),
    skipProducts: listed(options.skipProducts, ","),
    guests: listed(options.guests, "\n"),
    onChange: kind === "purchases" ? onChange : "",
  };
  return Object.fromEntries(Object.entries(parameters).filter(([, value]) => !isEmpty(value)));
}

function isEmpty(value: unknown): boolean {
  return (
    value === "" || value === undefined || (typeof value === "object" && Object.keys(value as object).length === 0)
  );
}

function listed(content: string, separator: string): string[] {
  return content
    .split(separator)
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

function byColumn(rules: RowRule[]): Record<string, string[]> {
  const columns = new Map<string, string[]>();
  for (const { column, value } of rules) {
    if (column.trim() === "") continue;
    columns.set(column.trim(), [...(columns.get(column.trim()) ?? []), value.trim()]);
  }
  return Object.fromEntries(columns);
}

/** A mapping as the importer's messages write it: `user_id=CustomerID,product_id=StockCode`. */
export function mappingOf(written: string): Record<string, string> {
  const pairs = written.split(",").flatMap((part) => {
    const [ours = "", theirs = ""] = part.split(/=(.*)/s).map((side) => side.trim());
    return ours && theirs && theirs !== "NAME" ? [[ours, theirs] as const] : [];
  });
  return Object.fromEntries(pairs);
}

/** What the importer proposes in the message of a failure, in the words of this form; it is offered, never assumed. */
export function proposalsOf(failure: string): { map?: Record<string, string>; columns: string[] } {
  const columns = /Its columns are (.*?)(?:\. Say which| and \d+ more|$)/s.exec(failure)?.[1]?.split(", ") ?? [];
  const mapping = /--map (\S.*?)$/s.exec(failure)?.[1]?.replace(/^'|'$/g, "");
  const map = mapping === undefined ? {} : mappingOf(mapping);
  return { columns, ...(Object.keys(map).length > 0 ? { map } : {}) };
}
