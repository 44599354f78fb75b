// The history beside the purchases that it is folded from.

import { useState } from "preact/hooks";
import type { Basket, Shopper } from "../../console-api";
import { useNames } from "../../products";
import { href } from "../../route";
import type { Purchase } from "../../shop";
import { bytes, dateTime, number } from "../../text";
import { Card, Figure, Figures, Table } from "../../ui/layout";
import { text } from "./shopper.text";

const FIRST_ROWS = 8;

interface Row {
  at: string;
  purchase?: Purchase;
  basket?: Basket;
}

export function HistoryCard({ shopper }: { shopper: Shopper }) {
  const { history, purchases } = shopper;
  const [all, setAll] = useState(false);
  const rows = besideEachOther(purchases, history?.baskets ?? []);
  const shown = all ? rows : rows.slice(0, FIRST_ROWS);
  const name = useNames(
    shown.flatMap(({ purchase, basket }) => [...productsOf(purchase), ...(basket?.products ?? [])]),
  );
  return (
    <Card title={text("history")}>
      <p class="muted">{text("historyHelp")}</p>
      {history ? (
        <>
          <Figures>
            <Figure name={text("baskets")} value={number(history.baskets.length)} />
            <Figure name={text("size")} value={bytes(history.bytes)} />
            <Figure name={text("complete")} value={history.isComplete ? text("yes") : text("no")} />
          </Figures>
          <p class="muted">
            {text("version")} <code>{history.version}</code>
          </p>
        </>
      ) : (
        <p>{text("noHistory")}</p>
      )}
      <Table
        caption={text("historyTable")}
        columns={[
          {
            title: text("purchase"),
            cell: ({ at, purchase, basket }) => (
              <>
                <span class="muted">{dateTime(at)}</span>
                <ProductLinks ids={purchase ? productsOf(purchase) : (basket?.products ?? [])} name={name} />
              </>
            ),
          },
          { title: text("inHistory"), cell: (row) => <InHistory row={row} /> },
        ]}
        rows={shown}
        rowKey={({ at, purchase }, index) => purchase?.purchaseId ?? `${at} ${index}`}
      />
      {rows.length > FIRST_ROWS && (
        <button onClick={() => setAll(!all)}>
          {all ? text("showFewer") : text("showAll", { count: rows.length })}
        </button>
      )}
    </Card>
  );
}

function InHistory({ row: { purchase, basket } }: { row: Row }) {
  if (!basket) return <span class="tag error">{text("missing")}</span>;
  if (!purchase) return <span class="tag error">{text("surplus")}</span>;
  return <span class="tag success">{text("yes")}</span>;
}

function ProductLinks({ ids, name }: { ids: string[]; name: (id: string) => string }) {
  return (
    <ul class="plain">
      {ids.map((id) => (
        <li key={id}>
          <a href={href("product", [id])}>{name(id)}</a>
        </li>
      ))}
    </ul>
  );
}

const productsOf = (purchase: Purchase | undefined) => [...new Set(purchase?.lines.map(({ productId }) => productId))];

/** Purchases and baskets with the same time and products in one row, newest first. */
function besideEachOther(purchases: Purchase[], baskets: Basket[]): Row[] {
  const signature = (at: string, products: string[]) => JSON.stringify([Date.parse(at), ...[...products].sort()]);
  const open = new Map<string, Basket[]>();
  for (const basket of baskets) {
    const key = signature(basket.purchasedAt, basket.products);
    open.set(key, [...(open.get(key) ?? []), basket]);
  }
  const rows: Row[] = purchases.map((purchase) => {
    const basket = open.get(signature(purchase.purchasedAt, productsOf(purchase)))?.shift();
    return { at: purchase.purchasedAt, purchase, ...(basket ? { basket } : {}) };
  });
  const surplus = [...open.values()].flat().map((basket): Row => ({ at: basket.purchasedAt, basket }));
  return [...rows, ...surplus].sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
}
