// The shop's own calls of the public API, with the types that are generated from openapi.yaml.

import { call, get, post } from "./api";
import type { components } from "./api-types";

type Schemas = components["schemas"];

export type Product = Schemas["Product"];
export type ProductDescription = Schemas["ProductDescription"];
export type ProductPage = Schemas["ProductPage"];
export type Purchase = Schemas["Purchase"];
export type NewPurchase = Schemas["NewPurchase"];
export type Answer = Schemas["Answer"];
export type RecommendedProduct = Schemas["RecommendedProduct"];
export type Reason = Schemas["Reason"];
export type ModelPage = Schemas["ModelPage"];
export type Money = Schemas["Money"];

export const popularWindows = ["day", "week", "month", "all"] as const;
export type PopularWindow = (typeof popularWindows)[number];

// Product ids are given as a query parameter everywhere: no path carries all of them.
const productPath = (path: string, productId: string, rest: Record<string, string> = {}) =>
  `${path}?${new URLSearchParams({ productId, ...rest })}`;

export const getProduct = (productId: string, signal?: AbortSignal) =>
  get<Product>(productPath("/products", productId), signal);

export const putProduct = (productId: string, description: ProductDescription) =>
  call<Product>("PUT", productPath("/products", productId), { body: description });

export function listProducts(
  { category, cursor }: { category?: string | undefined; cursor?: string | undefined },
  signal?: AbortSignal,
) {
  const query = new URLSearchParams({ limit: "100" });
  if (category !== undefined) query.set("category", category);
  if (cursor !== undefined) query.set("cursor", cursor);
  return get<ProductPage>(`/products?${query}`, signal);
}

/** The scenario under which the page's own requests are counted, apart from those of the shop's pages. */
const SCENARIO = "console";

export const getRelated = (productId: string, kind: "together" | "similar", limit: number, signal?: AbortSignal) =>
  get<Answer>(productPath("/products/related", productId, { kind, limit: String(limit), scenario: SCENARIO }), signal);

export function getPopular(window: PopularWindow, category: string | undefined, limit: number, signal?: AbortSignal) {
  const query = new URLSearchParams({ window, limit: String(limit), scenario: SCENARIO });
  if (category !== undefined) query.set("category", category);
  return get<Answer>(`/products/popular?${query}`, signal);
}

export const recordPurchase = (purchase: NewPurchase) => post<Purchase>("/purchases", purchase);

export const removePurchase = (userId: string, purchaseId: string) =>
  call<void>("DELETE", `/users/${encodeURIComponent(userId)}/purchases/${encodeURIComponent(purchaseId)}`);

export const getModels = (signal?: AbortSignal) => get<ModelPage>("/models", signal);
