// What is shown in place of content: something to know, something that failed, something that is on its way.

import type { ComponentChildren } from "preact";
import type { Loaded, Problem } from "../api";
import { text } from "../app.text";

export type NoticeKind = "info" | "warning" | "error" | "success";

export function Notice({ kind, title, children }: { kind: NoticeKind; title: string; children?: ComponentChildren }) {
  return (
    <section class={`notice ${kind}`} role={kind === "error" ? "alert" : "status"}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

export function Failure({ problem, retry }: { problem: Problem; retry?: () => void }) {
  return (
    <Notice kind="error" title={text("failed")}>
      <p>
        {problem.field && <code>{problem.field}</code>} {problem.message}
      </p>
      {retry && <button onClick={retry}>{text("retry")}</button>}
    </Notice>
  );
}

export function Loading() {
  return (
    <p class="loading" role="status">
      {text("loading")}
    </p>
  );
}

/** What was loaded, or what goes on instead. An earlier answer stays while a newer one is awaited. */
export function Await<T>({ of, children }: { of: Loaded<T>; children: (value: T) => ComponentChildren }) {
  return (
    <>
      {of.problem && <Failure problem={of.problem} retry={of.reload} />}
      {of.value !== undefined ? children(of.value) : of.loading && <Loading />}
    </>
  );
}
