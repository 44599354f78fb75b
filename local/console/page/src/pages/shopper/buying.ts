// Records a real purchase and waits until the history has it, as the next answer will.

import { useEffect, useRef, useState } from "preact/hooks";
import { post, Problem } from "../../api";
import type { Shopper } from "../../console-api";
import { cardOf } from "../../products";
import { recordPurchase, removePurchase, type Money, type Purchase } from "../../shop";

const POLL_MS = 150;
const LATE_MS = 20_000;

export type Buying =
  | { phase: "idle" }
  | { phase: "sending" | "undone" }
  | { phase: "following" | "followed" | "late"; purchase: Purchase; ms: number }
  | { phase: "failed"; problem: Problem };

export interface Bought {
  productId: string;
  unitPrice?: Money | undefined;
}

export function useBuying(userId: string | undefined, onPurchases: () => void) {
  const [buying, setBuying] = useState<Buying>({ phase: "idle" });
  const shown = useRef(true);
  useEffect(() => {
    shown.current = true;
    return () => void (shown.current = false);
  }, []);
  // The same content has the same id until it is recorded, so that a lost answer makes no second purchase.
  const pending = useRef<{ content: string; purchaseId: string }>();

  async function follow(isThere: (shopper: Shopper) => boolean): Promise<number | undefined> {
    const started = performance.now();
    while (performance.now() - started < LATE_MS) {
      const shopper = await post<Shopper>("/console/api/shopper", { userId });
      if (shopper.matches && isThere(shopper)) return Math.round(performance.now() - started);
      if (!shown.current) return undefined;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return undefined;
  }

  async function guarded(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      setBuying({
        phase: "failed",
        problem: error instanceof Problem ? error : new Problem(0, "failed", String(error)),
      });
      return false;
    } finally {
      onPurchases();
    }
  }

  /** Whether it was recorded. */
  function buy(products: Bought[]): Promise<boolean> {
    return guarded(async () => {
      if (userId === undefined) return;
      setBuying({ phase: "sending" });
      const lines = products.map(({ productId, unitPrice = cardOf(productId)?.price }) => ({
        productId,
        quantity: 1,
        ...(unitPrice ? { unitPrice } : {}),
      }));
      const content = JSON.stringify([userId, lines]);
      if (pending.current?.content !== content) {
        pending.current = { content, purchaseId: `console-${crypto.randomUUID()}` };
      }
      const { purchaseId } = pending.current;
      const purchase = await recordPurchase({ purchaseId, userId, lines });
      pending.current = undefined;
      setBuying({ phase: "following", purchase, ms: 0 });
      const ms = await follow(({ purchases }) => purchases.some((other) => other.purchaseId === purchaseId));
      setBuying({ phase: ms === undefined ? "late" : "followed", purchase, ms: ms ?? LATE_MS });
    });
  }

  function undo(purchase: Purchase): Promise<boolean> {
    return guarded(async () => {
      setBuying({ phase: "sending" });
      await removePurchase(purchase.userId, purchase.purchaseId);
      await follow(({ purchases }) => purchases.every(({ purchaseId }) => purchaseId !== purchase.purchaseId));
      setBuying({ phase: "undone" });
    });
  }

  return { buying, buy, undo, dismiss: () => setBuying({ phase: "idle" }) };
}
