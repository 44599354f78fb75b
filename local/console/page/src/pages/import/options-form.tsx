// What the files do not show is said here.

import { Card, Field } from "../../ui/layout";
import { text } from "../import.text";
import { fieldId } from "./message";
import { COLUMNS, type ReadingOptions, type RowRule, proposalsOf } from "./options";
import { type ImportState, check, presentParameters, setOptions } from "./store";

const DATALIST = "import-file-columns";

type TextOption = {
  [K in keyof ReadingOptions]: ReadingOptions[K] extends string
    ? string extends ReadingOptions[K]
      ? K
      : never
    : never;
}[keyof ReadingOptions];

export function OptionsCard({ state }: { state: ImportState }) {
  const { options, check: checked } = state;
  const present = presentParameters(state);
  const stale = checked !== undefined && checked.parameters !== present;
  const commas = Object.values(options.map).some((name) => name.includes(","));
  return (
    <Card title={text("options")}>
      <form
        class="reading"
        onSubmit={(event) => {
          event.preventDefault();
          void check();
        }}
      >
        <p class="hint">{text("optionsHint")}</p>
        <datalist id={DATALIST}>
          {fileColumns(state).map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
        <ColumnFields options={options} />
        <div class="fields">
          <Select option="dateOrder" options={options} values={["dayFirst", "monthFirst"]} />
          <TextField option="timezone" options={options} />
          <Select option="decimal" options={options} values={["point", "comma"]} />
          <TextField option="currency" options={options} />
          {options.kind === "purchases" && <OnChange options={options} />}
        </div>
        <details>
          <summary>{text("moreOptions")}</summary>
          <div class="fields">
            <TextField option="profile" options={options} />
            <TextField option="timeFormat" options={options} />
            <TextField option="encoding" options={options} />
            <TextField option="skipProducts" options={options} />
            <TextField option="fillDown" options={options} />
            <Field id={fieldId("guests")} label={text("guests")} hint={text("guestsHint")}>
              {({ id, describedBy }) => (
                <textarea
                  id={id}
                  aria-describedby={describedBy}
                  rows={2}
                  value={options.guests}
                  onInput={(event) => setOptions({ guests: event.currentTarget.value })}
                />
              )}
            </Field>
          </div>
          <Rules rules={options.rules} />
        </details>
        <div class="actions">
          <button class={stale ? "primary" : undefined} disabled={present === undefined || commas}>
            {text("checkAgain")}
          </button>
          {stale && <span class="hint">{text("checkedBefore")}</span>}
        </div>
      </form>
    </Card>
  );
}

/** The columns that the importer has named so far: those that it uses, those that it does not, those of a failure. */
function fileColumns({ check: checked }: ImportState): string[] {
  const names = new Set<string>();
  for (const { summary } of checked?.report?.files ?? []) {
    for (const name of summary.ignoredColumns) names.add(name);
    for (const note of summary.notes) {
      const pairs = /^columns: (.*)$/s.exec(note)?.[1]?.split(", ") ?? [];
      for (const pair of pairs) names.add(pair.split(/=(.*)/s)[1] ?? pair);
    }
  }
  for (const name of proposalsOf(checked?.job?.failure ?? "").columns) names.add(name);
  return [...names];
}

function ColumnFields({ options }: { options: ReadingOptions }) {
  return (
    <fieldset>
      <legend id={fieldId("columns")} tabIndex={-1}>
        {text("columns")}
      </legend>
      <p class="hint">{text("columnsHint")}</p>
      <div class="fields">
        {COLUMNS[options.kind].map(({ name, required }) => {
          const value = options.map[name] ?? "";
          return (
            <Field
              key={name}
              label={required ? text("required", { name }) : name}
              error={value.includes(",") ? text("comma") : undefined}
            >
              {({ id, describedBy, invalid }) => (
                <input
                  id={id}
                  aria-describedby={describedBy}
                  aria-invalid={invalid}
                  list={DATALIST}
                  autocomplete="off"
                  spellcheck={false}
                  value={value}
                  onInput={(event) => setOptions({ map: { ...options.map, [name]: event.currentTarget.value } })}
                />
              )}
            </Field>
          );
        })}
      </div>
    </fieldset>
  );
}

const HINTS = {
  profile: "profileHint",
  timezone: "timezoneHint",
  timeFormat: "timeFormatHint",
  currency: "currencyHint",
  encoding: "encodingHint",
  skipProducts: "skipProductsHint",
  fillDown: "fillDownHint",
} as const;

function TextField({ option, options }: { option: TextOption & keyof typeof HINTS; options: ReadingOptions }) {
  return (
    <Field id={fieldId(option)} label={text(option)} hint={text(HINTS[option])}>
      {({ id, describedBy }) => (
        <input
          id={id}
          aria-describedby={describedBy}
          autocomplete="off"
          spellcheck={false}
          value={options[option]}
          onInput={(event) => setOptions({ [option]: event.currentTarget.value })}
        />
      )}
    </Field>
  );
}

const CHOICES = { dayFirst: "dayFirst", monthFirst: "monthFirst", point: "point", comma: "commaSign" } as const;

function Select(props: { option: "dateOrder" | "decimal"; options: ReadingOptions; values: (keyof typeof CHOICES)[] }) {
  const { option, options, values } = props;
  return (
    <Field id={fieldId(option)} label={text(option)}>
      {({ id }) => (
        <select
          id={id}
          value={options[option]}
          onChange={(event) => setOptions({ [option]: event.currentTarget.value })}
        >
          <option value="">{text("byFile")}</option>
          {values.map((value) => (
            <option key={value} value={value}>
              {text(CHOICES[value])}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

function OnChange({ options }: { options: ReadingOptions }) {
  return (
    <Field label={text("onChange")}>
      {({ id }) => (
        <select
          id={id}
          value={options.onChange || "keep"}
          onChange={(event) => setOptions({ onChange: event.currentTarget.value as ReadingOptions["onChange"] })}
        >
          <option value="keep">{text("onChangeKeep")}</option>
          <option value="replace">{text("onChangeReplace")}</option>
          <option value="add">{text("onChangeAdd")}</option>
        </select>
      )}
    </Field>
  );
}

function Rules({ rules }: { rules: RowRule[] }) {
  const change = (index: number, part: Partial<RowRule>) =>
    setOptions({ rules: rules.map((rule, at) => (at === index ? { ...rule, ...part } : rule)) });
  return (
    <fieldset class="rules">
      <legend id={fieldId("rules")} tabIndex={-1}>
        {text("rules")}
      </legend>
      {rules.map((rule, index) => (
        <div class="actions" key={index}>
          <input
            aria-label={text("ruleColumn")}
            list={DATALIST}
            value={rule.column}
            onInput={(event) => change(index, { column: event.currentTarget.value })}
          />
          <span>=</span>
          <input
            aria-label={text("ruleValue")}
            value={rule.value}
            onInput={(event) => change(index, { value: event.currentTarget.value })}
          />
          <select
            aria-label={text("ruleAction")}
            value={rule.action}
            onChange={(event) => change(index, { action: event.currentTarget.value as RowRule["action"] })}
          >
            <option value="only">{text("keepOnly")}</option>
            <option value="skip">{text("skipThese")}</option>
          </select>
          <button
            type="button"
            class="small"
            aria-label={text("removeRule")}
            onClick={() => setOptions({ rules: rules.filter((_, at) => at !== index) })}
          >
            ×
          </button>
        </div>
      ))}
      <button
        type="button"
        onClick={() => setOptions({ rules: [...rules, { column: "", value: "", action: "skip" }] })}
      >
        {text("addRule")}
      </button>
    </fieldset>
  );
}
