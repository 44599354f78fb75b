// One product: what is sold of it, what goes with it, where it is shown, and why it is not.

import { post, useLoad } from "../api";
import type { ProductFacts } from "../console-api";
import { useKept } from "../kept";
import type { PageProps } from "../pages";
import { href, navigate } from "../route";
import { getPopular } from "../shop";
import { date } from "../text";
import { Card, Grid, PageTitle } from "../ui/layout";
import { Await, Notice } from "../ui/notice";
import { ProductSearch } from "../ui/product-search";
import { RankedList } from "../ui/ranked-list";
import { ProductCard } from "./product/card";
import { AppearsIn, Related } from "./product/lists";
import { ProductStatistics } from "./product/statistics";
import { text } from "./product/product.text";
import "./shop.css";
import { whyNotText } from "./product/why-not.text";

export function ProductPage({ route }: PageProps) {
  const productId = route.path[0];
  const search = <ProductSearch label={text("search")} onPick={(found) => navigate(href("product", [found]))} />;
  if (productId !== undefined) return <ProductView key={productId} productId={productId} search={search} />;
  return (
    <>
      <PageTitle>{text("product")}</PageTitle>
      {search}
      <Beginning />
    </>
  );
}

function Beginning() {
  const popular = useLoad("popular", (signal) => getPopular("month", undefined, 20, signal));
  return (
    <Card title={text("begin")}>
      <p class="muted">{text("beginHelp")}</p>
      <Await of={popular}>
        {({ items }) => (
          <div class="columns">
            <RankedList items={items} />
          </div>
        )}
      </Await>
    </Card>
  );
}

function ProductView({ productId, search }: { productId: string; search: preact.JSX.Element }) {
  const loaded = useLoad(`product ${productId}`, (signal) =>
    post<ProductFacts>("/console/api/product", { productId }, signal),
  );
  const facts = useKept(productId, loaded);
  const card = facts.value?.card;
  return (
    <>
      <PageTitle
        actions={
          <>
            <a class="button" href={href("shopper", [], { visitor: "", cart: productId })}>
              {text("tryInCart")}
            </a>
            <a class="button" href={href("catalogue", [productId])}>
              {text("edit")}
            </a>
          </>
        }
      >
        {card?.name ?? productId}
      </PageTitle>
      {search}
      <Await of={facts}>
        {(value) => (
          <>
            <WhyNot facts={value} />
            <Grid halves>
              <ProductCard facts={value} />
              <ProductStatistics statistics={value.statistics} reload={facts.reload} />
              <Related key={`together ${productId}`} productId={productId} kind="together" />
              <Related key={`similar ${productId}`} productId={productId} kind="similar" />
              <AppearsIn facts={value} />
            </Grid>
          </>
        )}
      </Await>
    </>
  );
}

/** Codes of what keeps a product out of all lists; the others only make it rare. */
const BARRED = ["unknown_product", "not_in_catalogue", "damaged", "unavailable"];

function WhyNot({ facts: { whyNot } }: { facts: ProductFacts }) {
  if (whyNot.length === 0) return null;
  const isBarred = whyNot.some(({ code }) => BARRED.includes(code));
  return (
    <Notice kind={isBarred ? "warning" : "info"} title={text(isBarred ? "whyNot" : "whyRarely")}>
      <ul>
        {whyNot.map(({ code, values }) => (
          <li key={code}>{whyNotText(code, readable(values)) ?? <code>{code}</code>}</li>
        ))}
      </ul>
    </Notice>
  );
}

function readable({ trainedAt, version, ...values }: ProductFacts["whyNot"][number]["values"]) {
  return {
    ...values,
    ...(typeof trainedAt === "string" ? { trainedAt: date(trainedAt) } : {}),
    ...(version === undefined ? {} : { version: String(version) }),
    ...(values.buyers === undefined ? {} : { count: values.buyers }),
  };
}
