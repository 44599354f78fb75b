// What a shop owner looks at first: what needs attention, then how fresh, how used, how good and how dear it is.

import { get, useLoad } from "../api";
import { text as frame } from "../app.text";
import type { Overview } from "../console-api";
import type { PageProps } from "../pages";
import { href } from "../route";
import { useSession } from "../app";
import { time } from "../text";
import { Card, Grid, PageTitle } from "../ui/layout";
import { Await } from "../ui/notice";
import { Attention } from "./overview/attention";
import { Costs } from "./overview/costs";
import { Dumps } from "./overview/dumps";
import { Freshness } from "./overview/freshness";
import { Jobs } from "./overview/jobs";
import { Model } from "./overview/model";
import { Traffic } from "./overview/traffic";
import { text } from "./overview.text";
import "./overview.css";

const EVERY_MS = 5_000;

export function OverviewPage(_: PageProps) {
  const overview = useLoad("overview", (signal) => get<Overview>("/console/api/overview", signal), EVERY_MS);
  return (
    <>
      <PageTitle
        actions={overview.value && <span class="muted">{text("asOf", { at: time(overview.value.now) })}</span>}
      >
        {frame("overview")}
      </PageTitle>
      <Await of={overview}>
        {(value) => (
          <>
            <Attention items={value.attention} />
            <FirstSteps />
            <Grid halves>
              <Traffic traffic={value.traffic} />
              <Freshness freshness={value.freshness} />
              <Jobs {...value.jobs} />
              <Model {...value.model} />
              <Dumps dumps={value.dumps} />
              <Costs cost={value.cost} />
            </Grid>
          </>
        )}
      </Await>
    </>
  );
}

/** Where to begin with a shop that is there to be tried. */
function FirstSteps() {
  if (useSession().place.kind !== "memory") return null;
  return (
    <Card title={text("firstSteps")}>
      <p>{text("firstStepsHelp")}</p>
      <div class="actions">
        <a class="button" href={href("shopper", ["ada"])}>
          {text("tryShopper")}
        </a>
        <a class="button" href={href("catalogue")}>
          {text("tryCatalogue")}
        </a>
        <a class="button" href={href("import")}>
          {text("tryImport")}
        </a>
      </div>
    </Card>
  );
}
