import type { TableDescription } from "../../console-api";

/** Where a table's items are asked for, counted and written. */
export function itemsPath(table: TableDescription, what: "items" | "count" | "item"): string {
  return `/console/api/tables/${encodeURIComponent(table.name)}/${what}`;
}
