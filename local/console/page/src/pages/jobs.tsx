// Jobs: the list, one of them, and the form that submits one.

import { useEffect, useRef } from "preact/hooks";
import type { PageProps } from "../pages";
import { JobList } from "./jobs/list";
import { JobPage } from "./jobs/job";
import { SubmitPage } from "./jobs/submit";
import "./jobs.css";

export function JobsPage({ route }: PageProps) {
  const [jobId] = route.path;
  const submit = route.query.get("submit");
  const place = submit !== null ? "submit" : (jobId ?? "list");
  const shown = useRef(place);
  useEffect(() => {
    // As between pages, keyboard and screen reader go on with what is shown now.
    if (shown.current !== place) document.getElementById("main")?.focus();
    shown.current = place;
  }, [place]);
  if (submit !== null) return <SubmitPage kind={submit} parameters={route.query.get("parameters") ?? undefined} />;
  if (jobId !== undefined) return <JobPage key={jobId} jobId={jobId} />;
  return <JobList />;
}
