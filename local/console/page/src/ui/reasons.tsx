// Why a product is in a list: each reason opens to the products and counts that it rests on.

import { href } from "../route";
import type { Purchase, Reason } from "../shop";
import { date, number, percent } from "../text";
import { Table } from "./layout";
import { text } from "./reasons.text";

interface ReasonsProps {
  reasons: readonly Reason[];
  /** The purchases behind "you bought it", where they are known. */
  purchasesOf?: ((productId: string) => Purchase[]) | undefined;
  productId: string;
}

export function Reasons({ reasons, purchasesOf, productId }: ReasonsProps) {
  return (
    <ul class="reasons">
      {reasons.map((reason, index) => (
        <li key={index}>
          <details>
            <summary>
              {reason.text}{" "}
              {reason.share > 0 && reasons.length > 1 && (
                <span class="share">{text("share", { share: percent(reason.share) })}</span>
              )}
            </summary>
            <div class="evidence">
              <Evidence reason={reason} purchases={purchasesOf?.(productId) ?? []} />
            </div>
          </details>
        </li>
      ))}
    </ul>
  );
}

function Evidence({ reason, purchases }: { reason: Reason; purchases: Purchase[] }) {
  switch (reason.kind) {
    case "boughtAgain":
      return (
        <>
          <p>
            {text("boughtAgain", {
              times: reason.times,
              purchases: reason.purchases,
              last: date(reason.lastPurchasedAt),
            })}
          </p>
          {purchases.length > 0 && (
            <p>{text("inPurchases", { dates: purchases.map(({ purchasedAt }) => date(purchasedAt)).join(" · ") })}</p>
          )}
        </>
      );
    case "boughtNext":
    case "boughtTogether":
    case "boughtBySameShoppers":
      return (
        <Table
          caption={text("evidence")}
          columns={[
            { title: text("product"), cell: (row) => <a href={href("product", [row.productId])}>{row.name}</a> },
            {
              title: text(reason.kind === "boughtTogether" ? "baskets" : "shoppers"),
              numeric: true,
              cell: (row) => (row.atLeast ? text("atLeast", { count: row.count }) : number(row.count)),
            },
          ]}
          rows={reason.because}
          rowKey={(row) => row.productId}
        />
      );
    case "popular":
      return <p>{popularity(reason)}</p>;
    case "pinned":
    case "catalogue":
      return <p>{text(reason.kind)}</p>;
  }
}

function popularity(reason: Extract<Reason, { kind: "popular" }>): string {
  const { baskets, purchases, since, until, shoppers } = reason;
  if (baskets === undefined || purchases === undefined) return text("popularShoppers", { shoppers: shoppers ?? 0 });
  if (since === undefined || until === undefined) return text("popularBaskets", { baskets, purchases });
  return text("popularBetween", { baskets, purchases, since: date(since), until: date(until) });
}
