// The products that the page knows: the first ones of the catalogue, more if they are asked for, and those that others
// name. There is one such list for all pages of the tab.

import { useEffect, useState } from "preact/hooks";
import { Problem } from "./api";
import { prepareSearch } from "./search";
import { getProduct, listProducts, type Product } from "./shop";

/** So many are loaded without being asked for: twenty pages. */
const FIRST = 2_000;
/** Older than this they are loaded again when a page needs them. */
const FRESH_MS = 5 * 60_000;
const LOOKUPS_AT_A_TIME = 6;
const RETRY_MS = 10_000;
const SHOW_MS = 300;

export interface KnownProducts {
  products: readonly Product[];
  complete: boolean;
  loading: boolean;
  problem?: Problem;
  /** When the load of these began. */
  since: number;
}

let known: KnownProducts = { products: [], complete: false, loading: false, since: 0 };
let cursor: string | undefined;
let running: AbortController | undefined;
const listeners = new Set<() => void>();

const cards = new Map<string, Product | "unknown">();
const wanted = new Set<string>();
let lookups = 0;
let noLookupsBefore = 0;

function publish(change: Partial<KnownProducts>): void {
  known = { ...known, ...change };
  notify();
}

function notify(): void {
  for (const listener of listeners) listener();
}

function useChanges(): void {
  const [, setRevision] = useState(0);
  useEffect(() => {
    const listener = () => setRevision((n) => n + 1);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
}

async function loadUpTo(count: number): Promise<void> {
  running?.abort();
  const controller = new AbortController();
  running = controller;
  const { problem: _, ...before } = known;
  known = { ...before, loading: true };
  notify();
  const arrived: Product[] = [];
  let shownAt = 0;
  // Not with each page: of a large catalogue there are a thousand.
  const show = () => {
    publish({ products: known.products.concat(arrived.splice(0)), complete: cursor === undefined });
    shownAt = Date.now();
  };
  try {
    let isComplete = known.complete;
    while (known.products.length + arrived.length < count && !isComplete) {
      const page = await listProducts({ cursor }, controller.signal);
      controller.signal.throwIfAborted();
      for (const product of page.items) cards.set(product.productId, product);
      prepareSearch(page.items);
      arrived.push(...page.items);
      cursor = page.cursor;
      isComplete = cursor === undefined;
      if (isComplete || Date.now() - shownAt > SHOW_MS) show();
    }
    if (arrived.length > 0) show();
    publish({ loading: false });
  } catch (error) {
    // One that another load took the place of has nothing to show any more.
    if (running !== controller) return;
    if (arrived.length > 0) show();
    if (controller.signal.aborted) return;
    publish({ loading: false, problem: error instanceof Problem ? error : new Problem(0, "failed", String(error)) });
  }
}

export function loadAllProducts(): void {
  void loadUpTo(Infinity);
}

export function stopLoadingProducts(): void {
  running?.abort();
  publish({ loading: false });
}

export function reloadProducts(): void {
  cursor = undefined;
  cards.clear();
  known = { products: [], complete: false, loading: false, since: Date.now() };
  void loadUpTo(FIRST);
}

/** The products that are loaded; the first use loads the first of them. */
export function useProducts(): KnownProducts {
  useChanges();
  useEffect(() => {
    const isOld = Date.now() - known.since > FRESH_MS && known.products.length <= FIRST;
    if (!known.loading && isOld) reloadProducts();
  }, []);
  return known;
}

/** Takes over what was read or saved elsewhere. */
export function rememberProduct(product: Product): void {
  cards.set(product.productId, product);
  publish({ products: known.products.map((old) => (old.productId === product.productId ? product : old)) });
}

/**
 * The names of products: their ids until they are known, and for those that the catalogue does not have. What is not
 * loaded yet is looked up one by one.
 */
export function useNames(ids: readonly string[]): (productId: string) => string {
  useChanges();
  useEffect(() => {
    for (const id of ids) if (!cards.has(id)) wanted.add(id);
    if (known.loading || Date.now() < noLookupsBefore) return;
    while (lookups < LOOKUPS_AT_A_TIME && wanted.size > 0) void lookUp();
  });
  return nameOf;
}

export function nameOf(productId: string): string {
  const card = cards.get(productId);
  return card === undefined || card === "unknown" ? productId : card.name;
}

export function cardOf(productId: string): Product | undefined {
  const card = cards.get(productId);
  return card === "unknown" ? undefined : card;
}

async function lookUp(): Promise<void> {
  lookups += 1;
  try {
    for (const id of wanted) {
      wanted.delete(id);
      if (cards.has(id)) continue;
      cards.set(id, await cardFromServer(id));
    }
  } catch {
    // The ids stand for the names meanwhile.
    noLookupsBefore = Date.now() + RETRY_MS;
    wanted.clear();
  } finally {
    lookups -= 1;
    notify();
  }
}

async function cardFromServer(productId: string): Promise<Product | "unknown"> {
  try {
    return await getProduct(productId);
  } catch (error) {
    if (error instanceof Problem && error.status >= 400 && error.status < 500) return "unknown";
    throw error;
  }
}
