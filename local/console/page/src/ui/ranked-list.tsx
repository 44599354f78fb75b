// A list of products in their order, with what moved since another list.

import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { isChange, movesBetween, type Move, type Moves } from "../moves";
import { href } from "../route";
import { text } from "./ranked-list.text";

export interface RankedItem {
  productId: string;
  name: string;
}

interface RankedListProps<T extends RankedItem> {
  items: readonly T[];
  /** The list to compare with. */
  before?: readonly RankedItem[] | undefined;
  /** What is shown of a product below its name. */
  children?: (item: T) => ComponentChildren;
}

export function RankedList<T extends RankedItem>({ items, before, children }: RankedListProps<T>) {
  const moves = useMemo(() => before && movesBetween(before, items), [items, before]);
  if (items.length === 0) return <p class="empty">{text("empty")}</p>;
  return (
    <>
      {moves && <p class="muted">{movesSummary(moves)}</p>}
      <ol class="ranked">
        {items.map((item) => (
          <li key={item.productId}>
            <div class="name">
              <a href={href("product", [item.productId])}>{item.name}</a>
              <MoveMark move={moves?.of.get(item.productId)} />
            </div>
            {children?.(item)}
          </li>
        ))}
      </ol>
      {moves && moves.gone.length > 0 && <Gone items={before ?? []} gone={moves.gone} />}
    </>
  );
}

export function movesSummary(moves: Moves): string {
  return isChange(moves) ? text("changed", { count: moves.changed }) : text("unchanged");
}

function MoveMark({ move }: { move: Move | undefined }) {
  switch (move?.kind) {
    case undefined:
    case "same":
      return null;
    case "new":
      return <span class="move new">{text("new")}</span>;
    case "up":
    case "down":
      return (
        <span class={`move ${move.kind}`}>
          <span aria-hidden="true">{`${move.kind === "up" ? "▲" : "▼"} ${move.places}`}</span>
          <span class="hidden">{text(move.kind, { places: move.places })}</span>
        </span>
      );
  }
}

function Gone({ items, gone }: { items: readonly RankedItem[]; gone: string[] }) {
  const names = new Map(items.map(({ productId, name }) => [productId, name]));
  return (
    <p class="gone">
      {text("gone")}:{" "}
      {gone.map((id, index) => (
        <span key={id}>
          {index > 0 && " · "}
          <a href={href("product", [id])}>{names.get(id) ?? id}</a>
        </span>
      ))}
    </p>
  );
}
