// The lists that a change of a product would change, before it is saved.

import { useEffect, useState } from "preact/hooks";
import { post, useLoad } from "../../api";
import type { Preview, PreviewedList, ProductChange } from "../../console-api";
import { useKept } from "../../kept";
import { isChange, movesBetween } from "../../moves";
import { nameOf, useNames } from "../../products";
import { Card } from "../../ui/layout";
import { Await } from "../../ui/notice";
import { movesSummary, RankedList } from "../../ui/ranked-list";
import { windowText } from "../../ui/window.text";
import { text } from "./catalogue.text";

/** A change is shown once nothing was typed for so long. */
const PAUSE_MS = 300;

export function PreviewCard({ productId, change }: { productId: string; change: ProductChange | undefined }) {
  const settled = useSettled(change && JSON.stringify(change));
  return (
    <Card title={text("preview")}>
      {change === undefined || settled === undefined ? (
        <p class="muted">{text("previewNothing")}</p>
      ) : (
        <Changes productId={productId} change={settled} />
      )}
    </Card>
  );
}

function useSettled(value: string | undefined): string | undefined {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}

function Changes({ productId, change }: { productId: string; change: string }) {
  const preview = useKept(
    productId,
    useLoad(`${productId} ${change}`, (signal) =>
      post<Preview>("/console/api/preview", { productId, change: JSON.parse(change) as ProductChange }, signal),
    ),
  );
  return <Await of={preview}>{({ lists }) => <PreviewedLists lists={lists} />}</Await>;
}

function PreviewedLists({ lists }: { lists: Preview["lists"] }) {
  useNames(lists.flatMap(({ list }) => (list.kind === "related" ? [list.productId] : [])));
  const changed = lists.filter(({ before, after }) => isChange(movesBetween(before, after)));
  return (
    <>
      <p role="status">
        {changed.length === 0
          ? text("previewNone", { count: lists.length })
          : text("previewSome", { changed: changed.length, count: lists.length })}
      </p>
      {changed.map(({ list, before, after }, index) => (
        <details class="change" key={JSON.stringify(list)} open={index === 0}>
          <summary>
            {titleOf(list)} <span class="muted">{movesSummary(movesBetween(before, after))}</span>
          </summary>
          <div class="lists two">
            <section class="list">
              <h3>{text("before")}</h3>
              <RankedList items={before} />
            </section>
            <section class="list">
              <h3>{text("after")}</h3>
              <RankedList items={after} before={before} />
            </section>
          </div>
        </details>
      ))}
    </>
  );
}

function titleOf(list: PreviewedList): string {
  switch (list.kind) {
    case "popular":
      return text("listPopular", {
        window: windowText(list.window),
        category: list.category ?? text("allCategories"),
      });
    case "shopper":
      return text("listShopper", { userId: list.userId });
    case "related":
      return text("listRelated", { name: nameOf(list.productId) });
  }
}
