// An import goes on while other pages are looked at: what is uploaded, checked and imported is kept here, for this tab.

import { useEffect, useState } from "preact/hooks";
import { Problem, get, post } from "../../api";
import type { ImportReport, JobView } from "../../console-api";
import { type ReadingOptions, noOptions, parametersOf } from "./options";
import { upload } from "./upload";

export interface ImportFile {
  name: string;
  bytes: number;
  sent: number;
  location?: string;
  problem?: Problem;
  /** Ends its upload. */
  controller: AbortController;
}

/** A job of this import: a check, the import itself, or the training after it. */
export interface Attempt {
  /** What it was started with: whether that is still what the form says. */
  parameters: string;
  jobId?: string;
  job?: JobView;
  report?: ImportReport;
  problem?: Problem;
}

export interface ImportState {
  files: ImportFile[];
  options: ReadingOptions;
  check?: Attempt;
  run?: Attempt;
  training?: Attempt;
}

const POLL_MS = 1_000;

let state: ImportState = { files: [], options: noOptions };
const listeners = new Set<() => void>();

function replace(next: ImportState): void {
  state = next;
  for (const listener of listeners) listener();
}

const set = (change: Partial<ImportState>) => replace({ ...state, ...change });

export function useImport(): ImportState {
  const [shown, show] = useState(state);
  useEffect(() => {
    const changed = () => show(state);
    changed();
    listeners.add(changed);
    return () => void listeners.delete(changed);
  }, []);
  return shown;
}

export function setOptions(change: Partial<ReadingOptions>): void {
  set({ options: { ...state.options, ...change } });
}

export function addFiles(files: Iterable<File>): void {
  for (const file of files) void send(file);
}

async function send(file: File): Promise<void> {
  const controller = new AbortController();
  const own: ImportFile = { name: file.name, bytes: file.size, sent: 0, controller };
  // The same file again replaces the one before.
  const others = state.files.filter(({ name }) => name !== file.name);
  for (const old of state.files) if (old.name === file.name) old.controller.abort();
  set({ files: [...others, own] });
  const change = (part: Partial<ImportFile>) =>
    set({ files: state.files.map((one) => (one.controller === controller ? { ...one, ...part } : one)) });
  try {
    const { location, bytes } = await upload(file, (sent) => change({ sent }), controller.signal);
    change({ location, bytes, sent: bytes });
  } catch (error) {
    if (!controller.signal.aborted) change({ problem: Problem.of(error) });
    return;
  }
  if (state.files.every(({ location }) => location !== undefined)) void check();
}

export function removeFile(file: ImportFile): void {
  file.controller.abort();
  set({ files: state.files.filter((one) => one.controller !== file.controller) });
}

export function startOver(): void {
  for (const { controller } of state.files) controller.abort();
  replace({ files: [], options: { ...noOptions, kind: state.options.kind } });
}

/** What a job would be started with now; `undefined` while files are on their way. */
export function presentParameters({ files, options }: ImportState): string | undefined {
  const sources = files.flatMap(({ location }) => (location === undefined ? [] : [location]));
  if (sources.length === 0 || sources.length < files.length) return undefined;
  return JSON.stringify(parametersOf(options, sources));
}

/** Reads the files and writes nothing. */
export async function check(): Promise<void> {
  await start("check", { check: true, report: true });
}

/** Imports what was checked, with exactly the same options. */
export async function run(): Promise<void> {
  await start("run", { report: true });
}

async function start(which: "check" | "run", more: Record<string, unknown>): Promise<void> {
  const parameters = presentParameters(state);
  if (parameters === undefined) return;
  // What came after the one before is of another question.
  const { files, options, check } = state;
  replace(which === "run" && check ? { files, options, check } : { files, options });
  await follow(which, { parameters }, "import", { ...JSON.parse(parameters), ...more });
}

export async function train(): Promise<void> {
  await follow("training", { parameters: "" }, "train", {});
}

const pause = () => new Promise((resolve) => setTimeout(resolve, POLL_MS));

/** Asks again while there is no connection: the job goes on without the page. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 0) throw error;
      await pause();
    }
  }
}

async function follow(
  which: "check" | "run" | "training",
  begun: Attempt,
  kind: string,
  parameters: Record<string, unknown>,
): Promise<void> {
  let attempt = begun;
  set({ [which]: attempt });
  // A later attempt has taken its place: this one is no longer shown.
  const isCurrent = () => state[which] === attempt;
  const change = (part: Partial<Attempt>) => {
    attempt = { ...attempt, ...part };
    set({ [which]: attempt });
  };
  try {
    const { jobId } = await post<{ jobId: string }>("/jobs", { kind, parameters });
    if (!isCurrent()) return;
    change({ jobId });
    for (;;) {
      const job = await patiently(() => get<JobView>(`/jobs/${jobId}`));
      if (!isCurrent()) return;
      if (job.endedAt === undefined) {
        change({ job });
        await pause();
        continue;
      }
      if (kind === "import" && job.state === "succeeded") {
        const report = await get<ImportReport>(`/console/api/jobs/${jobId}/import`);
        if (!isCurrent()) return;
        change({ job, report });
      } else {
        change({ job });
      }
      return;
    }
  } catch (error) {
    if (isCurrent()) change({ problem: Problem.of(error) });
  }
}
