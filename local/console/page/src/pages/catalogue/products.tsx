// All products, by category and words, over what is loaded.

import { useEffect, useMemo, useState } from "preact/hooks";
import { useLoad } from "../../api";
import { price } from "../../price";
import { loadAllProducts, reloadProducts, stopLoadingProducts, useProducts } from "../../products";
import { href, navigate } from "../../route";
import { searchProducts } from "../../search";
import { listProducts, type Product } from "../../shop";
import { date } from "../../text";
import { Card, Field, Table } from "../../ui/layout";
import { Await, Failure } from "../../ui/notice";
import { CategoryChoice } from "./categories";
import { text } from "./catalogue.text";

const ROWS = 25;
const CATEGORY_PAGES = 20;

export function ProductsCard({ category }: { category: string | undefined }) {
  const known = useProducts();
  const actions = known.loading ? (
    <>
      <span class="muted">{text("loadingRest", { count: known.products.length })}</span>
      <button onClick={stopLoadingProducts}>{text("stop")}</button>
    </>
  ) : (
    <>
      {!known.complete && <button onClick={loadAllProducts}>{text("loadRest")}</button>}
      <button onClick={reloadProducts}>{text("reload")}</button>
    </>
  );
  // Of a category the server has an index: without all products it is asked for.
  const isAsked = category !== undefined && !known.complete && !known.loading;
  return (
    <Card title={text("products")} actions={actions}>
      {known.problem && <Failure problem={known.problem} retry={reloadProducts} />}
      {isAsked ? (
        <OfCategory key={category} category={category} />
      ) : (
        <Products products={known.products} complete={known.complete} category={category} />
      )}
    </Card>
  );
}

function OfCategory({ category }: { category: string }) {
  const loaded = useLoad(`category ${category}`, (signal) => productsOf(category, signal));
  return (
    <Await of={loaded}>
      {({ products, complete }) => (
        <>
          <Products products={products} complete={complete} category={category} />
          {!complete && <p class="muted">{text("partOfCategory", { count: products.length })}</p>}
        </>
      )}
    </Await>
  );
}

async function productsOf(category: string, signal: AbortSignal) {
  const products: Product[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < CATEGORY_PAGES; page += 1) {
    const next = await listProducts({ category, cursor }, signal);
    products.push(...next.items);
    cursor = next.cursor;
    if (cursor === undefined) break;
  }
  return { products, complete: cursor === undefined };
}

interface ProductsProps {
  products: readonly Product[];
  complete: boolean;
  category: string | undefined;
}

function Products({ products, complete, category }: ProductsProps) {
  const [query, setQuery] = useState("");
  const [availability, setAvailability] = useState<"any" | "available" | "notAvailable">("any");
  const [rows, setRows] = useState(ROWS);
  useEffect(() => setRows(ROWS), [query, availability, category]);
  const found = useMemo(
    () =>
      searchProducts(products, query).filter(
        ({ available, categories }) =>
          (availability === "any" || available === (availability === "available")) &&
          (category === undefined || categories.includes(category)),
      ),
    [products, query, availability, category],
  );
  const more = found.length - rows;
  return (
    <>
      <div class="filters">
        <Field label={text("find")} hint={text("findHint")}>
          {({ id, describedBy }) => (
            <input
              id={id}
              type="search"
              aria-describedby={describedBy}
              value={query}
              onInput={(event) => setQuery(event.currentTarget.value)}
            />
          )}
        </Field>
        <CategoryChoice
          category={category}
          choose={(chosen) => navigate(href("catalogue", [], { category: chosen }))}
        />
        <Field label={text("availability")}>
          {({ id }) => (
            <select
              id={id}
              value={availability}
              onChange={(event) => setAvailability(event.currentTarget.value as typeof availability)}
            >
              {(["any", "available", "notAvailable"] as const).map((name) => (
                <option key={name} value={name}>
                  {text(name)}
                </option>
              ))}
            </select>
          )}
        </Field>
      </div>
      <p class="muted" role="status">
        {text(complete ? "foundAll" : "found", { count: found.length, loaded: products.length })}
      </p>
      <ProductTable products={found.slice(0, rows)} isEmpty={complete && products.length === 0} />
      {more > 0 && (
        <button onClick={() => setRows(rows + 4 * ROWS)}>{text("more", { count: Math.min(more, 4 * ROWS) })}</button>
      )}
    </>
  );
}

function ProductTable({ products, isEmpty }: { products: Product[]; isEmpty: boolean }) {
  return (
    <Table
      caption={text("products")}
      columns={[
        {
          title: text("product"),
          cell: ({ productId, name }) => (
            <>
              <a href={href("product", [productId])}>{name}</a>
              <br />
              <code class="muted">{productId}</code>
            </>
          ),
        },
        { title: text("categories"), cell: ({ categories }) => categories.join(" · ") },
        { title: text("price"), numeric: true, cell: (product) => (product.price ? price(product.price) : "–") },
        {
          title: text("availability"),
          cell: ({ available }) =>
            available ? (
              <span class="tag success">{text("available")}</span>
            ) : (
              <span class="tag error">{text("notAvailable")}</span>
            ),
        },
        { title: text("updated"), cell: ({ updatedAt }) => date(updatedAt) },
        {
          title: text("edit"),
          cell: ({ productId, name }) => (
            <a href={href("catalogue", [productId])} aria-label={text("editOne", { name })}>
              {text("edit")}
            </a>
          ),
        },
      ]}
      rows={products}
      rowKey={({ productId }) => productId}
      empty={
        isEmpty ? (
          <>
            {text("empty")} <a href={href("import")}>{text("import")}</a>
          </>
        ) : (
          text("none")
        )
      }
    />
  );
}
