// Items as files: JSON Lines as `restore` reads them, CSV for spreadsheets.

import type { Item, KeyPart } from "../../console-api";
import { attribute, columnsOf, lineOf } from "./attribute";

/** DynamoDB JSON, an item a line, as dumps and AWS's exports have it. */
export function jsonLines(items: Item[]): string {
  return items.map((item) => `${JSON.stringify({ Item: item })}\n`).join("");
}

/**
 * CSV with plain values. A text that a spreadsheet would take for a formula gets an apostrophe in front of it; numbers,
 * which begin with a sign just as well, stay as they are.
 */
export function csv(items: Item[], key: KeyPart[]): string {
  const columns = columnsOf(items, key);
  const rows = items.map((item) =>
    columns.map((column) => {
      const value = attribute(item, column);
      if (value === undefined) return "";
      return "N" in value ? cell(value.N) : cell(harmless(lineOf(value)));
    }),
  );
  return [columns.map((column) => cell(harmless(column))), ...rows].map((row) => `${row.join(",")}\r\n`).join("");
}

function harmless(text: string): string {
  return /^[\s\0]*[=+\-@\t\r＝＋－＠]/.test(text) ? `'${text}` : text;
}

function cell(text: string): string {
  return /[",\r\n;\t']|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Offers a file for download. */
export function download(name: string, type: string, content: string): void {
  const address = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
