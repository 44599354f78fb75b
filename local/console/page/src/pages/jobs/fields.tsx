// The fields of a form, one for each shape of a schema. A field that is left empty is left out of the value.

import type { ComponentChildren } from "preact";
import { useContext, useState } from "preact/hooks";
import { createContext } from "preact";
import type { Schema } from "../../console-api";
import type { Problem } from "../../api";
import { Field } from "../../ui/layout";
import { Prose } from "../../ui/prose";
import { text } from "../jobs.text";
import { constantOf, emptyOf, labelOf, shapeOf, variantOf } from "./schema";

export interface FormContextValue {
  root: Schema;
  problem: Problem | undefined;
  /** What a text of a format is likely to be, to choose from. */
  suggestions: Record<string, string[]>;
}

export const FormContext = createContext<FormContextValue>({ root: {}, problem: undefined, suggestions: {} });

interface FieldProps {
  /** The field as errors name it, such as `parameters.to.table`. */
  path: string;
  label: string;
  schema: Schema;
  required: boolean;
  value: unknown;
  onChange: (value: unknown) => void;
}

/** Without a default, left out is a third answer. */
const YES_OR_NO = [
  { value: true, description: undefined },
  { value: false, description: undefined },
];

/** A value that is none, or the text of what could not be read as one. */
const isUnset = (value: unknown) => value === undefined || value === "";

export function SchemaField(props: FieldProps) {
  const { root } = useContext(FormContext);
  const shape = shapeOf(props.schema, root);
  switch (shape.kind) {
    case "text":
      return <TextField {...props} format={shape.format} />;
    case "number":
      return <NumberField {...props} {...shape} />;
    case "boolean":
      return props.schema.default === undefined && !props.required ? (
        <ChoiceField {...props} options={YES_OR_NO} />
      ) : (
        <BooleanField {...props} />
      );
    case "choice":
      return <ChoiceField {...props} options={shape.options} />;
    case "list":
      return <ListField {...props} item={shape.item} />;
    case "object":
      return (
        <Group {...props}>
          <ObjectFields path={props.path} schema={props.schema} value={props.value} onChange={props.onChange} />
        </Group>
      );
    case "map":
      return <MapField {...props} item={shape.value} />;
    case "variants":
      return <VariantField {...props} variants={shape.variants} />;
    case "json":
      return <JsonField {...props} />;
  }
}

