// What a job would change, for the question before it is submitted.

const DANGEROUS = new Set(["delete", "archive", "update", "restore", "revert", "copy", "fill"]);

export function isDangerous(kind: string): boolean {
  return DANGEROUS.has(kind);
}

/** The table whose items a job changes or deletes. */
export function targetTable({ to, table }: Record<string, unknown>): string | undefined {
  if (typeof to === "object" && to !== null && "table" in to && typeof to.table === "string") return to.table;
  if (typeof table === "string") return table;
  return undefined;
}
