// What a form makes of a JSON Schema: references followed, `null` left out, alternatives told apart.

import type { Schema } from "../../console-api";

export type Shape =
  | { kind: "text"; format: string | undefined }
  | { kind: "number"; integer: boolean }
  | { kind: "boolean" }
  | { kind: "choice"; options: { value: unknown; description: string | undefined }[] }
  | { kind: "list"; item: Schema }
  | { kind: "object"; fields: { name: string; schema: Schema; required: boolean }[] }
  | { kind: "map"; value: Schema }
  | { kind: "variants"; variants: Schema[] }
  | { kind: "json" };

/** Follows references; what stands beside one adds to it. */
export function resolve(schema: Schema | boolean | undefined, root: Schema): Schema {
  if (schema === undefined || typeof schema === "boolean") return {};
  const { $ref, allOf, ...own } = schema;
  let resolved: Schema = own;
  if ($ref !== undefined) {
    const name = $ref.replace(/^#\/\$defs\//, "");
    resolved = { ...resolve(root.$defs?.[name], root), ...resolved };
  }
  for (const part of allOf ?? []) resolved = { ...resolve(part, root), ...resolved };
  const alternatives = resolved.anyOf ?? resolved.oneOf;
  const given = alternatives?.filter((one) => !isNull(resolve(one, root)));
  if (alternatives && given && given.length === 1 && given.length < alternatives.length) {
    const { anyOf: _, oneOf: __, ...rest } = resolved;
    resolved = { ...resolve(given[0], root), ...rest };
  }
  return resolved;
}

function isNull({ type, const: constant }: Schema): boolean {
  return type === "null" || constant === null;
}

export function shapeOf(given: Schema, root: Schema): Shape {
  const schema = resolve(given, root);
  const alternatives = (schema.oneOf ?? schema.anyOf ?? [])
    .map((one) => resolve(one, root))
    .filter((one) => !isNull(one) && !onlyRequires(one));
  if (alternatives.length > 0) return ofAlternatives(alternatives);
  if (schema.enum) return choice(schema.enum.filter((value) => value !== null).map((value) => ({ value })));
  if (schema.const !== undefined) return choice([{ value: schema.const }]);
  const types = [schema.type ?? []].flat().filter((type) => type !== "null");
  const [type] = types;
  if (types.length !== 1) return { kind: "json" };
  switch (type) {
    case "string":
      return { kind: "text", format: schema.format };
    case "integer":
    case "number":
      return { kind: "number", integer: type === "integer" };
    case "boolean":
      return { kind: "boolean" };
    case "array":
      return { kind: "list", item: resolve(schema.items, root) };
    case "object":
      return ofObject(schema, root);
    default:
      return { kind: "json" };
  }
}

/** An alternative that says which fields must be there together has no form of its own. */
function onlyRequires(schema: Schema): boolean {
  return Object.keys(schema).every((key) => key === "required");
}

function ofAlternatives(alternatives: Schema[]): Shape {
  const constants = alternatives.flatMap((one): { value: unknown; description?: string | undefined }[] => {
    if (one.const !== undefined) return [{ value: one.const, description: one.description }];
    return one.enum ? one.enum.map((value) => ({ value, description: one.description })) : [];
  });
  const plain = alternatives.every((one) => one.const !== undefined || one.enum !== undefined);
  return plain ? choice(constants) : { kind: "variants", variants: alternatives };
}

function choice(options: { value: unknown; description?: string | undefined }[]): Shape {
  return { kind: "choice", options: options.map(({ value, description }) => ({ value, description })) };
}

function ofObject(schema: Schema, root: Schema): Shape {
  if (schema.properties) {
    const required = schema.required ?? [];
    // The properties are sorted by name, but what is required stands in the order of its type.
    const names = new Set([...required, ...Object.keys(schema.properties)]);
    const fields = [...names].map((name) => ({
      name,
      schema: resolve(schema.properties?.[name], root),
      required: required.includes(name),
    }));
    return { kind: "object", fields };
  }
  const values = schema.additionalProperties;
  return values && typeof values === "object" ? { kind: "map", value: resolve(values, root) } : { kind: "json" };
}

/** Which of several shapes a value has, so that a form that is filled in already opens with the right one. */
export function variantOf(value: unknown, variants: Schema[], root: Schema): number {
  const fits = variants.findIndex((variant) => {
    const shape = shapeOf(variant, root);
    switch (shape.kind) {
      case "choice":
        return shape.options.some((option) => option.value === value);
      case "text":
        return typeof value === "string";
      case "number":
        return typeof value === "number";
      case "boolean":
        return typeof value === "boolean";
      case "list":
        return Array.isArray(value);
      case "object": {
        if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
        const keys = Object.keys(value);
        const constants = shape.fields.every(
          ({ name, schema }) => schema.const === undefined || (value as Record<string, unknown>)[name] === schema.const,
        );
        return (
          constants &&
          keys.every((key) => shape.fields.some(({ name }) => name === key)) &&
          shape.fields.every(({ name, required }) => !required || keys.includes(name))
        );
      }
      default:
        return typeof value === "object" && value !== null;
    }
  });
  return Math.max(0, fits);
}

/** The only value that a variant has, or what tells it from the others: what it begins with. */
export function constantOf(schema: Schema, root: Schema): unknown {
  const shape = shapeOf(schema, root);
  if (shape.kind === "choice") return shape.options.length === 1 ? shape.options[0]?.value : undefined;
  if (shape.kind !== "object") return undefined;
  const constants = shape.fields.filter(({ schema }) => schema.const !== undefined);
  return constants.length > 0
    ? Object.fromEntries(constants.map(({ name, schema }) => [name, schema.const]))
    : undefined;
}

/** What a new entry of a list or a map begins with. */
export function emptyOf(schema: Schema, root: Schema): unknown {
  const { kind } = shapeOf(schema, root);
  return kind === "list" ? [] : kind === "object" || kind === "map" ? {} : "";
}

/** `writeUnits` as "Write units". */
export function labelOf(name: string): string {
  const words = name.replace(/([a-z\d])([A-Z])/g, "$1 $2").toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
