import { useRef } from "preact/hooks";
import type { Loaded } from "./api";

/** What was loaded, and until then what was loaded before within the same scope: no flicker from one question to the next. */
export function useKept<T>(scope: string, loaded: Loaded<T>): Loaded<T> {
  const kept = useRef<{ scope: string; value: T }>();
  if (loaded.value !== undefined) kept.current = { scope, value: loaded.value };
  const value = kept.current?.scope === scope ? kept.current.value : undefined;
  return value === undefined ? loaded : { ...loaded, value };
}
