// Which items of a table are asked for. The question stands in the page's address, which no server sees: it can be
// kept as a bookmark, and the browser's way back works.

import { useState } from "preact/hooks";
import type { AttributeValue, ItemsAsk, KeyPart, RangeOperator, TableDescription } from "../../console-api";
import { Field } from "../../ui/layout";
import { text } from "../tables.text";
import { isBase64, numberFault } from "./attribute";
import { LanguageHelp } from "./language-help";

export interface Search {
  index: string;
  hash: string;
  operator: RangeOperator | "";
  range: string;
  rangeTo: string;
  where: string;
  descending: boolean;
}

const OPERATORS = [
  ["=", "equal"],
  ["<", "less"],
  ["<=", "lessOrEqual"],
  [">", "greater"],
  [">=", "greaterOrEqual"],
  ["between", "between"],
  ["beginsWith", "beginsWith"],
] as const satisfies [RangeOperator, string][];

export function searchOf(query: URLSearchParams): Search {
  const operator = query.get("op") ?? "";
  return {
    index: query.get("index") ?? "",
    hash: query.get("hash") ?? "",
    operator: OPERATORS.find(([known]) => known === operator)?.[0] ?? "",
    range: query.get("range") ?? "",
    rangeTo: query.get("to") ?? "",
    where: query.get("where") ?? "",
    descending: query.has("descending"),
  };
}

export function queryOf(search: Search): Record<string, string | undefined> {
  const { index, hash, operator, range, rangeTo, where } = search;
  const given = (value: string) => (value === "" ? undefined : value);
  return {
    index: given(index),
    hash: given(hash),
    op: given(operator),
    range: operator === "" ? undefined : given(range),
    to: operator === "between" ? given(rangeTo) : undefined,
    where: given(where.trim()),
    descending: search.descending && hash !== "" ? "" : undefined,
  };
}

/** The key of the table, or of the index that is read. */
function keyOf(search: Search, table: TableDescription): KeyPart[] {
  return table.indexes.find(({ name }) => name === search.index)?.key ?? table.key;
}

type Faults = Partial<Record<"hash" | "range" | "rangeTo", string>>;

function faultsOf(search: Search, table: TableDescription): Faults {
  const [hash, range] = keyOf(search, table);
  const faults: Faults = {};
  const check = (field: keyof Faults, part: KeyPart | undefined, value: string) => {
    if (value === "") faults[field] = text("needsValue");
    else if (part?.type === "N" && numberFault(value.trim())) faults[field] = text("notNumberKey", { given: value });
    else if (part?.type === "B" && !isBase64(value)) faults[field] = text("notBase64Key", { given: value });
  };
  if (search.hash !== "") check("hash", hash, search.hash);
  if (range && search.operator !== "") {
    if (search.hash === "") faults.hash = text("needsHash", { name: hash?.name ?? "" });
    check("range", range, search.range);
    if (search.operator === "between") check("rangeTo", range, search.rangeTo);
  }
  return faults;
}

/** The question for the server; `undefined` if the values are none. */
export function askOf(search: Search, table: TableDescription): ItemsAsk | undefined {
  if (Object.keys(faultsOf(search, table)).length > 0) return undefined;
  const [hash, range] = keyOf(search, table);
  const ask: ItemsAsk = {};
  if (search.index !== "") ask.index = search.index;
  if (search.where.trim() !== "") ask.where = search.where.trim();
  if (hash && search.hash !== "") {
    ask.key = { hash: valueOf(hash, search.hash) };
    if (search.descending) ask.descending = true;
    if (range && search.operator !== "") {
      const values = search.operator === "between" ? [search.range, search.rangeTo] : [search.range];
      ask.key.range = { op: search.operator, values: values.map((value) => valueOf(range, value)) };
    }
  }
  return ask;
}

function valueOf({ type }: KeyPart, value: string): AttributeValue {
  if (type === "N") return { N: value.trim() };
  return type === "B" ? { B: value } : { S: value };
}

