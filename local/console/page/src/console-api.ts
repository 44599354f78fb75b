// What the routes under /console/api answer. The public API's types are generated from openapi.yaml.

import type { components } from "./api-types";
import type { Money, PopularWindow, Product, Purchase } from "./shop";
export interface Session {
  version: string;
  place: { kind: "memory" | "folder" | "aws"; name: string; region?: string; account?: string; stack?: string };
  writable: boolean;
  now: string;
  tables: { products: string; purchases: string; history: string; model: string; operations: string };
  buckets: { jobs: string; dumps: string };
}

// Overview

export interface Overview {
  now: string;
  attention: Attention[];
  freshness: Freshness | null;
  traffic: Traffic;
  model: { live?: ModelSummary; previous?: ModelSummary };
  jobs: { running: Job[]; failed: Job[]; lastTraining?: Job };
  dumps: DumpAge[];
  cost: Cost;
}

export interface Attention {
  code: string;
  severity: "error" | "warning" | "info";
  values: Record<string, string | number>;
  /** Where to look, as an address of this page. */
  link?: string;
}

/** The time from a purchase to the history that has it. */
export interface Freshness {
  medianMs: number;
  maxMs: number;
  samples: number;
  /** Purchases that are not in a history yet, if that is known. */
  behind?: number;
  oldestAt?: string;
}

export interface Traffic {
  since: string;
  answers: number;
  conversions: number;
  purchases: number;
  errors: number;
  byHour: { at: string; answers: number; conversions: number; purchases: number; errors: number }[];
}

export interface ModelSummary {
  version: number;
  trainedAt: string;
  recall10?: number;
  ndcg10?: number;
  ranker?: boolean;
}

export interface DumpAge {
  table: string;
  lastGoodAt?: string;
  items?: number;
  verifiedAt?: string;
  scheduled: boolean;
}

export interface Cost {
  since: string;
  readUnits: number;
  writeUnits: number;
  /** Once an hour was measured. */
  usdPerDay?: number;
  /** What was measured, by table; `usd` is of the whole time since. */
  parts: { table: string; readUnits: number; writeUnits: number; storedBytes?: number; usd: number }[];
  /** What the figures are of, as a code. */
  note: string;
}

// Models

/** What a training stores of how good its model is. */
export interface ModelMetrics {
  model?: Evaluation;
  gTopFreq?: Evaluation;
  pTopFreq?: Evaluation;
  gpTopFreq?: Evaluation;
  handFormula?: Evaluation;
  ranker?: RankerReport;
}

export interface Evaluation {
  users: number;
  at: Quality[];
  coverage: number;
}

export interface Quality {
  k: number;
  recall: number;
  ndcg: number;
  hitRate: number;
  repeatRecall: number;
  exploreRecall: number;
}

/** A mean with its 95 % interval, where there are enough users for one. */
export interface Estimate {
  mean: number;
  interval: [number, number] | null;
}

/** How the gate of a training compared its model with the live one, by nDCG@10. */
export interface GateComparison {
  new: number;
  live: number;
  difference: [number, number] | null;
  liveVersion: number;
  by: "basketsSinceLive" | "ownHeldOut";
  baskets: number;
  gate: number;
}

export interface RankerReport {
  used: boolean;
  reason: string;
  baskets: number;
  trees: number;
  time: { features: "standing" | "elapsed"; tried: { baskets: number; gain: number } | null } | null;
  ndcg: number | null;
  handNdcg: number | null;
  difference: Estimate | null;
  features: { name: string; weight: number; gain: number }[];
}

export interface ModelDetails {
  version: number;
  live: boolean;
  products: number;
  users: number;
  purchases: number;
  ranker: {
    time: string;
    columns: { name: string; weight: number }[];
    trees: number;
    features: { name: string; splits: number; gain?: number }[];
  } | null;
  cartWeight?: number;
  parameters: Record<string, unknown>;
}

export interface Training {
  /** Of a model whose job is no longer kept there is neither. */
  jobId?: string;
  state?: Job["state"];
  startedAt?: string;
  endedAt?: string;
  version?: number;
  metrics?: ModelMetrics;
  reason?: string;
}

// Shopper, product, catalogue

