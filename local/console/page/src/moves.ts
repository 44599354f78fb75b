// How one list became another.

export type Move = { kind: "same" } | { kind: "new" } | { kind: "up" | "down"; places: number };

export interface Moves {
  /** By product, of those in the list that it became. */
  of: Map<string, Move>;
  /** Those of the earlier list that are not in the later one. */
  gone: string[];
  /** How many products of the later list have another place than before, or had none. */
  changed: number;
}

interface Placed {
  productId: string;
}

export function movesBetween(earlier: readonly Placed[], later: readonly Placed[]): Moves {
  const before = earlier.map(({ productId }) => productId);
  const after = later.map(({ productId }) => productId);
  const places = new Map(before.map((id, place) => [id, place]));
  const of = new Map<string, Move>();
  for (const [place, id] of after.entries()) {
    const from = places.get(id);
    if (from === undefined) of.set(id, { kind: "new" });
    else if (from === place) of.set(id, { kind: "same" });
    else of.set(id, { kind: from > place ? "up" : "down", places: Math.abs(from - place) });
  }
  const kept = new Set(after);
  const gone = before.filter((id) => !kept.has(id));
  const changed = [...of.values()].filter(({ kind }) => kind !== "same").length;
  return { of, gone, changed };
}

export const isChange = ({ changed, gone }: Moves) => changed > 0 || gone.length > 0;
