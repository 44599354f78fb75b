// The items that were found, page by page, and what can be done with them.

import { useState } from "preact/hooks";
import { Problem, post, useLoad } from "../../api";
import type { Item, ItemsAsk, ItemsPage, TableDescription } from "../../console-api";
import { number } from "../../text";
import { Card, type Column, Table } from "../../ui/layout";
import { Await, Failure, Loading, Notice } from "../../ui/notice";
import { text } from "../tables.text";
import { attribute, columnsOf, keyOf, lineOf } from "./attribute";
import { CountOf } from "./count";
import { csv, download, jsonLines } from "./export";
import { ItemDialog } from "./item-dialog";
import { itemsPath } from "./items-path";
import { usePages } from "./use-pages";
import { CellValue } from "./value";

const PAGE = 50;
/** Columns beside the key; what else an item has is shown when it is opened. */
const COLUMNS = 8;

export interface ItemsProps {
  table: TableDescription;
  ask: ItemsAsk;
  writable: boolean;
  note: string | undefined;
}

type Opened = { item: Item } | "new";

export function ItemsResult({ table, ask, writable, note }: ItemsProps) {
  const [changes, setChanges] = useState(0);
  const [done, setDone] = useState<string>();
  const [opened, setOpened] = useState<Opened>();
  const [problem, setProblem] = useState<Problem>();
  const open = async (item: Item) => {
    setProblem(undefined);
    if (ask.index === undefined) return setOpened({ item });
    // An index may have a part of the item alone.
    try {
      const whole = await wholeItem(table, item);
      if (whole) setOpened({ item: whole });
      else setDone(text("gone"));
    } catch (error) {
      setProblem(Problem.of(error));
    }
  };
  const changed = (what: string) => {
    setDone(what);
    setChanges((n) => n + 1);
    setOpened(undefined);
  };
  return (
    <Card
      title={text("items")}
      actions={writable && <button onClick={() => setOpened("new")}>{text("newItem")}</button>}
    >
      {note && <p class="hint">{note}</p>}
      {done && <Notice kind="success" title={done} />}
      <CountOf table={table} ask={ask} />
      {problem && <Failure problem={problem} />}
      <Pages key={changes} table={table} ask={ask} open={(item) => void open(item)} />
      {opened && (
        <ItemDialog
          table={table}
          item={opened === "new" ? undefined : opened.item}
          writable={writable}
          onChanged={changed}
          onClose={() => setOpened(undefined)}
        />
      )}
    </Card>
  );
}

async function wholeItem(table: TableDescription, item: Item): Promise<Item | undefined> {
  const [hash, range] = Object.values(keyOf(item, table.key));
  if (hash === undefined) return undefined;
  const key = range === undefined ? { hash } : { hash, range: { op: "=", values: [range] } };
  const page = await post<ItemsPage>(itemsPath(table, "items"), { key, limit: 1 });
  return page.items[0];
}

function Pages({ table, ask, open }: { table: TableDescription; ask: ItemsAsk; open: (item: Item) => void }) {
  const first = useLoad("items", (signal) =>
    post<ItemsPage>(itemsPath(table, "items"), { ...ask, limit: PAGE }, signal),
  );
  return (
    <Await of={first}>{(page) => <Found key={page.cursor} table={table} ask={ask} first={page} open={open} />}</Await>
  );
}

function Found(props: { table: TableDescription; ask: ItemsAsk; first: ItemsPage; open: (item: Item) => void }) {
  const { table, ask, first, open } = props;
  const { pages, problem, loading, next } = usePages(first, (cursor, signal) =>
    post<ItemsPage>(itemsPath(table, "items"), { ...ask, limit: PAGE, cursor }, signal),
  );
  const items = pages.flatMap((page) => page.items);
  const last = pages.at(-1);
  // A call that found fewer than it was asked for has read as much as a call may.
  const stopped = last?.cursor !== undefined && last.items.length < PAGE;
  const sum = (of: (page: ItemsPage) => number) => pages.reduce((total, page) => total + of(page), 0);
  return (
    <>
      <div class="title">
        <p role="status" class="found">
          <strong>{text("found", { count: items.length })}</strong>{" "}
          <span class="muted">
            {text("cost", {
              scanned: sum((page) => page.scanned),
              units: number(
                sum((page) => page.units),
                1,
              ),
            })}
          </span>
        </p>
        {items.length > 0 && <Export table={table} items={items} />}
      </div>
      {items.length > 0 ? (
        <ItemsTable table={table} index={ask.index} items={items} open={open} />
      ) : (
        <p class="empty">{text(last?.cursor === undefined ? "nothing" : "nothingYet")}</p>
      )}
      {problem && <Failure problem={problem} retry={next} />}
      {last?.cursor !== undefined && (
        <>
          {stopped && <p class="hint">{text("moreToRead")}</p>}
          <div class="actions">
            <button onClick={next} disabled={loading}>
              {text(stopped ? "readOn" : "more")}
            </button>
            {loading && <Loading />}
          </div>
        </>
      )}
    </>
  );
}

interface ItemsTableProps {
  table: TableDescription;
  index: string | undefined;
  items: Item[];
  open: (item: Item) => void;
}

function ItemsTable({ table, index, items, open }: ItemsTableProps) {
  const ofIndex = table.indexes.find(({ name }) => name === index)?.key ?? [];
  const own = table.key.map(({ name }) => name);
  const keys = [...table.key, ...ofIndex.filter(({ name }) => !own.includes(name))];
  const names = columnsOf(items, keys);
  const shown = names.slice(0, keys.length + COLUMNS);
  const keyText = (item: Item) => Object.values(keyOf(item, table.key)).map(lineOf).join(" / ");
  const columns: Column<Item>[] = [
    {
      title: text("item"),
      cell: (item) => (
        <button class="small" aria-label={text("openItem", { key: keyText(item) })} onClick={() => open(item)}>
          {text("open")}
        </button>
      ),
    },
    ...shown.map((name) => ({
      title: name,
      cell: (item: Item) => {
        const value = attribute(item, name);
        return value && <CellValue value={value} />;
      },
    })),
  ];
  if (names.length > shown.length) {
    columns.push({
      title: "…",
      cell: (item) => {
        const count = Object.keys(item).filter((name) => !shown.includes(name)).length;
        return count > 0 && <span class="more">{text("moreAttributes", { count })}</span>;
      },
    });
  }
  return <Table caption={text("items")} columns={columns} rows={items} rowKey={keyText} />;
}

function Export({ table, items }: { table: TableDescription; items: Item[] }) {
  return (
    <details class="export">
      <summary>{text("exportTitle")}</summary>
      <p class="hint">{text("exportHint")}</p>
      <div class="actions">
        <button onClick={() => download(`${table.name}.jsonl`, "application/jsonl", jsonLines(items))}>
          {text("exportJson")}
        </button>
        <button onClick={() => download(`${table.name}.csv`, "text/csv;charset=utf-8", csv(items, table.key))}>
          {text("exportCsv")}
        </button>
      </div>
    </details>
  );
}