export interface KnownShopper {
  userId: string;
  purchases: number;
  lastAt: string;
}

export interface Shopper {
  userId: string;
  erased: boolean;
  /** Newest first, at most 100. */
  purchases: Purchase[];
  /** Damaged items among the purchases. */
  damaged: number;
  history: ShopperHistory | null;
  /** Whether the history is what follows from the purchases. */
  matches: boolean;
}

export interface ShopperHistory {
  /** Newest first. */
  baskets: Basket[];
  bytes: number;
  isComplete: boolean;
  version: string;
}

export interface Basket {
  purchasedAt: string;
  products: string[];
}

export interface ListQuestion {
  userId?: string;
  basket: string[];
  limit: number;
  at?: string;
  model?: number;
  /** Purchases that are assumed and not stored. */
  purchases?: Basket[];
}

export interface ProductFacts {
  productId: string;
  card?: Product;
  inModel: boolean;
  model?: { users: number; baskets: number; rank: number; repeatShare: number };
  popular: { window: PopularWindow; category?: string; rank: number; of: number }[];
  appearsIn: { list: "together" | "similar" | "next"; productId: string; name: string; rank: number; count: number }[];
  whyNot: { code: string; values: Record<string, string | number> }[];
  statistics: Statistics;
}

export type Statistics =
  { state: "ready"; asOf: string; purchases: number; weeks: SalesWeek[]; repurchase: Repurchase } | StatisticsPending;

/** Of the shop as a whole. */
export type ShopStatistics =
  | { state: "ready"; asOf: string; purchases: number; damaged: number; totals: { weeks: SalesWeek[] } }
  | StatisticsPending;

/** The purchases are being read, or reading them has to be asked for. */
export type StatisticsPending =
  | { state: "reading"; done: number; total: number }
  | { state: "ask"; items: number; bytes: number; readUnits: number; usd: number; failure?: string };

export interface SalesWeek {
  /** The Monday that it begins with. */
  week: string;
  purchases: number;
  quantity: number;
  revenue?: Money;
}

export interface Repurchase {
  buyers: number;
  againBuyers: number;
  /** The share of the buyers who bought it again within so many days. */
  curve: { days: number; share: number }[];
  medianDays?: number;
}

export interface ProductChange {
  available?: boolean;
  categories?: string[];
  price?: Money | null;
}

export type PreviewedList =
  | { kind: "popular"; window: PopularWindow; category?: string }
  | { kind: "shopper"; userId: string }
  | { kind: "related"; productId: string };

export interface Preview {
  lists: { list: PreviewedList; before: NamedProduct[]; after: NamedProduct[] }[];
}

export interface NamedProduct {
  productId: string;
  name: string;
}

// Jobs

export type Job = components["schemas"]["JobParts"];
export type JobView = components["schemas"]["JobView"];
export type JobStage = components["schemas"]["JobStage"];
export type JobEstimate = components["schemas"]["Estimate"];

export interface JobKind {
  kind: string;
  description: string;
  writesTables: boolean;
  schema: Schema;
}

/** The parts of JSON Schema that parameters are described with. */
export interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema | boolean>;
  title?: string;
  description?: string;
  type?: string | string[];
  format?: string;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  examples?: unknown[];
  properties?: Record<string, Schema | boolean>;
  required?: string[];
  additionalProperties?: Schema | boolean;
  items?: Schema | boolean;
  anyOf?: (Schema | boolean)[];
  oneOf?: (Schema | boolean)[];
  allOf?: (Schema | boolean)[];
  minimum?: number;
  maximum?: number;
  /** The unit of a number. */
  "x-unit"?: string;
  /** `run` for what decides how a job runs, and not what it does. */
  "x-group"?: string;
}

export interface JobBatch {
  stage: number;
  batch: number;
  state: string;
  attempts: number;
  holder?: string;
  error?: string;
  startedAt?: string;
  endedAt?: string;
  counts?: Record<string, number>;
}

/** The value of an attribute in DynamoDB's own JSON. Numbers stay text, so that all of their 38 digits stay. */
export type AttributeValue =
  | { S: string }
  | { N: string }
  | { B: string }
  | { BOOL: boolean }
  | { NULL: true }
  | { SS: string[] }
  | { NS: string[] }
  | { BS: string[] }
  | { L: AttributeValue[] }
  | { M: Item };