export function SearchForm(props: { table: TableDescription; search: Search; onSearch: (search: Search) => void }) {
  const { table, onSearch } = props;
  const [search, setSearch] = useState(props.search);
  const [shownFaults, setShownFaults] = useState<Faults>({});
  const [hash, range] = keyOf(search, table);
  const change = (part: Partial<Search>) => setSearch((before) => ({ ...before, ...part }));
  const submit = (event: Event) => {
    event.preventDefault();
    const faults = faultsOf(search, table);
    setShownFaults(faults);
    if (Object.keys(faults).length === 0) onSearch(search);
  };
  return (
    <form class="search" onSubmit={submit}>
      <div class="row">
        {table.indexes.length > 0 && (
          <Field label={text("source")}>
            {({ id }) => (
              <select
                id={id}
                value={search.index}
                onChange={(event) =>
                  change({ index: event.currentTarget.value, hash: "", operator: "", range: "", rangeTo: "" })
                }
              >
                <option value="">{text("theTable")}</option>
                {table.indexes.map(({ name }) => (
                  <option key={name} value={name}>
                    {text("index")} {name}
                  </option>
                ))}
              </select>
            )}
          </Field>
        )}
        {hash && (
          <Field label={`${hash.name} (${hash.type})`} hint={text("hashHint")} error={shownFaults.hash}>
            {({ id, describedBy, invalid }) => (
              <input
                id={id}
                aria-describedby={describedBy}
                aria-invalid={invalid}
                autocomplete="off"
                spellcheck={false}
                value={search.hash}
                onInput={(event) => change({ hash: event.currentTarget.value })}
              />
            )}
          </Field>
        )}
        {range && <RangeFields range={range} search={search} faults={shownFaults} change={change} />}
      </div>
      <Field label={text("where")} hint={text("whereHint")}>
        {({ id, describedBy }) => (
          <textarea
            id={id}
            class="code"
            aria-describedby={describedBy}
            rows={2}
            autocomplete="off"
            spellcheck={false}
            value={search.where}
            onInput={(event) => change({ where: event.currentTarget.value })}
            onKeyDown={(event) => {
              if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
            }}
          />
        )}
      </Field>
      <LanguageHelp />
      <div class="actions">
        <button class="primary">{text("show")}</button>
        {range && (
          <label>
            <input
              type="checkbox"
              checked={search.descending}
              disabled={search.hash === ""}
              onChange={(event) => change({ descending: event.currentTarget.checked })}
            />{" "}
            {text("descending")}
          </label>
        )}
      </div>
    </form>
  );
}

function RangeFields(props: {
  range: KeyPart;
  search: Search;
  faults: Faults;
  change: (part: Partial<Search>) => void;
}) {
  const { range, search, faults, change } = props;
  const operators = OPERATORS.filter(([operator]) => operator !== "beginsWith" || range.type !== "N");
  const value = (field: "range" | "rangeTo", label: string) => (
    <Field label={label} error={faults[field]}>
      {({ id, describedBy, invalid }) => (
        <input
          id={id}
          aria-describedby={describedBy}
          aria-invalid={invalid}
          autocomplete="off"
          spellcheck={false}
          value={search[field]}
          onInput={(event) => change({ [field]: event.currentTarget.value })}
        />
      )}
    </Field>
  );
  return (
    <>
      <Field label={text("rangeOperator", { name: `${range.name} (${range.type})` })}>
        {({ id }) => (
          <select
            id={id}
            value={search.operator}
            onChange={(event) => change({ operator: event.currentTarget.value as Search["operator"] })}
          >
            <option value="">{text("anyRange")}</option>
            {operators.map(([operator, key]) => (
              <option key={operator} value={operator}>
                {text(key)}
              </option>
            ))}
          </select>
        )}
      </Field>
      {search.operator !== "" && value("range", text("rangeValue", { name: range.name }))}
      {search.operator === "between" && value("rangeTo", text("rangeTo", { name: range.name }))}
    </>
  );
}
