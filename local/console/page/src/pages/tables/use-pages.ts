// A list that is loaded page by page.

import { useEffect, useRef, useState } from "preact/hooks";
import { Problem } from "../../api";

interface Page {
  cursor?: string;
}

export function usePages<P extends Page>(first: P, load: (cursor: string, signal: AbortSignal) => Promise<P>) {
  const [pages, setPages] = useState([first]);
  const [problem, setProblem] = useState<Problem>();
  const [loading, setLoading] = useState(false);
  const controller = useRef(new AbortController());
  useEffect(() => () => controller.current.abort(), []);
  const cursor = pages.at(-1)?.cursor;
  const next = async () => {
    if (cursor === undefined || loading) return;
    const { signal } = controller.current;
    setLoading(true);
    setProblem(undefined);
    try {
      const page = await load(cursor, signal);
      if (!signal.aborted) setPages((before) => [...before, page]);
    } catch (error) {
      if (!signal.aborted) setProblem(Problem.of(error));
    }
    if (!signal.aborted) setLoading(false);
  };
  return { pages, problem, loading, next };
}
