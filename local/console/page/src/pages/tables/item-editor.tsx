// An item as JSON with types. What DynamoDB would refuse is said here, with its path, before anything is sent.

import { useState } from "preact/hooks";
import { Problem, call } from "../../api";
import type { Item, TableDescription } from "../../console-api";
import { Field } from "../../ui/layout";
import { text } from "../tables.text";
import { ItemFault, itemOf, keyOf } from "./attribute";
import { ChangeFailure } from "./change-failure";
import { itemsPath } from "./items-path";

interface ItemEditorProps {
  table: TableDescription;
  /** What the editor begins with. */
  item: Item | undefined;
  /** The item that is replaced; `undefined` if a new one is written. */
  before: Item | undefined;
  onSaved: () => void;
  onCancel: () => void;
}

export function ItemEditor({ table, item, before, onSaved, onCancel }: ItemEditorProps) {
  const [content, setContent] = useState(() => JSON.stringify(item ?? emptyItem(table), null, 2));
  const [fault, setFault] = useState<string>();
  const [problem, setProblem] = useState<Problem>();
  const [saving, setSaving] = useState(false);
  const save = (event: Event) => {
    event.preventDefault();
    setProblem(undefined);
    const read = readItem(content, table, before);
    setFault(read.fault);
    if (read.item === undefined) return;
    setSaving(true);
    call("PUT", itemsPath(table, "item"), { body: before ? { item: read.item, before } : { item: read.item } }).then(
      onSaved,
      (error) => {
        setSaving(false);
        setProblem(Problem.of(error));
      },
    );
  };
  return (
    <form class="item-editor" onSubmit={save}>
      <Field label={text("json")} hint={text(before ? "editHint" : "newHint")} error={fault}>
        {({ id, describedBy, invalid }) => (
          <textarea
            id={id}
            class="code"
            rows={Math.min(24, content.split("\n").length + 1)}
            aria-describedby={describedBy}
            aria-invalid={invalid}
            autocomplete="off"
            spellcheck={false}
            value={content}
            onInput={(event) => setContent(event.currentTarget.value)}
          />
        )}
      </Field>
      {problem && <ChangeFailure problem={problem} />}
      <div class="actions">
        <button class="primary" disabled={saving}>
          {text("save")}
        </button>
        <button type="button" onClick={onCancel}>
          {text("cancel")}
        </button>
      </div>
    </form>
  );
}

function readItem(content: string, table: TableDescription, before: Item | undefined) {
  let document: unknown;
  try {
    document = JSON.parse(content);
  } catch (error) {
    return { fault: text("notJson", { given: error instanceof Error ? error.message : String(error) }) };
  }
  try {
    const item = itemOf(document, table.key);
    const key = (of: Item) => JSON.stringify(keyOf(of, table.key));
    if (before && key(before) !== key(item)) return { fault: text("keyChanged") };
    return { item };
  } catch (error) {
    if (!(error instanceof ItemFault)) throw error;
    const { path, code, given } = error;
    const why = text(code, { given });
    return { fault: path === "" ? why : text("faultAt", { path, fault: why }) };
  }
}

function emptyItem(table: TableDescription): Item {
  return Object.fromEntries(
    table.key.map(({ name, type }) => [name, type === "N" ? { N: "" } : { [type]: "" }]),
  ) as Item;
}
