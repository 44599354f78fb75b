// What the ranker learned, in words for a shop owner: which signals decide the order, and why it is used or not.

import { useState } from "preact/hooks";
import { get, useLoad } from "../../api";
import type { ModelDetails, RankerReport } from "../../console-api";
import { decimal, number, percent } from "../../text";
import { Json } from "../../ui/json";
import { Card, Figure, Figures, Table } from "../../ui/layout";
import { Await } from "../../ui/notice";
import { Bar } from "../../ui/progress";
import type { Model } from "../models";
import { text } from "../models.text";
import { GROUPS, groupOf, signalText } from "./signals";

const SHOWN = 12;

export function Learned({ model }: { model: Model }) {
  const details = useLoad(`model ${model.version}`, (signal) =>
    get<ModelDetails>(`/console/api/models/${model.version}`, signal),
  );
  const ranker = model.metrics?.ranker;
  return (
    <>
      <Card title={text("learned")} wide>
        {ranker ? <Why ranker={ranker} /> : <p class="empty">{text("noRanker")}</p>}
        {ranker && ranker.features.length > 0 && <Signals ranker={ranker} details={details.value} />}
      </Card>
      <Card title={text("details")} wide>
        <Await of={details}>
          {({ products, users, purchases, ranker, cartWeight, parameters }) => (
            <>
              <Figures>
                <Figure name={text("knownProducts")} value={number(products)} />
                <Figure name={text("knownUsers")} value={number(users)} />
                <Figure name={text("knownPurchases")} value={number(purchases)} />
                {ranker && <Figure name={text("trees")} value={number(ranker.trees)} />}
                {cartWeight !== undefined && (
                  <Figure name={text("cartWeight")} value={number(cartWeight, 2)} hint={text("cartWeightHelp")} />
                )}
              </Figures>
              <details>
                <summary>{text("parameters")}</summary>
                <Json value={parameters} />
              </details>
            </>
          )}
        </Await>
      </Card>
    </>
  );
}

function Why({ ranker }: { ranker: RankerReport }) {
  const { used, baskets, ndcg, handNdcg, difference, time } = ranker;
  const compared = ndcg !== null && handNdcg !== null;
  const figures = compared ? { ndcg: decimal(ndcg, 3), hand: decimal(handNdcg, 3) } : {};
  return (
    <>
      <p>{text(used ? "used" : compared ? "notBetter" : "tooFew", { baskets, ...figures })}</p>
      {difference?.interval && (
        <p class="muted">
          {text("difference", {
            mean: decimal(difference.mean, 3),
            low: decimal(difference.interval[0], 3),
            high: decimal(difference.interval[1], 3),
          })}
        </p>
      )}
      {time && <p class="muted">{text(time.features === "elapsed" ? "elapsed" : "standing")}</p>}
    </>
  );
}

function Signals({ ranker, details }: { ranker: RankerReport; details: ModelDetails | undefined }) {
  const [all, setAll] = useState(false);
  const features = [...ranker.features].sort((a, b) => b.gain - a.gain || Math.abs(b.weight) - Math.abs(a.weight));
  // Without trees there is no gain: the weights alone say what counts.
  const byWeight = features.every(({ gain }) => gain === 0);
  const size = (feature: { gain: number; weight: number }) => (byWeight ? Math.abs(feature.weight) : feature.gain);
  const largest = Math.max(...features.map(size), Number.MIN_VALUE);
  const sum = features.reduce((sum, feature) => sum + size(feature), 0) || 1;
  const groups = GROUPS.map((group) => ({
    group,
    share: features.filter(({ name }) => groupOf(name) === group).reduce((sum, one) => sum + size(one), 0) / sum,
  })).sort((a, b) => b.share - a.share);
  const splits = new Map(details?.ranker?.features.map(({ name, splits }) => [name, splits]));
  return (
    <>
      <div class="split">
        <div>
          <h3>{text("groups")}</h3>
          <p class="hint">{text(byWeight ? "groupsByWeight" : "groupsHelp")}</p>
          <Table
            caption={text("groups")}
            rows={groups}
            rowKey={({ group }) => group}
            columns={[
              { title: text("signals"), cell: ({ group }) => text(`group.${group}`) },
              {
                title: text("share"),
                cell: ({ share }) => <Share bar={share / (groups[0]?.share || 1)} text={percent(share)} />,
              },
            ]}
          />
        </div>
        <div>
          <h3>{text("features")}</h3>
          <p class="hint">{text("featuresHelp")}</p>
          <Table
            caption={text("features")}
            rows={all ? features : features.slice(0, SHOWN)}
            rowKey={({ name }) => name}
            columns={[
              {
                title: text("signal"),
                cell: ({ name }) => (
                  <div class="signal">
                    {signalText(name)} <code class="muted">{name}</code>
                  </div>
                ),
              },
              {
                title: text("share"),
                cell: (feature) => <Share bar={size(feature) / largest} text={percent(size(feature) / sum, 1)} />,
              },
              {
                title: text("weight"),
                numeric: true,
                cell: ({ name, weight }) => (name === "linearScore" ? "–" : decimal(weight, 2)),
              },
              ...(splits.size > 0
                ? [
                    {
                      title: text("splits"),
                      numeric: true,
                      cell: ({ name }: { name: string }) => number(splits.get(name) ?? 0),
                    },
                  ]
                : []),
            ]}
          />
          {features.length > SHOWN && (
            <div class="actions">
              <button aria-expanded={all} onClick={() => setAll(!all)}>
                {text(all ? "fewer" : "allSignals", { count: features.length })}
              </button>
            </div>
          )}
        </div>
      </div>
    </>
  );
}

function Share({ bar, text }: { bar: number; text: string }) {
  return (
    <div class="share">
      <Bar share={bar} />
      {text}
    </div>
  );
}
