// Purchases on a time line, with a lane for each product that comes again and again.

import { useMemo, useRef, useState } from "preact/hooks";
import { useNames } from "../../products";
import { price } from "../../price";
import { href } from "../../route";
import type { Money, Purchase } from "../../shop";
import { date, dateTime, language, number } from "../../text";
import { Card, Table } from "../../ui/layout";
import { text } from "./shopper.text";
import { ticksBetween } from "./time-ticks";

const LANES = 8;
const MAX_TICKS = 5;

interface Lane {
  productId?: string;
  times: number[];
}

export function TimeLineCard({ purchases }: { purchases: Purchase[] }) {
  const ordered = useMemo(() => [...purchases].reverse(), [purchases]);
  const times = useMemo(() => ordered.map(({ purchasedAt }) => Date.parse(purchasedAt)), [ordered]);
  const lanes = useMemo(() => lanesOf(purchases), [purchases]);
  const name = useNames(lanes.flatMap(({ productId }) => productId ?? []));
  const [chosen, setChosen] = useState<string>();
  const found = ordered.findIndex(({ purchaseId }) => purchaseId === chosen);
  const index = found < 0 ? ordered.length - 1 : found;
  const purchase = ordered[index];

  const now = Date.now();
  const from = times[0] ?? now;
  const to = Math.max(now, times.at(-1) ?? now);
  const percentAt = (at: number) => 1 + (98 * (at - from)) / Math.max(to - from, 1);
  const scale = { percentAt, ticks: ticksBetween(from, to, MAX_TICKS), now: percentAt(now) };
  return (
    <Card title={text("timeLine")}>
      <p class="muted">{text("timeLineHelp")}</p>
      <div class="time-line">
        <Marks purchases={ordered} index={index} percentAt={percentAt} choose={setChosen} />
        {lanes.map((lane) => {
          const last = date(new Date(Math.max(...lane.times)).toISOString());
          return (
            <div class="lane" key={lane.productId ?? ""}>
              <div class="lane-name">
                {lane.productId === undefined ? (
                  text("other")
                ) : (
                  <a href={href("product", [lane.productId])}>{name(lane.productId)}</a>
                )}
                <span class="hidden">{`, ${text("laneCount", { count: lane.times.length, last })}`}</span>
                <span class="muted" aria-hidden="true">
                  {number(lane.times.length)}
                </span>
              </div>
              <LaneTrack lane={lane} {...scale} />
            </div>
          );
        })}
        <div class="lane axis" aria-hidden="true">
          <div class="track">
            {scale.ticks.map((tick) => (
              <span key={tick} style={{ left: `${percentAt(tick)}%` }}>
                {new Date(tick).toLocaleDateString(language(), { month: "short", year: "2-digit" })}
              </span>
            ))}
          </div>
        </div>
      </div>
      {purchase && <PurchaseDetails purchase={purchase} />}
      {purchases.length >= 100 && <p class="muted">{text("newestOf", { count: purchases.length })}</p>}
    </Card>
  );
}

/** The purchases as buttons, of which the tabulator key reaches the chosen one and arrow keys the others. */
function Marks(props: {
  purchases: Purchase[];
  index: number;
  percentAt: (at: number) => number;
  choose: (purchaseId: string) => void;
}) {
  const { purchases, index, percentAt, choose } = props;
  const track = useRef<HTMLDivElement>(null);
  const go = (to: number) => {
    const next = purchases[Math.min(Math.max(to, 0), purchases.length - 1)];
    if (!next) return;
    choose(next.purchaseId);
    const button = track.current?.children[purchases.indexOf(next)];
    if (button instanceof HTMLElement) button.focus();
  };
  const steps: Record<string, number> = {
    ArrowLeft: index - 1,
    ArrowUp: index - 1,
    ArrowRight: index + 1,
    ArrowDown: index + 1,
    Home: 0,
    End: purchases.length - 1,
  };
  return (
    <div class="lane">
      <div class="lane-name">
        <strong>{text("purchases")}</strong>
        <span class="muted">{number(purchases.length)}</span>
      </div>
      <div
        class="track marks"
        ref={track}
        role="group"
        aria-label={text("purchases")}
        onKeyDown={(event) => {
          const to = steps[event.key];
          if (to === undefined) return;
          event.preventDefault();
          go(to);
        }}
      >
        {purchases.map(({ purchaseId, purchasedAt, lines }, position) => (
          <button
            key={purchaseId}
            type="button"
            tabIndex={position === index ? 0 : -1}
            aria-pressed={position === index}
            aria-label={text("purchaseLabel", { at: dateTime(purchasedAt), count: lines.length })}
            title={text("purchaseLabel", { at: dateTime(purchasedAt), count: lines.length })}
            style={{ left: `${percentAt(Date.parse(purchasedAt))}%` }}
            onClick={() => choose(purchaseId)}
          />
        ))}
      </div>
    </div>
  );
}

