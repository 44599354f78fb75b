// What models are measured by, and the methods that they are measured against.

import type { Evaluation, ModelMetrics, Quality } from "../../console-api";
import { decimal, number } from "../../text";

export const LENGTHS = [5, 10, 20] as const;

export const MEASURES = ["ndcg", "recall", "hitRate", "repeatRecall", "exploreRecall", "coverage"] as const;
export type Measure = (typeof MEASURES)[number];

/** The model last: what it is compared with comes first. */
export const BASELINES = ["handFormula", "gpTopFreq", "pTopFreq", "gTopFreq"] as const;
export type Method = "model" | (typeof BASELINES)[number];

export function measured(metrics: ModelMetrics | undefined, method: Method, measure: Measure, k: number) {
  const evaluation: Evaluation | undefined = metrics?.[method];
  // The products of all lists are counted once, for the longest of them.
  if (measure === "coverage") return evaluation?.coverage;
  const quality: Quality | undefined = evaluation?.at.find((one) => one.k === k);
  return quality?.[measure];
}

export function measureText(measure: Measure, value: number | undefined): string {
  if (value === undefined) return "–";
  return measure === "coverage" ? number(value) : decimal(value, 3);
}