export type Item = { [name: string]: AttributeValue };

export interface KeyPart {
  name: string;
  type: "S" | "N" | "B";
}

export interface TableIndex {
  name: string;
  kind: "local" | "global";
  key: KeyPart[];
  projection: string;
}

export interface TableDescription {
  name: string;
  ofStack: boolean;
  /** Whether its items may be changed here. */
  editable: boolean;
  status: string;
  itemCount: number;
  bytes: number;
  /** The partition key, and behind it the sort key if there is one. */
  key: KeyPart[];
  indexes: TableIndex[];
  billing: string;
  stream?: string;
  ttl?: string;
  pointInTimeRecovery?: boolean;
}

export type RangeOperator = "=" | "<" | "<=" | ">" | ">=" | "between" | "beginsWith";

/** Which items of a table are asked for: all, or those of one key. */
export interface ItemsAsk {
  index?: string;
  key?: { hash: AttributeValue; range?: { op: RangeOperator; values: AttributeValue[] } };
  /** A condition in the expression language. */
  where?: string;
  descending?: boolean;
  cursor?: string;
}

export interface ItemsPage {
  items: Item[];
  cursor?: string;
  scanned: number;
  units: number;
  complete: boolean;
}

export interface ItemsCount {
  count: number;
  scanned: number;
  units: number;
  cursor?: string;
}

export interface Dump {
  location: string;
  table: string;
  readAt: string | null;
  items: number;
  bytes: number;
  format: string;
  /** Finished, and no item was refused. */
  complete: boolean;
  filtered: boolean;
  kind: "dump" | "archive" | "schema" | "export" | "incrementalExport";
  verifiedAt?: string;
  verifiedOk?: boolean;
}

export interface Dumps {
  items: Dump[];
  /** Places that could not be read. */
  problems: { location: string; problem: string }[];
}

export interface Lock {
  name: string;
  holder: string;
  since: string;
  until: string;
  fence: number;
  expired: boolean;
  note?: string;
}

export type RecordKind = "purchases" | "products";

/** What a file was read as and what is in it: the importer's summary. */
export interface ImportSummary {
  kind: RecordKind;
  form: {
    source: { container: string; encoding: string };
    dialect: { delimiter: string; columns: number } | null;
  };
  lines: number;
  records: number;
  taken: number;
  /** Numbers of rejected records, by reason. */
  refused: Record<string, number>;
  firstRefused?: Record<string, number>;
  purchases: number;
  purchaseLines: number;
  /** In minor units, by currency. */
  revenue: Record<string, number>;
  users: number;
  repeatUsers: number;
  products: number;
  period: [string, string] | null;
  merged: number;
  skippedLines: number;
  weighed: number;
  prices: { zero: number; unreadable: number; rounded: number };
  unnamedProducts: number;
  ignoredColumns: string[];
  serviceLike: { productId: string; lines: number }[];
  warnings: (
    { kind: "frequentUser"; userId?: string; purchases: number; of: number } | { kind: "noRepeatBuyer"; users: number }
  )[];
  endedEarly: string | null;
  /** What was recognised and assumed, in sentences. */
  notes: string[];
  joinedTo?: string;
  samples?: SamplePurchase[];
}

export interface SamplePurchase {
  purchasedAt: string;
  userId: string;
  purchaseId: string;
  lines: {
    productId: string;
    name?: string;
    quantity: number;
    unitPrice?: { amount: number; currency: string };
  }[];
  moreLines: number;
}

export interface RejectedLine {
  file?: string;
  line?: number;
  reason: string;
  field?: string;
  message?: string;
  record?: string;
}

export interface ImportReport {
  files: { file: string; summary: ImportSummary }[];
  written: WriteCounts | null;
  rejected: RejectedLine[];
  /** Whether there are more than these. */
  moreRejected: boolean;
}

export interface WriteCounts {
  newPurchases: number;
  knownPurchases: number;
  changedPurchases: number;
  differingPurchases: number;
  erasedPurchases: number;
  newProducts: number;
  changedProducts: number;
  knownProducts: number;
}
