// What the shop has and what is popular in it; one product can be edited.

import { get, useLoad } from "../api";
import type { ShopStatistics } from "../console-api";
import { useKept } from "../kept";
import type { PageProps } from "../pages";
import { Card, PageTitle } from "../ui/layout";
import { Await } from "../ui/notice";
import { ProductEditor } from "./catalogue/editor";
import { PopularCard } from "./catalogue/popular";
import { ProductsCard } from "./catalogue/products";
import { text } from "./catalogue/catalogue.text";
import { PendingStatistics, SalesByWeek } from "./product/statistics";
import "./shop.css";

export function CataloguePage({ route }: PageProps) {
  const edited = route.path[0];
  if (edited !== undefined) return <ProductEditor key={edited} productId={edited} />;
  const category = route.query.get("category") ?? undefined;
  return (
    <>
      <PageTitle>{text("catalogue")}</PageTitle>
      <ProductsCard category={category} />
      <PopularCard category={category} />
      <ShopSales />
    </>
  );
}

function ShopSales() {
  const statistics = useKept(
    "",
    useLoad("statistics", (signal) => get<ShopStatistics>("/console/api/statistics", signal)),
  );
  return (
    <Card title={text("shopSales")}>
      <Await of={statistics}>
        {(value) =>
          value.state === "ready" ? (
            <SalesByWeek weeks={value.totals.weeks} />
          ) : (
            <PendingStatistics pending={value} reload={statistics.reload} />
          )
        }
      </Await>
    </Card>
  );
}