/** The fields of an object. */
export function ObjectFields(props: {
  path: string;
  schema: Schema;
  value: unknown;
  onChange: (value: unknown) => void;
  only?: (name: string) => boolean;
}) {
  const { root } = useContext(FormContext);
  const shape = shapeOf(props.schema, root);
  if (shape.kind !== "object") return null;
  const value = isObject(props.value) ? props.value : {};
  // Constants tell variants apart: they are not asked for.
  const fields = shape.fields.filter(({ name, schema }) => schema.const === undefined && (props.only?.(name) ?? true));
  return (
    <>
      {fields.map(({ name, schema, required }) => (
        <SchemaField
          key={name}
          path={`${props.path}.${name}`}
          label={labelOf(name)}
          schema={schema}
          required={required}
          value={value[name]}
          onChange={(changed) => {
            const { [name]: _, ...others } = value;
            const next = changed === undefined ? others : { ...others, [name]: changed };
            props.onChange(Object.keys(next).length === 0 ? undefined : next);
          }}
        />
      ))}
    </>
  );
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a problem is about this field, or about something inside it that has no field of its own. */
function errorOf(path: string, problem: Problem | undefined, inside: boolean): string | undefined {
  const field = problem?.field;
  if (!problem || field === undefined) return undefined;
  const within = field.startsWith(`${path}.`) || field.startsWith(`${path}[`);
  return field === path || (inside && within) ? problem.message : undefined;
}

function Labelled(props: {
  of: FieldProps;
  error?: string | undefined;
  inside?: boolean;
  children: (ids: { id: string; describedBy: string | undefined; invalid: boolean }) => ComponentChildren;
}) {
  const { problem } = useContext(FormContext);
  const { path, required, schema } = props.of;
  const unit = schema["x-unit"];
  const label = unit ? `${props.of.label} (${unit})` : props.of.label;
  return (
    <div data-path={path}>
      <Field
        label={required ? `${label} *` : label}
        hint={hintOf(schema)}
        error={props.error ?? errorOf(path, problem, props.inside ?? false)}
      >
        {props.children}
      </Field>
    </div>
  );
}

/** What a field means, and what stands for it if it is left out. */
function hintOf({ description, minimum, maximum, default: standard }: Schema): ComponentChildren {
  const shown =
    standard === undefined || standard === null || isEmpty(standard)
      ? undefined
      : text("standard", { value: typeof standard === "string" ? standard : JSON.stringify(standard) });
  const range = minimum !== undefined && maximum !== undefined && !description?.endsWith("]");
  const parts = [description, shown, range ? text("range", { minimum, maximum }) : undefined].filter(Boolean);
  return parts.length > 0 ? <Prose>{parts.join(" ")}</Prose> : undefined;
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function TextField({ format, ...props }: FieldProps & { format: string | undefined }) {
  const { suggestions } = useContext(FormContext);
  const known = suggestions[format ?? ""];
  const [example] = props.schema.examples ?? [];
  const placeholder = typeof example === "string" ? example : "";
  const value = typeof props.value === "string" ? props.value : "";
  const change = (text: string) => props.onChange(text === "" ? undefined : text);
  const isExpression = format === "condition" || format === "change";
  return (
    <Labelled of={props}>
      {({ id, describedBy, invalid }) =>
        isExpression ? (
          <textarea
            id={id}
            class="code"
            rows={2}
            spellcheck={false}
            placeholder={placeholder}
            aria-describedby={describedBy}
            aria-invalid={invalid}
            aria-required={props.required}
            value={value}
            onInput={(event) => change(event.currentTarget.value)}
          />
        ) : (
          <>
            <input
              id={id}
              autocomplete="off"
              spellcheck={false}
              placeholder={placeholder}
              aria-describedby={describedBy}
              aria-invalid={invalid}
              aria-required={props.required}
              {...(known ? { list: `${id}-known` } : {})}
              value={value}
              onInput={(event) => change(event.currentTarget.value)}
            />
            {known && (
              <datalist id={`${id}-known`}>
                {known.map((value) => (
                  <option key={value} value={value} />
                ))}
              </datalist>
            )}
          </>
        )
      }
    </Labelled>
  );
}

function NumberField(props: FieldProps & { integer: boolean }) {
  const [entered, setEntered] = useState(props.value === undefined ? "" : String(props.value));
  const shown = typeof props.value === "number" && Number(entered) !== props.value ? String(props.value) : entered;
  const unreadable = shown !== "" && readNumber(shown, props.integer) === undefined;
  return (
    <Labelled of={props} error={unreadable ? text(props.integer ? "notInteger" : "notNumber") : undefined}>
      {({ id, describedBy, invalid }) => (
        <input
          id={id}
          inputMode={props.integer ? "numeric" : "decimal"}
          autocomplete="off"
          aria-describedby={describedBy}
          aria-invalid={invalid}
          aria-required={props.required}
          value={shown}
          onInput={(event) => {
            const text = event.currentTarget.value.trim();
            setEntered(text);
            props.onChange(text === "" ? undefined : (readNumber(text, props.integer) ?? text));
          }}
        />
      )}
    </Labelled>
  );
}

function readNumber(text: string, integer: boolean): number | undefined {
  const value = Number(text);
  return (integer ? Number.isSafeInteger(value) : Number.isFinite(value)) ? value : undefined;
}

function BooleanField(props: FieldProps) {
  const standard = props.schema.default === true;
  const checked = typeof props.value === "boolean" ? props.value : standard;
  const { problem } = useContext(FormContext);
  const error = errorOf(props.path, problem, false);
  return (
    <div data-path={props.path} class={error ? "field invalid" : "field"}>
      <label class="check">
        <input
          type="checkbox"
          checked={checked}
          onChange={(event) => {
            const now = event.currentTarget.checked;
            props.onChange(now === standard && !props.required ? undefined : now);
          }}
        />
        {props.label}
      </label>
      {(error ?? props.schema.description) && <p class="hint">{error ?? <Prose>{props.schema.description}</Prose>}</p>}
    </div>
  );
}

function ChoiceField({
  options,
  ...props
}: FieldProps & { options: { value: unknown; description: string | undefined }[] }) {
  const chosen = options.findIndex(({ value }) => value === props.value);
  const about = options[chosen]?.description;
  return (
    <Labelled of={about ? { ...props, schema: { ...props.schema, description: about } } : props}>
      {({ id, describedBy, invalid }) => (
        <select
          id={id}
          aria-describedby={describedBy}
          aria-invalid={invalid}
          value={chosen}
          onChange={(event) => props.onChange(options[Number(event.currentTarget.value)]?.value)}
        >
          <option value={-1}>{text("notSet")}</option>
          {options.map(({ value }, index) => (
            <option key={index} value={index}>
              {typeof value === "boolean" ? text(value ? "yes" : "no") : String(value)}
            </option>
          ))}
        </select>
      )}
    </Labelled>
  );
}

/** Several fields with a name of their own; those of optional objects are folded. */
function Group({ path, label, schema, required, value, children }: FieldProps & { children: ComponentChildren }) {
  const { problem } = useContext(FormContext);
  const error = errorOf(path, problem, false);
  const content = (
    <>
      {(error ?? schema.description) && (
        <p class={error ? "hint ink-error" : "hint"}>{error ?? <Prose>{schema.description}</Prose>}</p>
      )}
      <div class="nested">{children}</div>
    </>
  );
  if (required) {
    return (
      <fieldset data-path={path}>
        <legend>{label} *</legend>
        {content}
      </fieldset>
    );
  }
  return (
    <details data-path={path} open={!isUnset(value) || undefined}>
      <summary>{label}</summary>
      {content}
    </details>
  );
}

function ListField({ item, ...props }: FieldProps & { item: Schema }) {
  const { root } = useContext(FormContext);
  const values = Array.isArray(props.value) ? props.value : [];
  const change = (next: unknown[]) => props.onChange(next.length === 0 ? undefined : next);
  return (
    <Group {...props} required={props.required}>
      {values.map((value, index) => (
        <div class="item" key={index}>
          <SchemaField
            path={`${props.path}[${index}]`}
            label={`${props.label} ${index + 1}`}
            schema={item}
            required
            value={value}
            onChange={(changed) => change(values.map((one, at) => (at === index ? (changed ?? "") : one)))}
          />
          <button type="button" onClick={() => change(values.filter((_, at) => at !== index))}>
            {text("remove", { name: `${props.label} ${index + 1}` })}
          </button>
        </div>
      ))}
      <div>
        <button type="button" onClick={() => change([...values, emptyOf(item, root)])}>
          {text("add", { name: props.label })}
        </button>
      </div>
    </Group>
  );
}

function MapField({ item, ...props }: FieldProps & { item: Schema }) {
  const { root } = useContext(FormContext);
  const [name, setName] = useState("");
  const values = isObject(props.value) ? props.value : {};
  const change = (next: Record<string, unknown>) => props.onChange(Object.keys(next).length === 0 ? undefined : next);
  const without = (key: string) => {
    const { [key]: _, ...others } = values;
    return others;
  };
  return (
    <Group {...props} required={props.required}>
      {Object.entries(values).map(([key, value]) => (
        <div class="item" key={key}>
          <SchemaField
            path={`${props.path}.${key}`}
            label={key}
            schema={item}
            required
            value={value}
            onChange={(changed) => change({ ...values, [key]: changed ?? "" })}
          />
          <button type="button" onClick={() => change(without(key))}>
            {text("remove", { name: key })}
          </button>
        </div>
      ))}
      <div class="item">
        <Field label={text("newName", { name: props.label })}>
          {({ id }) => <input id={id} value={name} onInput={(event) => setName(event.currentTarget.value)} />}
        </Field>
        <button
          type="button"
          disabled={name === "" || name in values}
          onClick={() => {
            change({ ...values, [name]: emptyOf(item, root) });
            setName("");
          }}
        >
          {text("add", { name: props.label })}
        </button>
      </div>
    </Group>
  );
}

function VariantField({ variants, ...props }: FieldProps & { variants: Schema[] }) {
  const { root } = useContext(FormContext);
  const [chosen, setChosen] = useState(() => (isUnset(props.value) ? -1 : variantOf(props.value, variants, root)));
  const variant = variants[chosen];
  const shape = variant && shapeOf(variant, root);
  const isConstant = shape?.kind === "choice" && shape.options.length === 1;
  return (
    <Group {...props}>
      <Field label={text("form", { name: props.label })} hint={<Prose>{variant?.description}</Prose>}>
        {({ id, describedBy }) => (
          <select
            id={id}
            aria-describedby={describedBy}
            value={chosen}
            onChange={(event) => {
              const next = Number(event.currentTarget.value);
              const begun = variants[next];
              setChosen(next);
              props.onChange(begun && constantOf(begun, root));
            }}
          >
            <option value={-1}>{text(props.required ? "choose" : "notSet")}</option>
            {variants.map((one, index) => (
              <option key={index} value={index}>
                {variantName(one, root)}
              </option>
            ))}
          </select>
        )}
      </Field>
      {variant && shape?.kind === "object" && (
        <ObjectFields
          key={chosen}
          path={props.path}
          schema={variant}
          value={props.value}
          onChange={(value) => props.onChange(value ?? constantOf(variant, root))}
        />
      )}
      {variant && shape?.kind !== "object" && !isConstant && (
        <SchemaField key={chosen} {...props} schema={variant} required />
      )}
    </Group>
  );
}

/** By what only this variant has: its constants, else the fields that it needs. */
function variantName(schema: Schema, root: Schema): string {
  const shape = shapeOf(schema, root);
  if (shape.kind === "choice") return shape.options.map(({ value }) => String(value)).join(" / ");
  if (shape.kind !== "object") return schema.title ?? text(`shape.${shape.kind}`);
  const constants = shape.fields.flatMap(({ schema }) => (schema.const === undefined ? [] : [String(schema.const)]));
  const needed = shape.fields.filter(({ required }) => required).map(({ name }) => labelOf(name));
  return (constants.length > 0 ? constants : needed).join(", ");
}

function JsonField(props: FieldProps) {
  const [entered, setEntered] = useState(props.value === undefined ? "" : JSON.stringify(props.value));
  const parsed = parseJson(entered);
  return (
    <Labelled of={props} inside error={parsed.error ? text("notJson") : undefined}>
      {({ id, describedBy, invalid }) => (
        <textarea
          id={id}
          class="code"
          rows={2}
          spellcheck={false}
          aria-describedby={describedBy}
          aria-invalid={invalid}
          value={entered}
          onInput={(event) => {
            const text = event.currentTarget.value;
            setEntered(text);
            props.onChange(parseJson(text).value);
          }}
        />
      )}
    </Labelled>
  );
}

function parseJson(text: string): { value?: unknown; error?: true } {
  if (text.trim() === "") return {};
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return { value: text, error: true };
  }
}
