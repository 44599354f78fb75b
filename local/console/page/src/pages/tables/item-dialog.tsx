// One item as a whole: read, changed, copied, deleted.

import { useEffect, useRef, useState } from "preact/hooks";
import { Problem, call } from "../../api";
import type { Item, TableDescription } from "../../console-api";
import { text } from "../tables.text";
import { keyOf, lineOf } from "./attribute";
import { ChangeFailure } from "./change-failure";
import { ItemEditor } from "./item-editor";
import { itemsPath } from "./items-path";
import { Attributes } from "./value";

interface ItemDialogProps {
  table: TableDescription;
  /** `undefined` for one that is still to be written. */
  item: Item | undefined;
  writable: boolean;
  onChanged: (what: string) => void;
  onClose: () => void;
}

type Mode = "show" | "edit" | "duplicate" | "remove";

export function ItemDialog({ table, item, writable, onChanged, onClose }: ItemDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [mode, setMode] = useState<Mode>(item ? "show" : "duplicate");
  // A modal dialog keeps the focus inside, and gives it back to the button that opened it.
  useEffect(() => dialog.current?.showModal(), []);
  const key = item && Object.values(keyOf(item, table.key)).map(lineOf).join(" / ");
  const editing = mode === "edit" || mode === "duplicate";
  return (
    <dialog ref={dialog} class="item-dialog" aria-label={key ?? text("newItem")} onClose={onClose}>
      <div class="title">
        <h2>{key ?? text("newItem")}</h2>
        <button onClick={() => dialog.current?.close()}>{text("close")}</button>
      </div>
      {editing && (
        <ItemEditor
          key={mode}
          table={table}
          item={item}
          before={mode === "edit" ? item : undefined}
          onSaved={() => onChanged(text("saved"))}
          onCancel={() => (item ? setMode("show") : dialog.current?.close())}
        />
      )}
      {item && !editing && <Shown item={item} />}
      {item && mode === "show" && writable && (
        <div class="actions">
          <button onClick={() => setMode("edit")}>{text("edit")}</button>
          <button onClick={() => setMode("duplicate")}>{text("duplicate")}</button>
          <button class="danger" onClick={() => setMode("remove")}>
            {text("remove")}
          </button>
        </div>
      )}
      {item && mode === "remove" && (
        <Removal
          table={table}
          item={item}
          onRemoved={() => onChanged(text("removed"))}
          onCancel={() => setMode("show")}
        />
      )}
    </dialog>
  );
}

function Shown({ item }: { item: Item }) {
  const [copied, setCopied] = useState(false);
  const [open, setOpen] = useState(false);
  const json = JSON.stringify(item, null, 2);
  return (
    <>
      <Attributes item={item} />
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>{text("json")}</summary>
        {open && (
          <pre tabIndex={0} aria-label={text("json")}>
            {json}
          </pre>
        )}
        <button onClick={() => navigator.clipboard.writeText(json).then(() => setCopied(true))}>
          {text(copied ? "copied" : "copy")}
        </button>
      </details>
    </>
  );
}

function Removal(props: { table: TableDescription; item: Item; onRemoved: () => void; onCancel: () => void }) {
  const { table, item, onRemoved, onCancel } = props;
  const [problem, setProblem] = useState<Problem>();
  const remove = () =>
    call("DELETE", itemsPath(table, "item"), { body: { key: keyOf(item, table.key), before: item } }).then(
      onRemoved,
      (error) => setProblem(Problem.of(error)),
    );
  return (
    <>
      <p>{text("removeQuestion")}</p>
      {problem && <ChangeFailure problem={problem} />}
      <div class="actions">
        <button class="danger" onClick={remove}>
          {text("remove")}
        </button>
        <button onClick={onCancel}>{text("cancel")}</button>
      </div>
    </>
  );
}