function LaneTrack(props: { lane: Lane; percentAt: (at: number) => number; ticks: number[]; now: number }) {
  const { lane, percentAt, ticks, now } = props;
  return (
    <svg class="track" width="100%" height="20" aria-hidden="true">
      <line class="rail" x1="0" x2="100%" y1="10" y2="10" />
      {ticks.map((tick) => (
        <line key={tick} class="tick" x1={`${percentAt(tick)}%`} x2={`${percentAt(tick)}%`} y1="0" y2="20" />
      ))}
      <line class="now" x1={`${now}%`} x2={`${now}%`} y1="0" y2="20" />
      {lane.times.map((at, position) => (
        <circle key={position} cx={`${percentAt(at)}%`} cy="10" r="4.5" />
      ))}
    </svg>
  );
}

function PurchaseDetails({ purchase }: { purchase: Purchase }) {
  const name = useNames(purchase.lines.map(({ productId }) => productId));
  const total = totalOf(purchase);
  return (
    <div class="chosen" role="status">
      <h3>
        {dateTime(purchase.purchasedAt)} <code>{purchase.purchaseId}</code>
      </h3>
      <Table
        caption={text("purchase")}
        columns={[
          {
            title: text("product"),
            cell: ({ productId }) => <a href={href("product", [productId])}>{name(productId)}</a>,
          },
          { title: text("quantity"), numeric: true, cell: ({ quantity }) => number(quantity) },
          {
            title: text("unitPrice"),
            numeric: true,
            cell: ({ unitPrice }) => (unitPrice ? price(unitPrice) : text("noPrice")),
          },
        ]}
        rows={purchase.lines}
        rowKey={(_, position) => position}
      />
      {total && (
        <p>
          {text("total")}: <strong>{price(total)}</strong>
        </p>
      )}
    </div>
  );
}

/** `undefined` without prices, or where they have several currencies. */
function totalOf({ lines }: Purchase): Money | undefined {
  const currency = lines[0]?.unitPrice?.currency;
  if (currency === undefined || lines.some(({ unitPrice }) => unitPrice?.currency !== currency)) return undefined;
  return {
    currency,
    amount: lines.reduce((sum, { quantity, unitPrice }) => sum + quantity * (unitPrice?.amount ?? 0), 0),
  };
}

/** A lane each for the products in most purchases, and one for all others. */
function lanesOf(purchases: Purchase[]): Lane[] {
  const times = new Map<string, number[]>();
  for (const { purchasedAt, lines } of purchases) {
    for (const productId of new Set(lines.map((line) => line.productId))) {
      times.set(productId, [...(times.get(productId) ?? []), Date.parse(purchasedAt)]);
    }
  }
  const byCount = [...times].sort(([, a], [, b]) => b.length - a.length);
  const own = byCount.length <= LANES ? byCount.length : LANES - 1;
  const lanes: Lane[] = byCount.slice(0, own).map(([productId, at]) => ({ productId, times: at }));
  const others = byCount.slice(own).flatMap(([, at]) => at);
  return others.length > 0 ? [...lanes, { times: [...new Set(others)] }] : lanes;
}
