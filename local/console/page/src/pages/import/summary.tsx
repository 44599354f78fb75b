// One file as it was understood: what it was read as, what is in it, what was rejected and why.

import type { ImportReport, ImportSummary, RejectedLine, SamplePurchase } from "../../console-api";
import { date, dateTime, money, number } from "../../text";
import { Figure, Figures, Table } from "../../ui/layout";
import { Notice } from "../../ui/notice";
import { reason, text } from "../import.text";
import { Message } from "./message";
import type { ReadingOptions } from "./options";
import { setOptions } from "./store";

export function FileSummary(props: { name: string | undefined; summary: ImportSummary; options: ReadingOptions }) {
  const { name, summary, options } = props;
  return (
    <section class="summary">
      {name !== undefined && <h3>{name}</h3>}
      {summary.joinedTo === undefined ? (
        <Counts summary={summary} />
      ) : (
        <p>{text("joinedTo", { file: summary.joinedTo })}</p>
      )}
      {summary.endedEarly !== null && (
        <Notice kind="error" title={text("warning")}>
          <p>{text("endedEarly", { line: summary.lines, why: summary.endedEarly })}</p>
        </Notice>
      )}
      <Warnings summary={summary} options={options} />
      {summary.notes.length > 0 && (
        <>
          <h3>{text("assumed")}</h3>
          <ul>
            {summary.notes.map((note) => (
              <li key={note}>
                <Message>{note}</Message>
              </li>
            ))}
          </ul>
        </>
      )}
      <NotAsWritten summary={summary} />
      {summary.ignoredColumns.length > 0 && (
        <>
          <h3>{text("unused")}</h3>
          <p>{summary.ignoredColumns.join(", ")}</p>
        </>
      )}
      {summary.serviceLike.length > 0 && <Services summary={summary} options={options} />}
      {Object.keys(summary.refused).length > 0 && <Reasons summary={summary} />}
      {summary.samples && summary.samples.length > 0 && <Samples samples={summary.samples} />}
    </section>
  );
}

function Counts({ summary }: { summary: ImportSummary }) {
  const { kind, period, revenue } = summary;
  const rejected = Object.values(summary.refused).reduce((sum, count) => sum + count, 0);
  const amounts = Object.entries(revenue).map(([currency, amount]) => money(major(amount, currency), currency));
  return (
    <Figures>
      <Figure
        name={text("records")}
        value={number(summary.records)}
        hint={text("formValue", { form: formOf(summary), encoding: summary.form.source.encoding })}
      />
      <Figure name={text("taken")} value={number(summary.taken)} />
      <Figure name={text("refused")} value={number(rejected)} />
      {kind === "purchases" && (
        <>
          <Figure
            name={text("purchases")}
            value={number(summary.purchases)}
            hint={text("lines", { count: summary.purchaseLines })}
          />
          <Figure
            name={text("buyers")}
            value={number(summary.users)}
            hint={text("repeat", { count: summary.repeatUsers })}
          />
        </>
      )}
      <Figure name={text("catalogue")} value={number(summary.products)} />
      {period && <Figure name={text("period")} value={date(period[0])} hint={`– ${date(period[1])}`} />}
      {kind === "purchases" && summary.purchases > 0 && (
        <Figure name={text("revenue")} value={amounts.length > 0 ? amounts.join(", ") : text("noPrice")} />
      )}
    </Figures>
  );
}

function formOf({ form: { source, dialect } }: ImportSummary): string {
  const container = source.container === "plain" ? "" : ` (${source.container})`;
  if (!dialect) return text("json") + container;
  if (source.container === "workbook" || source.container === "parquet") return text("table") + container;
  const { delimiter } = dialect;
  return (delimiter === "\t" ? text("tab") : text("delimiter", { delimiter })) + container;
}

function major(amount: number, currency: string): number {
  const { maximumFractionDigits = 2 } = new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions();
  return amount / 10 ** maximumFractionDigits;
}

function Warnings({ summary, options }: { summary: ImportSummary; options: ReadingOptions }) {
  return (
    <>
      {summary.warnings.map((warning, index) => (
        <Notice key={index} kind="warning" title={text("warning")}>
          {warning.kind === "frequentUser" ? (
            <>
              <p>{text("frequentUser", { purchases: warning.purchases, of: warning.of })}</p>
              {warning.userId !== undefined && (
                <button
                  onClick={() =>
                    setOptions({ guests: `${options.guests}${options.guests ? "\n" : ""}${warning.userId}` })
                  }
                >
                  {text("isGuest", { user: warning.userId })}
                </button>
              )}
            </>
          ) : (
            <p>{text("noRepeatBuyer", { users: warning.users })}</p>
          )}
        </Notice>
      ))}
    </>
  );
}

