// Models: how good each training's was, beside plain counts; what was learned; and the way back.

import { useState } from "preact/hooks";
import { call, get, useLoad } from "../api";
import type { components } from "../api-types";
import { useMayWrite } from "../app";
import { text as frame } from "../app.text";
import type { ModelMetrics, Training } from "../console-api";
import type { PageProps } from "../pages";
import { href } from "../route";
import { ago } from "../text";
import { Confirm } from "../ui/confirm";
import { Card, Grid, PageTitle } from "../ui/layout";
import { Await, Notice } from "../ui/notice";
import { Comparison } from "./models/comparison";
import { Gate } from "./models/gate";
import { Learned } from "./models/learned";
import { OverTime } from "./models/over-time";
import { Trainings } from "./models/trainings";
import { text } from "./models.text";
import "./models.css";

export type Model = Omit<components["schemas"]["Model"], "metrics"> & { metrics?: ModelMetrics };

const EVERY_MS = 15_000;

export function ModelsPage(_: PageProps) {
  const models = useLoad("models", (signal) => get<{ items: Model[] }>("/models", signal), EVERY_MS);
  const trainings = useLoad(
    "trainings",
    (signal) => get<{ items: Training[] }>("/console/api/trainings", signal),
    EVERY_MS,
  );
  return (
    <>
      <PageTitle
        actions={
          <a class="button primary" href={href("jobs", [], { submit: "train" })}>
            {text("train")}
          </a>
        }
      >
        {frame("models")}
      </PageTitle>
      <Await of={models}>
        {({ items }) =>
          items.length === 0 ? (
            <Notice kind="info" title={text("noModel")}>
              <p>{text("noModelHelp")}</p>
            </Notice>
          ) : (
            <Kept models={items} trainings={trainings.value?.items ?? []} reload={models.reload} />
          )
        }
      </Await>
      <Await of={trainings}>
        {({ items }) => (
          <Grid>
            <OverTime trainings={items} />
            <Trainings trainings={items} />
          </Grid>
        )}
      </Await>
    </>
  );
}

/** The live model and the one before, and what the live one has learned. */
function Kept({ models, trainings, reload }: { models: Model[]; trainings: Training[]; reload: () => void }) {
  const mayWrite = useMayWrite();
  const [target, setTarget] = useState<Model>();
  const live = models.find((model) => model.live);
  const previous = models.find((model) => !model.live);
  const newest = Math.max(...models.map(({ version }) => version));
  const training = trainings.find(({ version }) => version === newest);
  return (
    <Grid>
      <Card
        title={text("comparison")}
        wide
        actions={
          mayWrite &&
          previous && (
            <button onClick={() => setTarget(previous)}>
              {text("rollBack", { version: String(previous.version) })}
            </button>
          )
        }
      >
        <Comparison models={models} />
        {training?.jobId && <Gate jobId={training.jobId} version={newest} />}
      </Card>
      {live && <Learned model={live} />}
      {target && live && (
        <Confirm
          title={text("rollBackTitle", { version: String(target.version) })}
          action={text("rollBack", { version: String(target.version) })}
          onConfirm={async () => {
            await call("PUT", "/models/current", { body: { version: target.version } });
            reload();
          }}
          onClose={() => setTarget(undefined)}
        >
          <p>
            {text("rollBackHelp", {
              version: String(target.version),
              trained: ago(target.trainedAt),
              live: String(live.version),
            })}
          </p>
          <p>{text("rollBackNext")}</p>
        </Confirm>
      )}
    </Grid>
  );
}
