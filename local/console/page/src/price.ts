// Money as the API has it: whole minor units with a currency code.

import type { Money } from "./shop";
import { language, money } from "./text";

function minorDigits(currency: string): number {
  try {
    const format = new Intl.NumberFormat("en", { style: "currency", currency });
    return format.resolvedOptions().maximumFractionDigits ?? 2;
  } catch {
    return 2;
  }
}

export function price({ amount, currency }: Money): string {
  return money(amount / 10 ** minorDigits(currency), currency);
}

/** The amount as it is typed: in major units, with the decimal mark of the language. */
export function amountText({ amount, currency }: Money): string {
  const digits = minorDigits(currency);
  return (amount / 10 ** digits).toLocaleString(language(), {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
    useGrouping: false,
  });
}

/** The minor units of an amount that was typed, with a comma or a point before the decimals; `undefined` if it is no amount. */
export function minorUnits(typed: string, currency: string): number | undefined {
  const parts = /^(\d{1,10})(?:[.,](\d+))?$/.exec(typed.trim());
  const digits = minorDigits(currency);
  const decimals = parts?.[2] ?? "";
  if (!parts || decimals.length > digits) return undefined;
  return Number(`${parts[1]}${decimals.padEnd(digits, "0")}`);
}
