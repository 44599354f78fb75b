// What goes with a product, and the lists in which it stands itself.

import { useState } from "preact/hooks";
import { useLoad } from "../../api";
import type { ProductFacts } from "../../console-api";
import { href } from "../../route";
import { getRelated } from "../../shop";
import { number } from "../../text";
import { Card, Table } from "../../ui/layout";
import { Await } from "../../ui/notice";
import { RankedList } from "../../ui/ranked-list";
import { Reasons } from "../../ui/reasons";
import { windowText } from "../../ui/window.text";
import { text } from "./product.text";

const RELATED = 10;
const FIRST_ROWS = 10;
/** The reason of those that the list is about; others fill it up. */
const NEIGHBOUR = { together: "boughtTogether", similar: "boughtBySameShoppers" };

export function Related({ productId, kind }: { productId: string; kind: "together" | "similar" }) {
  const related = useLoad(`${kind} ${productId}`, (signal) => getRelated(productId, kind, RELATED, signal));
  return (
    <Card title={text(kind)}>
      <p class="muted">{text(`${kind}Help`)}</p>
      <Await of={related}>
        {({ items }) => (
          <>
            {items.length > 0 &&
              items.every(({ reasons }) => reasons.every((reason) => reason.kind !== NEIGHBOUR[kind])) && (
                <p>{text("filledUp")}</p>
              )}
            <RankedList items={items}>
              {(item) => <Reasons reasons={item.reasons} productId={item.productId} />}
            </RankedList>
          </>
        )}
      </Await>
    </Card>
  );
}

interface Place {
  key: string;
  list: string;
  of: preact.ComponentChildren;
  place: string;
  count?: number;
}

export function AppearsIn({ facts }: { facts: ProductFacts }) {
  const [all, setAll] = useState(false);
  const names = { together: text("listTogether"), similar: text("listSimilar"), next: text("listNext") };
  const places: Place[] = [
    ...facts.popular.map(({ window, category, rank, of }) => ({
      key: JSON.stringify([window, category]),
      list: text("listPopular", { window: windowText(window) }),
      of: category ?? text("allCategories"),
      place: text("placeOf", { rank, of }),
    })),
    ...facts.appearsIn.map(({ list, productId, name, rank, count }) => ({
      key: JSON.stringify([list, productId]),
      list: names[list],
      of: <a href={href("product", [productId])}>{name}</a>,
      place: number(rank),
      count,
    })),
  ];
  return (
    <Card title={text("appearsIn")} wide>
      <p class="muted">{text("appearsInHelp")}</p>
      <Table
        caption={text("appearsIn")}
        columns={[
          { title: text("list"), cell: ({ list }) => list },
          { title: text("of"), cell: ({ of }) => of },
          { title: text("place"), numeric: true, cell: ({ place }) => place },
          {
            title: text("count"),
            numeric: true,
            cell: ({ count }) => (count === undefined ? "–" : number(count)),
          },
        ]}
        rows={all ? places : places.slice(0, FIRST_ROWS)}
        rowKey={({ key }) => key}
        empty={text("notShown")}
      />
      {!all && places.length > FIRST_ROWS && (
        <button onClick={() => setAll(true)}>{text("showMore", { count: places.length })}</button>
      )}
    </Card>
  );
}
