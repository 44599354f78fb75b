// A product as it is being edited: what is typed, what is wrong with it, and what differs from what is stored.

import type { ProductChange } from "../../console-api";
import { amountText, minorUnits } from "../../price";
import type { Money, Product, ProductDescription } from "../../shop";

export interface Draft {
  available: boolean;
  categories: string[];
  /** As it is typed; empty for no price. */
  amount: string;
  currency: string;
}

export function draftOf({ available, categories, price }: Product, usualCurrency: string): Draft {
  return {
    available,
    categories,
    amount: price ? amountText(price) : "",
    currency: price?.currency ?? usualCurrency,
  };
}

export interface DraftErrors {
  amount: boolean;
  currency: boolean;
}

export function errorsOf({ amount, currency }: Draft): DraftErrors {
  const hasAmount = amount.trim() !== "";
  const currencyIsWrong = hasAmount && !/^[A-Z]{3}$/.test(currency);
  return {
    currency: currencyIsWrong,
    amount: hasAmount && !currencyIsWrong && minorUnits(amount, currency) === undefined,
  };
}

function priceOf({ amount, currency }: Draft): Money | undefined {
  const units = amount.trim() === "" ? undefined : minorUnits(amount, currency);
  return units === undefined ? undefined : { amount: units, currency };
}

/** What differs from the stored product; `undefined` if nothing does. */
export function changeOf(product: Product, draft: Draft): ProductChange | undefined {
  const price = priceOf(draft);
  const change: ProductChange = {
    ...(draft.available === product.available ? {} : { available: draft.available }),
    ...(isSame(draft.categories, product.categories) ? {} : { categories: draft.categories }),
    ...(isSame(price ?? null, product.price ?? null) ? {} : { price: price ?? null }),
  };
  return Object.keys(change).length > 0 ? change : undefined;
}

function isSame(a: string[] | Money | null, b: string[] | Money | null): boolean {
  if (a === null || b === null || Array.isArray(a) || Array.isArray(b)) return JSON.stringify(a) === JSON.stringify(b);
  return a.amount === b.amount && a.currency === b.currency;
}

/** The whole product with the changes, since a product is written whole. */
export function descriptionOf(product: Product, draft: Draft): ProductDescription {
  const price = priceOf(draft);
  return {
    name: product.name,
    categories: draft.categories,
    available: draft.available,
    ...(price ? { price } : {}),
    ...(product.attributes ? { attributes: product.attributes } : {}),
  };
}
