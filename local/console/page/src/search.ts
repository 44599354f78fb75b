// Search by words in names and ids of the products that are loaded.

import type { Product } from "./shop";

const haystacks = new WeakMap<Product, string>();
/** Those of a whole list in its order: a search then only goes through texts. */
const listHaystacks = new WeakMap<readonly Product[], string[]>();

const folded = (text: string) => text.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "");

function haystack(product: Product): string {
  let text = haystacks.get(product);
  if (text === undefined) {
    text = folded(`${product.name} ${product.productId}`);
    haystacks.set(product, text);
  }
  return text;
}

/** Does the slow part of a search before it is asked for. */
export function prepareSearch(products: readonly Product[]): void {
  for (const product of products) haystack(product);
}

/** Those that have every word, at most `limit` of them. */
export function searchProducts(products: readonly Product[], query: string, limit = Infinity): Product[] {
  const words = folded(query).split(/\s+/).filter(Boolean);
  let texts = listHaystacks.get(products);
  if (texts === undefined) {
    texts = products.map(haystack);
    listHaystacks.set(products, texts);
  }
  const found: Product[] = [];
  for (const [index, product] of products.entries()) {
    if (found.length >= limit) break;
    const text = texts[index] ?? "";
    if (words.every((word) => text.includes(word))) found.push(product);
  }
  return found;
}
