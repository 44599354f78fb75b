// Sales by week and the repurchase curve, from one pass over the purchases that the server makes in the background.

import { useEffect, useState } from "preact/hooks";
import { post, Problem } from "../../api";
import type { Repurchase, SalesWeek, Statistics, StatisticsPending } from "../../console-api";
import { price } from "../../price";
import { ago, bytes, number, percent, usd } from "../../text";
import { Chart, type ChartX } from "../../ui/chart";
import { Card, Figure, Figures } from "../../ui/layout";
import { Failure, Notice } from "../../ui/notice";
import { Progress } from "../../ui/progress";
import { text } from "./product.text";

const POLL_MS = 1_000;
const WEEK_MS = 7 * 86_400_000;

export function ProductStatistics({ statistics, reload }: { statistics: Statistics; reload: () => void }) {
  if (statistics.state !== "ready") {
    return (
      <Card title={text("sales")}>
        <PendingStatistics pending={statistics} reload={reload} />
      </Card>
    );
  }
  const { weeks, repurchase, purchases, asOf } = statistics;
  return (
    <>
      <Card title={text("repurchase")}>
        <p class="muted">{text("repurchaseHelp")}</p>
        <RepurchaseCurve repurchase={repurchase} />
      </Card>
      <Card title={text("sales")} wide>
        <SalesByWeek weeks={weeks} />
        <p class="muted">{text("asOf", { count: purchases, ago: ago(asOf) })}</p>
      </Card>
    </>
  );
}

/** The pass over the purchases: how far it is, or what it would take. */
export function PendingStatistics({ pending, reload }: { pending: StatisticsPending; reload: () => void }) {
  const [problem, setProblem] = useState<Problem>();
  useEffect(() => {
    if (pending.state !== "reading") return;
    const timer = setTimeout(reload, POLL_MS);
    return () => clearTimeout(timer);
  }, [pending]);
  if (pending.state === "reading") {
    const { done, total } = pending;
    const label = text("reading", { done, total });
    return (
      <>
        <p>{label}</p>
        <Progress label={label} share={total > 0 ? done / total : undefined} />
      </>
    );
  }
  const confirm = async () => {
    setProblem(undefined);
    try {
      await post("/console/api/statistics", { confirm: true });
      reload();
    } catch (error) {
      setProblem(error instanceof Problem ? error : new Problem(0, "failed", String(error)));
    }
  };
  const { items, readUnits, failure } = pending;
  return (
    <>
      {failure && (
        <Notice kind="error" title={text("asked")}>
          <p>{failure}</p>
        </Notice>
      )}
      <p>{text("ask", { items, bytes: bytes(pending.bytes), units: readUnits, usd: usd(pending.usd) })}</p>
      {problem && <Failure problem={problem} />}
      <div class="actions">
        <button class="primary" onClick={() => void confirm()}>
          {text("readNow")}
        </button>
      </div>
    </>
  );
}

/** Weeks without a sale between others count nothing, and are shown so. */
export function SalesByWeek({ weeks }: { weeks: SalesWeek[] }) {
  const first = weeks[0];
  const last = weeks.at(-1);
  if (!first || !last) return <p class="empty">{text("noSales")}</p>;
  const byWeek = new Map(weeks.map((week) => [Date.parse(week.week), week]));
  const values: number[] = [];
  for (let at = Date.parse(first.week); at <= Date.parse(last.week); at += WEEK_MS) values.push(at);
  const x: ChartX = { title: text("week"), values, kind: "date", step: WEEK_MS };
  const of = (figure: (week: SalesWeek) => number) => values.map((at) => figureOf(byWeek.get(at), figure));
  const currency = weeks.find(({ revenue }) => revenue)?.revenue?.currency;
  return (
    <>
      <Chart
        title={text("salesPurchases")}
        x={x}
        series={[
          { name: text("salesPurchases"), kind: "bar", values: of(({ purchases }) => purchases) },
          { name: text("salesQuantity"), kind: "line", ink: "second", values: of(({ quantity }) => quantity) },
        ]}
        format={(value) => number(value)}
        counts
        height={180}
      />
      {currency !== undefined && (
        <Chart
          title={text("revenueIn", { currency })}
          x={x}
          series={[{ name: text("revenue"), kind: "bar", values: of(({ revenue }) => revenue?.amount ?? 0) }]}
          format={(amount) => price({ amount, currency })}
          height={140}
        />
      )}
    </>
  );
}

const figureOf = (week: SalesWeek | undefined, figure: (week: SalesWeek) => number) => (week ? figure(week) : 0);

function RepurchaseCurve({ repurchase: { buyers, againBuyers, curve, medianDays } }: { repurchase: Repurchase }) {
  const fromZero = [{ days: 0, share: 0 }, ...curve.filter(({ days }) => days > 0)];
  return (
    <>
      <Figures>
        <Figure name={text("buyers")} value={number(buyers)} />
        <Figure name={text("againBuyers")} value={number(againBuyers)} />
        <Figure
          name={text("median")}
          value={
            buyers === 0
              ? "–"
              : medianDays === undefined
                ? text("noMedian")
                : text("medianDays", { count: Math.round(medianDays) })
          }
        />
      </Figures>
      {curve.length > 0 ? (
        <Chart
          title={text("share")}
          x={{ title: text("days"), values: fromZero.map(({ days }) => days), kind: "number" }}
          series={[{ name: text("share"), kind: "step", values: fromZero.map(({ share }) => share) }]}
          format={(share) => percent(share)}
          height={180}
        />
      ) : (
        <p class="empty">{text("noCurve")}</p>
      )}
    </>
  );
}
