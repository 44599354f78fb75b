// Values of DynamoDB: what is valid, and how a person writes one.

import type { AttributeValue, Item, KeyPart } from "../../console-api";

const TYPES = ["S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M"] as const;
export type AttributeType = (typeof TYPES)[number];

/** DynamoDB's numbers have at most so many significant digits. */
const MAX_DIGITS = 38;
/** Deeper values are refused by DynamoDB. */
const MAX_DEPTH = 32;

export function typeOf(value: AttributeValue): AttributeType {
  return Object.keys(value)[0] as AttributeType;
}

/** Why a text is not a number of DynamoDB; `undefined` if it is one. */
export function numberFault(text: string): "notNumber" | "tooManyDigits" | "outOfRange" | undefined {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (!match) return "notNumber";
  const [, , whole = "", fraction = "", exponent = "0"] = match;
  if (whole + fraction === "") return "notNumber";
  const digits = (whole + fraction).replace(/^0+/, "");
  if (digits === "") return undefined;
  if (digits.replace(/0+$/, "").length > MAX_DIGITS) return "tooManyDigits";
  const magnitude = digits.length - fraction.length - 1 + Number(exponent);
  return magnitude < -130 || magnitude > 125 ? "outOfRange" : undefined;
}

/** Whether a text is base64 as DynamoDB takes it. */
export function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
}

/** Something that is not an item of DynamoDB: which part of it, and why. */
export class ItemFault extends Error {
  constructor(
    readonly path: string,
    readonly code: FaultCode,
    readonly given: string = "",
  ) {
    super(`${path}: ${code}`);
  }
}

export type FaultCode =
  | "notObject"
  | "notOneType"
  | "unknownType"
  | "notText"
  | "notNumber"
  | "tooManyDigits"
  | "outOfRange"
  | "notBase64"
  | "notBoolean"
  | "notTrue"
  | "notList"
  | "emptySet"
  | "repeated"
  | "tooDeep"
  | "keyMissing"
  | "keyType"
  | "keyEmpty";

/** The item of a parsed JSON document, checked as DynamoDB would check it. */
export function itemOf(document: unknown, key: KeyPart[]): Item {
  const item = mapOf(document, "", 0);
  for (const { name, type } of key) {
    const value = attribute(item, name);
    if (value === undefined) throw new ItemFault(name, "keyMissing", type);
    if (typeOf(value) !== type) throw new ItemFault(name, "keyType", type);
    if (Object.values(value)[0] === "") throw new ItemFault(name, "keyEmpty");
  }
  return item;
}

function mapOf(document: unknown, path: string, depth: number): Item {
  if (typeof document !== "object" || document === null || Array.isArray(document)) {
    throw new ItemFault(path, "notObject");
  }
  return Object.fromEntries(
    Object.entries(document).map(([name, value]) => [name, valueOf(value, path ? `${path}.${name}` : name, depth)]),
  );
}

function valueOf(document: unknown, path: string, depth: number): AttributeValue {
  if (depth >= MAX_DEPTH) throw new ItemFault(path, "tooDeep");
  if (typeof document !== "object" || document === null || Array.isArray(document)) {
    throw new ItemFault(path, "notOneType");
  }
  const entries = Object.entries(document);
  const [type, value] = entries[0] ?? [];
  if (entries.length !== 1 || type === undefined) throw new ItemFault(path, "notOneType");
  switch (type) {
    case "S":
      return { S: textOf(value, path) };
    case "N":
      return { N: numberOf(value, path) };
    case "B":
      return { B: binaryOf(value, path) };
    case "BOOL":
      if (typeof value !== "boolean") throw new ItemFault(path, "notBoolean");
      return { BOOL: value };
    case "NULL":
      if (value !== true) throw new ItemFault(path, "notTrue");
      return { NULL: true };
    case "SS":
      return { SS: setOf(value, path, textOf) };
    case "NS":
      return { NS: setOf(value, path, numberOf) };
    case "BS":
      return { BS: setOf(value, path, binaryOf) };
    case "L":
      return { L: listOf(value, path).map((element, index) => valueOf(element, `${path}[${index}]`, depth + 1)) };
    case "M":
      return { M: mapOf(value, path, depth + 1) };
    default:
      throw new ItemFault(path, "unknownType", type);
  }
}

function textOf(value: unknown, path: string): string {
  if (typeof value !== "string") throw new ItemFault(path, "notText");
  return value;
}

function numberOf(value: unknown, path: string): string {
  const text = textOf(value, path);
  const fault = numberFault(text);
  if (fault) throw new ItemFault(path, fault, text);
  return text;
}

function binaryOf(value: unknown, path: string): string {
  const text = textOf(value, path);
  if (!isBase64(text)) throw new ItemFault(path, "notBase64");
  return text;
}

function listOf(value: unknown, path: string): unknown[] {
  if (!Array.isArray(value)) throw new ItemFault(path, "notList");
  return value;
}

function setOf(value: unknown, path: string, element: (value: unknown, path: string) => string): string[] {
  const texts = listOf(value, path).map((one, index) => element(one, `${path}[${index}]`));
  if (texts.length === 0) throw new ItemFault(path, "emptySet");
  if (new Set(texts).size < texts.length) throw new ItemFault(path, "repeated");
  return texts;
}

/** An attribute of an item; names such as `constructor` are names like others. */
export function attribute(item: Item, name: string): AttributeValue | undefined {
  return Object.hasOwn(item, name) ? item[name] : undefined;
}

/** The key of an item, in the order of the table's key. */
export function keyOf(item: Item, key: KeyPart[]): Item {
  return Object.fromEntries(
    key.flatMap(({ name }) => {
      const value = attribute(item, name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** A value in one line, without its type. */
export function lineOf(value: AttributeValue): string {
  const [type, content] = Object.entries(value)[0] as [AttributeType, unknown];
  switch (type) {
    case "S":
    case "N":
    case "B":
      return content as string;
    case "BOOL":
      return String(content);
    case "NULL":
      return "null";
    default:
      return JSON.stringify(plain(value));
  }
}

/** A value without types, for reading alone: numbers are texts here, too. */
function plain(value: AttributeValue): unknown {
  if ("L" in value) return value.L.map(plain);
  if ("M" in value) return Object.fromEntries(Object.entries(value.M).map(([name, inner]) => [name, plain(inner)]));
  return Object.values(value)[0];
}

/** The attributes of all items: the key first, then the others, the most frequent first. */
export function columnsOf(items: Item[], key: KeyPart[]): string[] {
  const counts = new Map<string, number>();
  for (const item of items) for (const name of Object.keys(item)) counts.set(name, (counts.get(name) ?? 0) + 1);
  const keys = key.map(({ name }) => name);
  const others = [...counts.keys()].filter((name) => !keys.includes(name));
  others.sort((a, b) => (counts.get(b) ?? 0) - (counts.get(a) ?? 0) || (a < b ? -1 : 1));
  return [...keys, ...others];
}
