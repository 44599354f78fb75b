// Texts in English and German, numbers and times as the reader's language has them.

export type Language = "en" | "de";

const KEY = "nextbasket-language";

export function language(): Language {
  const chosen = localStorage.getItem(KEY) ?? navigator.language;
  return chosen.toLowerCase().startsWith("de") ? "de" : "en";
}

export function chooseLanguage(chosen: Language): void {
  localStorage.setItem(KEY, chosen);
  window.location.reload();
}

type Texts = Record<string, string>;

/**
 * The texts of a page: both languages have the same keys. `{name}` stands for a value.
 *
 * A text with `{count}` may have two forms, `key` and `key.one`.
 */
export function texts<T extends Texts>(en: T, de: Record<keyof T, string>) {
  const chosen: Record<keyof T, string> = language() === "de" ? de : en;
  return (key: keyof T & string, values: Record<string, string | number> = {}): string => {
    const one = values.count === 1 ? (chosen as Texts)[`${key}.one`] : undefined;
    return (one ?? chosen[key]).replace(/\{(\w+)\}/g, (hole, name: string) => {
      const value = values[name];
      return value === undefined ? hole : typeof value === "number" ? number(value) : value;
    });
  };
}

/** Texts by codes that a server may extend: `undefined` for one that the page does not know. */
export function textOf<T extends Texts>(
  text: (key: keyof T & string, values?: Record<string, string | number>) => string,
  known: T,
) {
  return (key: string, values: Record<string, string | number> = {}): string | undefined =>
    Object.hasOwn(known, key) ? text(key as keyof T & string, values) : undefined;
}

export function number(value: number, digits = 0): string {
  return value.toLocaleString(language(), { maximumFractionDigits: digits });
}

export function decimal(value: number, digits: number): string {
  return value.toLocaleString(language(), { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function percent(value: number, digits = 0): string {
  return value.toLocaleString(language(), { style: "percent", maximumFractionDigits: digits });
}

export function bytes(value: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${number(value, unit === 0 || value >= 100 ? 0 : 1)} ${units[unit]}`;
}

export function money(amount: number, currency: string): string {
  return amount.toLocaleString(language(), { style: "currency", currency });
}

export function date(at: string): string {
  return new Date(at).toLocaleDateString(language(), { dateStyle: "medium" });
}

export function dateTime(at: string): string {
  return new Date(at).toLocaleString(language(), { dateStyle: "medium", timeStyle: "short" });
}

/** How long ago, or in how long: "3 hours ago". */
export function ago(at: string, now = Date.now()): string {
  const seconds = (new Date(at).getTime() - now) / 1000;
  const format = new Intl.RelativeTimeFormat(language(), { numeric: "auto" });
  const steps: [Intl.RelativeTimeFormatUnit, number][] = [
    ["second", 60],
    ["minute", 60],
    ["hour", 24],
    ["day", 30.44],
    ["month", 12],
    ["year", Infinity],
  ];
  let value = seconds;
  for (const [unit, size] of steps) {
    if (Math.abs(value) < size) return format.format(Math.round(value), unit);
    value /= size;
  }
  return dateTime(at);
}

export function time(at: string): string {
  return new Date(at).toLocaleTimeString(language(), { timeStyle: "medium" });
}

/** How long something took: "12 ms", "4.5 s", "3 min 20 s". */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${number(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${number(seconds, 1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${number(minutes)} min ${number(seconds % 60)} s`;
  return `${number(Math.floor(minutes / 60))} h ${number(minutes % 60)} min`;
}

/** Costs, which may be parts of a cent. */
export function usd(amount: number): string {
  const digits = amount !== 0 && Math.abs(amount) < 1 ? 4 : 2;
  return amount.toLocaleString(language(), { style: "currency", currency: "USD", maximumFractionDigits: digits });
}
