// One shopper: what was bought, what the recommender knows of it, and what would be shown now.

import { useEffect, useMemo, useState } from "preact/hooks";
import { get, post, useLoad } from "../api";
import type { KnownShopper, Shopper } from "../console-api";
import { useKept } from "../kept";
import type { PageProps } from "../pages";
import { href, navigate } from "../route";
import { ago, date, number } from "../text";
import { Card, Field, Figure, Figures, PageTitle, Table } from "../ui/layout";
import { Await, Notice } from "../ui/notice";
import { HistoryCard } from "./shopper/history";
import { ListsCard } from "./shopper/lists";
import { text } from "./shopper/shopper.text";
import { TimeLineCard } from "./shopper/timeline";
import "./shop.css";

export function ShopperPage({ route }: PageProps) {
  const userId = route.path[0];
  const isVisitor = route.query.has("visitor");
  const cart = route.query.get("cart")?.split("\n") ?? [];
  return (
    <>
      <PageTitle>{userId ?? (isVisitor ? text("visitor") : text("shopper"))}</PageTitle>
      <SearchForm userId={userId} />
      {userId !== undefined ? (
        <ShopperView key={userId} userId={userId} cart={cart} />
      ) : isVisitor ? (
        <>
          <p class="muted">{text("visitorHelp")}</p>
          <ListsCard key="visitor" initialCart={cart} />
        </>
      ) : (
        <Beginning />
      )}
    </>
  );
}

function SearchForm({ userId }: { userId: string | undefined }) {
  const [typed, setTyped] = useState(userId ?? "");
  useEffect(() => setTyped(userId ?? ""), [userId]);
  return (
    <form
      class="search-form"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        if (typed !== "") navigate(href("shopper", [typed]));
      }}
    >
      <Field label={text("search")} hint={text("searchHint")}>
        {({ id, describedBy }) => (
          <input
            id={id}
            type="search"
            autoComplete="off"
            spellcheck={false}
            aria-describedby={describedBy}
            value={typed}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
        )}
      </Field>
      <button class="primary">{text("open")}</button>
      <a class="button" href={href("shopper", [], { visitor: "" })}>
        {text("visitor")}
      </a>
    </form>
  );
}

function Beginning() {
  const shoppers = useLoad("shoppers", (signal) => get<{ items: KnownShopper[] }>("/console/api/shoppers", signal));
  return (
    <Card title={text("begin")}>
      <Await of={shoppers}>
        {({ items }) => (
          <Table
            caption={text("begin")}
            columns={[
              {
                title: text("shopper"),
                cell: ({ userId }) => <a href={href("shopper", [userId])}>{userId}</a>,
              },
              { title: text("purchases"), numeric: true, cell: ({ purchases }) => number(purchases) },
              { title: text("last"), cell: ({ lastAt }) => <span title={date(lastAt)}>{ago(lastAt)}</span> },
            ]}
            rows={items}
            rowKey={({ userId }) => userId}
            empty={
              <>
                {text("beginEmpty")} <a href={href("import")}>{text("import")}</a>
              </>
            }
          />
        )}
      </Await>
    </Card>
  );
}

function ShopperView({ userId, cart }: { userId: string; cart: string[] }) {
  const loaded = useLoad(`shopper ${userId}`, (signal) => post<Shopper>("/console/api/shopper", { userId }, signal));
  const shopper = useKept(userId, loaded);
  return (
    <Await of={shopper}>
      {(value) => (
        <>
          <State shopper={value} />
          <ListsCard userId={userId} shopper={value} initialCart={cart} onPurchases={shopper.reload} />
          {value.purchases.length > 0 && (
            <div class="beside">
              <TimeLineCard purchases={value.purchases} />
              <HistoryCard shopper={value} />
            </div>
          )}
        </>
      )}
    </Await>
  );
}

function State({ shopper }: { shopper: Shopper }) {
  const { purchases, history, matches, erased, damaged, userId } = shopper;
  const products = useMemo(
    () => new Set(purchases.flatMap(({ lines }) => lines.map(({ productId }) => productId))).size,
    [purchases],
  );
  const newest = purchases[0];
  const oldest = purchases.at(-1);
  return (
    <>
      {erased && (
        <Notice kind="info" title={text("erased")}>
          <p>{text("erasedHelp")}</p>
        </Notice>
      )}
      {damaged > 0 && (
        <Notice kind="warning" title={text("damaged", { count: damaged })}>
          <p>{text("damagedHelp")}</p>
        </Notice>
      )}
      {!newest && !erased && (
        <Notice kind="info" title={text("unknown", { id: userId })}>
          <p>{text("unknownHelp")}</p>
        </Notice>
      )}
      {!matches && (
        <Notice kind="warning" title={`${text("history")}: ${text("differs")}`}>
          <p>{text("differsHelp")}</p>
          <p>
            <a href={href("jobs")}>{text("openJobs")}</a>
          </p>
        </Notice>
      )}
      {newest && oldest && (
        <Figures>
          <Figure name={text("purchases")} value={purchases.length >= 100 ? "≥ 100" : number(purchases.length)} />
          <Figure name={text("products")} value={number(products)} />
          <Figure name={text("last")} value={ago(newest.purchasedAt)} hint={date(newest.purchasedAt)} />
          <Figure name={text("first")} value={ago(oldest.purchasedAt)} hint={date(oldest.purchasedAt)} />
          <Figure
            name={text("history")}
            value={history ? number(history.baskets.length) : "–"}
            hint={matches ? text("matches") : text("differs")}
          />
        </Figures>
      )}
    </>
  );
}