function NotAsWritten({ summary }: { summary: ImportSummary }) {
  const { prices } = summary;
  const counts = [
    [summary.kind === "purchases" ? "merged" : "mergedProducts", summary.merged],
    ["skippedLines", summary.skippedLines],
    ["weighed", summary.weighed],
    ["zeroPrice", prices.zero],
    ["unreadablePrice", prices.unreadable],
    ["roundedPrice", prices.rounded],
    ["unnamed", summary.unnamedProducts],
  ] as const;
  const some = counts.filter(([, count]) => count > 0);
  if (some.length === 0) return null;
  return (
    <>
      <h3>{text("also")}</h3>
      <ul>
        {some.map(([key, count]) => (
          <li key={key}>{text(key, { count })}</li>
        ))}
      </ul>
    </>
  );
}

function Services({ summary, options }: { summary: ImportSummary; options: ReadingOptions }) {
  const codes = summary.serviceLike.map(({ productId }) => productId);
  const add = () => {
    const before = options.skipProducts.trim();
    setOptions({ skipProducts: [...(before ? [before] : []), ...codes].join(",") });
  };
  return (
    <>
      <h3>{text("services")}</h3>
      <p>
        {summary.serviceLike
          .map(({ productId, lines }) => `${productId} (${text("lines", { count: lines })})`)
          .join(", ")}{" "}
        <button class="small" onClick={add}>
          {text("skipThem")}
        </button>
      </p>
    </>
  );
}

function Reasons({ summary }: { summary: ImportSummary }) {
  const rows = Object.entries(summary.refused).sort(([, a], [, b]) => b - a);
  return (
    <>
      <h3>{text("rejectedByReason")}</h3>
      <Table
        caption={text("rejectedByReason")}
        rows={rows}
        rowKey={([code]) => code}
        columns={[
          {
            title: text("reason"),
            cell: ([code]) => (
              <>
                {reason(code)} <code class="muted">{code}</code>
              </>
            ),
          },
          { title: text("recordCount"), numeric: true, cell: ([, count]) => number(count) },
          {
            title: text("firstLine"),
            numeric: true,
            cell: ([code]) => {
              const line = summary.firstRefused?.[code];
              return line === undefined ? "" : number(line);
            },
          },
        ]}
      />
    </>
  );
}

function Samples({ samples }: { samples: SamplePurchase[] }) {
  return (
    <>
      <h3>{text("samples")}</h3>
      <ol class="samples">
        {samples.map((purchase) => (
          <li key={purchase.purchaseId}>
            {text("sampleOf", {
              at: dateTime(purchase.purchasedAt),
              user: purchase.userId,
              purchase: purchase.purchaseId,
            })}
            <ul>
              {purchase.lines.map(({ productId, name, quantity, unitPrice }, index) => (
                <li key={index}>
                  {number(quantity)} × {name ?? productId}{" "}
                  {name !== undefined && <code class="muted">{productId}</code>}
                  {unitPrice && `, ${money(major(unitPrice.amount, unitPrice.currency), unitPrice.currency)}`}
                </li>
              ))}
              {purchase.moreLines > 0 && <li class="muted">{text("moreLines", { count: purchase.moreLines })}</li>}
            </ul>
          </li>
        ))}
      </ol>
    </>
  );
}

/** Lines that were rejected, as they stand in the file; the first ones. */
export function Rejected({ report }: { report: ImportReport }) {
  const { rejected: lines, moreRejected, files } = report;
  const several = files.length > 1;
  if (lines.length === 0) return null;
  return (
    <details>
      <summary>{text("rejectedLines")}</summary>
      <Table
        caption={text("rejectedLines")}
        rows={lines}
        rowKey={(_, index) => index}
        columns={[
          ...(several ? [{ title: text("files"), cell: ({ file }: RejectedLine) => file }] : []),
          { title: text("line"), numeric: true, cell: ({ line }) => (line === undefined ? "" : number(line)) },
          { title: text("reason"), cell: (one) => reason(one.reason) },
          { title: text("message"), cell: ({ message }) => <span lang="en">{message}</span> },
          { title: text("record"), cell: ({ record }) => record !== undefined && <code>{record.slice(0, 300)}</code> },
        ]}
      />
      {moreRejected && <p class="hint">{text("moreRejected", { count: lines.length })}</p>}
    </details>
  );
}
