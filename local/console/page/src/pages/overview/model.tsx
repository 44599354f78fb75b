import type { ModelSummary } from "../../console-api";
import { href } from "../../route";
import { ago, decimal, number } from "../../text";
import { Card, Table } from "../../ui/layout";
import { text } from "../overview.text";

interface Row {
  name: string;
  value: (model: ModelSummary) => string;
  /** For figures that are better if they are higher. */
  measure?: (model: ModelSummary) => number | undefined;
}

const figure = (value: number | undefined) => (value === undefined ? "–" : decimal(value, 3));

export function Model({ live, previous }: { live?: ModelSummary; previous?: ModelSummary }) {
  const more = (
    <a class="button" href={href("models")}>
      {text("allTrainings")}
    </a>
  );
  if (!live) {
    return (
      <Card title={text("model")}>
        <p class="empty">{text("noModel")}</p>
        <div class="actions">
          <a class="button" href={href("jobs", [], { submit: "train" })}>
            {text("train")}
          </a>
        </div>
      </Card>
    );
  }
  const rows: Row[] = [
    { name: text("version"), value: ({ version }) => number(version) },
    { name: text("trained"), value: ({ trainedAt }) => ago(trainedAt) },
    { name: text("recall"), value: ({ recall10 }) => figure(recall10), measure: ({ recall10 }) => recall10 },
    { name: text("ndcg"), value: ({ ndcg10 }) => figure(ndcg10), measure: ({ ndcg10 }) => ndcg10 },
    {
      name: text("order"),
      value: ({ ranker }) => (ranker === undefined ? "–" : ranker ? text("learned") : text("handFormula")),
    },
  ];
  return (
    <Card title={text("model")} actions={more}>
      <p class="muted">{text("modelHelp")}</p>
      <Table
        caption={text("model")}
        rows={rows}
        rowKey={({ name }) => name}
        columns={[
          { title: text("figure"), cell: ({ name }) => name },
          { title: text("live"), numeric: true, cell: ({ value }) => value(live) },
          ...(previous
            ? [
                { title: text("previous"), numeric: true, cell: ({ value }: Row) => value(previous) },
                {
                  title: text("change"),
                  numeric: true,
                  cell: ({ measure }: Row) => <Change of={measure} {...{ live, previous }} />,
                },
              ]
            : []),
        ]}
      />
    </Card>
  );
}

function Change(props: { of: Row["measure"]; live: ModelSummary; previous: ModelSummary }) {
  const now = props.of?.(props.live);
  const before = props.of?.(props.previous);
  if (now === undefined || before === undefined) return null;
  const change = now - before;
  return (
    <span class={change < 0 ? "ink-error" : change > 0 ? "ink-success" : undefined}>
      {change > 0 ? "+" : ""}
      {decimal(change, 3)}
    </span>
  );
}
