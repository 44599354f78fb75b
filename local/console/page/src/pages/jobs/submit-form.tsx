import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { post, Problem } from "../../api";
import { useMayWrite, useSession } from "../../app";
import type { Job, JobEstimate, JobKind } from "../../console-api";
import { href, navigate } from "../../route";
import { Confirm } from "../../ui/confirm";
import { Card, Field } from "../../ui/layout";
import { Prose } from "../../ui/prose";
import { Failure, Notice } from "../../ui/notice";
import { text } from "../jobs.text";
import { Estimate } from "./estimate";
import { FormContext, isObject, ObjectFields } from "./fields";
import { shapeOf } from "./schema";
import { isDangerous, targetTable } from "./target";

type Parameters = Record<string, unknown>;

export function SubmitForm({ kind, given }: { kind: JobKind; given: string | undefined }) {
  const session = useSession();
  const mayWrite = useMayWrite();
  const [parameters, setParameters] = useState<Parameters>(() => readParameters(given));
  const [raw, setRaw] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const [estimated, setEstimated] = useState<{ of: string; estimate: JobEstimate }>();
  const [confirming, setConfirming] = useState(false);
  const form = useRef<HTMLFormElement>(null);

  const written = raw === undefined ? parameters : parseObject(raw);
  const key = JSON.stringify(written ?? raw);
  // One id for the same submission: if its answer is lost, it is repeated and not doubled.
  const jobId = useMemo(newJobId, [key, kind.kind]);
  const estimate = estimated?.of === key ? estimated.estimate : undefined;
  const shape = shapeOf(kind.schema, kind.schema);
  const fields = shape.kind === "object" ? shape.fields : [];
  // How a job runs has defaults that fit, so it is folded. The estimate below is its dry run.
  const runs = new Set(fields.filter(({ schema }) => schema["x-group"] === "run").map(({ name }) => name));
  runs.delete("dryRun");

  useEffect(() => {
    if (problem && form.current) showProblem(form.current, problem);
  }, [problem]);

  async function attempt(act: () => Promise<void>) {
    setBusy(true);
    setProblem(undefined);
    try {
      await act();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(error);
    } finally {
      setBusy(false);
    }
  }

  const askEstimate = (event: Event) => {
    event.preventDefault();
    if (written === undefined) return;
    void attempt(async () => {
      const body = { kind: kind.kind, parameters: written, dryRun: true };
      const answer = await post<{ estimate: JobEstimate }>("/jobs", body);
      setEstimated({ of: key, estimate: answer.estimate });
    });
  };

  async function submit() {
    const job = await post<Job>("/jobs", { jobId, kind: kind.kind, parameters: written });
    navigate(href("jobs", [job.jobId]));
  }

  const suggestions = {
    "table-name": Object.values(session.tables),
    location: Object.values(session.buckets).map((bucket) => `s3://${bucket}/`),
  };
  const context = { root: kind.schema, problem, suggestions };
  return (
    <>
      {!mayWrite && (
        <Notice kind="info" title={text("readOnly")}>
          <p>{text("readOnlyHelp")}</p>
        </Notice>
      )}
      {/* The browser's own checks would speak another language and know no schema. */}
      <form ref={form} class="submit" noValidate onSubmit={askEstimate}>
        <Card
          title={text("parameters")}
          actions={
            <button
              type="button"
              onClick={() => {
                if (raw === undefined) return setRaw(JSON.stringify(parameters, null, 2));
                if (written) setParameters(written);
                if (written) setRaw(undefined);
              }}
              disabled={raw !== undefined && written === undefined}
            >
              {text(raw === undefined ? "asJson" : "asForm")}
            </button>
          }
        >
          <p>
            <Prose>{kind.description}</Prose>
          </p>
          {raw === undefined ? (
            <FormContext.Provider value={context}>
              <ObjectFields
                path="parameters"
                schema={kind.schema}
                value={parameters}
                onChange={(changed) => setParameters((changed as Parameters | undefined) ?? {})}
                only={(name) => name !== "dryRun" && !runs.has(name)}
              />
              {runs.size > 0 && (
                <details>
                  <summary>{text("tuning")}</summary>
                  <div class="nested">
                    <ObjectFields
                      path="parameters"
                      schema={kind.schema}
                      value={parameters}
                      onChange={(changed) => setParameters((changed as Parameters | undefined) ?? {})}
                      only={(name) => runs.has(name)}
                    />
                  </div>
                </details>
              )}
            </FormContext.Provider>
          ) : (
            <Field
              label={text("parametersAsJson")}
              hint={text("jsonHelp")}
              error={written === undefined ? text("notObject") : undefined}
            >
              {({ id, describedBy, invalid }) => (
                <textarea
                  id={id}
                  class="code"
                  rows={12}
                  spellcheck={false}
                  aria-describedby={describedBy}
                  aria-invalid={invalid}
                  value={raw}
                  onInput={(event) => setRaw(event.currentTarget.value)}
                />
              )}
            </Field>
          )}
          <div class="actions">
            <button class={estimate ? "" : "primary"} disabled={busy || written === undefined} aria-busy={busy}>
              {text("estimate")}
            </button>
            <span class="hint">{text("estimateHelp")}</span>
          </div>
        </Card>
      </form>
      {problem && <Failure problem={problem} />}
      {estimate && written && (
        <Estimate estimate={estimate}>
          <button
            class={isDangerous(kind.kind) ? "danger" : "primary"}
            disabled={busy || !mayWrite}
            onClick={() => (isDangerous(kind.kind) ? setConfirming(true) : void attempt(submit))}
          >
            {text("submit")}
          </button>
        </Estimate>
      )}
      {confirming && written && (
        <Confirm
          title={text("confirmTitle", { kind: kind.kind })}
          action={text("submit")}
          typed={targetTable(written) ?? kind.kind}
          danger
          onConfirm={submit}
          onClose={() => setConfirming(false)}
        >
          <p>{text("confirmHelp", { table: targetTable(written) ?? "–" })}</p>
          <p>{session.place.kind === "aws" ? text("confirmAws", { name: session.place.name }) : text("confirmHere")}</p>
        </Confirm>
      )}
    </>
  );
}

/** What a link filled in; parameters that cannot be read begin empty. */
function readParameters(given: string | undefined): Parameters {
  return (given && parseObject(given)) || {};
}

function parseObject(text: string): Parameters | undefined {
  try {
    const value = JSON.parse(text) as unknown;
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function newJobId(): string {
  return `console-${Date.now().toString(36)}-${crypto.randomUUID().slice(0, 8)}`;
}

/** Opens what folds the field that a problem names, and goes there. */
function showProblem(form: HTMLFormElement, { field }: Problem): void {
  if (field === undefined) return;
  const fields = [...form.querySelectorAll<HTMLElement>("[data-path]")].filter(({ dataset: { path = "" } }) =>
    [path, `${path}.`, `${path}[`].some((part, index) => (index === 0 ? field === part : field.startsWith(part))),
  );
  const nearest = fields.sort((a, b) => (b.dataset.path?.length ?? 0) - (a.dataset.path?.length ?? 0))[0];
  for (let at: HTMLElement | null | undefined = nearest; at && at !== form; at = at.parentElement) {
    if (at instanceof HTMLDetailsElement) at.open = true;
  }
  nearest?.querySelector<HTMLElement>("input, select, textarea, summary")?.focus();
}
