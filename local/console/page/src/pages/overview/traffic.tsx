import type { Traffic as Values } from "../../console-api";
import { dateTime, number, percent } from "../../text";
import { Chart } from "../../ui/chart";
import { Card, Figure, Figures } from "../../ui/layout";
import { text } from "../overview.text";

const HOUR = 3_600_000;

export function Traffic({ traffic }: { traffic: Values }) {
  const { answers, conversions, purchases, errors, byHour } = traffic;
  return (
    <Card title={text("traffic")} wide>
      <p class="muted">{text("trafficHelp", { since: dateTime(traffic.since) })}</p>
      <Figures>
        <Figure name={text("answers")} value={number(answers)} />
        <Figure
          name={text("conversions")}
          value={number(conversions)}
          hint={answers > 0 ? text("ofAnswers", { share: percent(conversions / answers, 1) }) : undefined}
        />
        <Figure name={text("purchases")} value={number(purchases)} />
        <Figure name={text("errors")} value={number(errors)} />
      </Figures>
      {answers + purchases > 0 ? (
        <Chart
          title={text("byHour")}
          x={{ title: text("hour"), values: byHour.map(({ at }) => Date.parse(at)), kind: "time", step: HOUR }}
          series={[
            { name: text("answers"), values: byHour.map((hour) => hour.answers), kind: "bar" },
            { name: text("purchases"), values: byHour.map((hour) => hour.purchases), ink: "second" },
            { name: text("conversions"), values: byHour.map((hour) => hour.conversions), ink: "muted", dashed: true },
          ]}
          format={(value) => number(value)}
          counts
        />
      ) : (
        <p class="empty">{text("noTraffic")}</p>
      )}
    </Card>
  );
}
