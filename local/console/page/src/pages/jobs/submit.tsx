// Submits a job: a form made of the kind's own parameter schema, an estimate first, then the job itself.

import { get, useLoad } from "../../api";
import type { JobKind } from "../../console-api";
import { href } from "../../route";
import { Card, PageTitle } from "../../ui/layout";
import { Await, Notice } from "../../ui/notice";
import { Prose } from "../../ui/prose";
import { text } from "../jobs.text";
import { SubmitForm } from "./submit-form";

export function SubmitPage({ kind, parameters }: { kind: string; parameters: string | undefined }) {
  const kinds = useLoad("kinds", (signal) => get<{ items: JobKind[] }>("/console/api/kinds", signal));
  return (
    <>
      <PageTitle
        actions={
          <a class="button" href={kind === "" ? href("jobs") : href("jobs", [], { submit: "" })}>
            {text(kind === "" ? "allJobs" : "otherKind")}
          </a>
        }
      >
        {kind === "" ? text("newJob") : text("submitKind", { kind })}
      </PageTitle>
      <Await of={kinds}>
        {({ items }) => {
          if (kind === "") return <Kinds kinds={items} />;
          const chosen = items.find((one) => one.kind === kind);
          if (!chosen) {
            return (
              <Notice kind="error" title={text("unknownKind", { kind })}>
                <p>{text("unknownKindHelp")}</p>
              </Notice>
            );
          }
          return <SubmitForm key={`${kind} ${parameters ?? ""}`} kind={chosen} given={parameters} />;
        }}
      </Await>
    </>
  );
}

function Kinds({ kinds }: { kinds: JobKind[] }) {
  return (
    <Card title={text("chooseKind")}>
      <ul class="kinds">
        {kinds.map(({ kind, description, writesTables }) => (
          <li key={kind}>
            <a href={href("jobs", [], { submit: kind })}>{kind}</a>
            {writesTables && <span class="tag warning">{text("writes")}</span>}
            <p class="hint">
              <Prose>{description}</Prose>
            </p>
          </li>
        ))}
      </ul>
    </Card>
  );
}
