// How many items match, counted call by call: the number grows while it is counted, and counting can be stopped.

import { useEffect, useRef, useState } from "preact/hooks";
import { Problem, post } from "../../api";
import type { ItemsAsk, ItemsCount, TableDescription } from "../../console-api";
import { number } from "../../text";
import { Failure } from "../../ui/notice";
import { text } from "../tables.text";
import { itemsPath } from "./items-path";

export function CountOf({ table, ask }: { table: TableDescription; ask: ItemsAsk }) {
  const [counted, setCounted] = useState<ItemsCount>();
  const [problem, setProblem] = useState<Problem>();
  const running = useRef<AbortController>();
  const [isRunning, setRunning] = useState(false);
  useEffect(() => () => running.current?.abort(), []);
  const count = async () => {
    const controller = new AbortController();
    running.current = controller;
    const { signal } = controller;
    setRunning(true);
    setProblem(undefined);
    let total: ItemsCount = { count: 0, scanned: 0, units: 0 };
    let cursor: string | undefined;
    try {
      do {
        const body = cursor === undefined ? ask : { ...ask, cursor };
        const part = await post<ItemsCount>(itemsPath(table, "count"), body, signal);
        total = {
          count: total.count + part.count,
          scanned: total.scanned + part.scanned,
          units: total.units + part.units,
        };
        cursor = part.cursor;
        if (!signal.aborted) setCounted(cursor === undefined ? total : { ...total, cursor });
      } while (cursor !== undefined && !signal.aborted);
    } catch (error) {
      if (!signal.aborted) setProblem(Problem.of(error));
    }
    if (running.current === controller) setRunning(false);
  };
  return (
    <div class="actions">
      {isRunning ? (
        <button
          onClick={() => {
            running.current?.abort();
            setRunning(false);
          }}
        >
          {text("stop")}
        </button>
      ) : (
        <button onClick={count}>{text("count")}</button>
      )}
      <p role="status" class="found">
        {counted && (
          <>
            <strong>{text(counted.cursor === undefined ? "counted" : "countedSoFar", { count: counted.count })}</strong>{" "}
            <span class="muted">{text("cost", { scanned: counted.scanned, units: number(counted.units, 1) })}</span>
          </>
        )}
        {isRunning && ` ${text("reading")}`}
      </p>
      {problem && <Failure problem={problem} retry={count} />}
    </div>
  );
}
