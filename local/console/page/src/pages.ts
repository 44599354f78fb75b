// The pages, in the order of the navigation.

import type { ComponentType } from "preact";
import { CataloguePage } from "./pages/catalogue";
import { DumpsPage } from "./pages/dumps";
import { ImportPage } from "./pages/import";
import { JobsPage } from "./pages/jobs";
import { ModelsPage } from "./pages/models";
import { OverviewPage } from "./pages/overview";
import { ProductPage } from "./pages/product";
import { ShopperPage } from "./pages/shopper";
import { TablesPage } from "./pages/tables";
import type { Route } from "./route";

export interface PageProps {
  route: Route;
}

export const pages = [
  { name: "overview", Page: OverviewPage },
  { name: "shopper", Page: ShopperPage },
  { name: "product", Page: ProductPage },
  { name: "catalogue", Page: CataloguePage },
  { name: "models", Page: ModelsPage },
  { name: "jobs", Page: JobsPage },
  { name: "tables", Page: TablesPage },
  { name: "dumps", Page: DumpsPage },
  { name: "import", Page: ImportPage },
] as const satisfies { name: string; Page: ComponentType<PageProps> }[];
