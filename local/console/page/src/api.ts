// Calls of the public API and of the console's own routes, and what goes wrong with them.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { readSession } from "./session";
import { language } from "./text";

/** What a server answers in place of what was asked for (RFC 9457), or what kept it from answering. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    /** The field of the request that is wrong, such as `parameters.where`. */
    readonly field?: string,
  ) {
    super(detail);
  }

  /** What a call failed with. */
  static of(error: unknown): Problem {
    return error instanceof Problem ? error : new Problem(0, "failed", String(error));
  }
}

interface CallOptions {
  body?: unknown;
  signal?: AbortSignal;
}

export type Method = "GET" | "POST" | "PUT" | "DELETE";

/** Calls the server and returns its JSON; `undefined` for an answer without a body. */
export async function call<T>(method: Method, path: string, { body, signal }: CallOptions = {}): Promise<T> {
  const headers: Record<string, string> = { ...sessionHeader(), "accept-language": language() };
  if (body !== undefined) headers["content-type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "no_answer", String(error));
  }
  return answerOf<T>(response);
}

export const get = <T>(path: string, signal?: AbortSignal) => call<T>("GET", path, signal ? { signal } : {});
export const post = <T>(path: string, body: unknown, signal?: AbortSignal) =>
  call<T>("POST", path, signal ? { body, signal } : { body });

export function sessionHeader(): Record<string, string> {
  const session = readSession();
  return session === undefined ? {} : { "x-nextbasket-session": session };
}

export async function answerOf<T>(response: Response): Promise<T> {
  const text = await response.text();
  let answer: unknown;
  try {
    answer = text === "" ? undefined : JSON.parse(text);
  } catch {
    throw new Problem(response.status, "not_json", `${response.status} ${response.statusText}`);
  }
  if (response.ok) return answer as T;
  const problem = (answer ?? {}) as { code?: string; detail?: string; message?: string; field?: string };
  const detail = problem.detail ?? problem.message ?? `${response.status} ${response.statusText}`;
  throw new Problem(response.status, problem.code ?? "unknown", detail, problem.field);
}

export interface Loaded<T> {
  /** The newest answer; it stays while the next one is loaded. */
  value?: T;
  problem?: Problem;
  loading: boolean;
  reload: () => void;
}

/**
 * Loads when the page is shown and whenever `key` changes; every `everyMs` again while the page is visible. An answer that
 * comes after a newer question is dropped.
 */
export function useLoad<T>(key: string, load: (signal: AbortSignal) => Promise<T>, everyMs?: number): Loaded<T> {
  const [state, setState] = useState<{ key: string; value?: T; problem?: Problem; loading: boolean }>({
    key,
    loading: true,
  });
  const [asked, setAsked] = useState(0);
  const newest = useRef(load);
  newest.current = load;
  useEffect(() => {
    const controller = new AbortController();
    setState((before) => (before.key === key ? { ...before, loading: true } : { key, loading: true }));
    newest.current(controller.signal).then(
      (value) => controller.signal.aborted || setState({ key, value, loading: false }),
      (error) =>
        controller.signal.aborted ||
        setState((before) => ({
          ...(before.key === key ? before : { key }),
          problem: Problem.of(error),
          loading: false,
        })),
    );
    return () => controller.abort();
  }, [key, asked]);
  const reload = useCallback(() => setAsked((n) => n + 1), []);
  useEffect(() => {
    if (everyMs === undefined) return;
    const timer = setInterval(() => document.visibilityState === "visible" && reload(), everyMs);
    return () => clearInterval(timer);
  }, [everyMs, reload]);
  const { key: _, ...loaded } = state;
  return state.key === key ? { ...loaded, reload } : { loading: true, reload };
}
