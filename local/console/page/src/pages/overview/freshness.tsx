import type { Freshness as Values } from "../../console-api";
import { ago, duration, number } from "../../text";
import { Card, Figure, Figures } from "../../ui/layout";
import { text } from "../overview.text";

export function Freshness({ freshness }: { freshness: Values | null }) {
  return (
    <Card title={text("freshness")}>
      <p class="muted">{text("freshnessHelp")}</p>
      {freshness === null || (freshness.samples === 0 && !freshness.behind) ? (
        <p class="empty">{text("noSamples")}</p>
      ) : (
        <Figures>
          {freshness.samples > 0 && (
            <>
              <Figure name={text("median")} value={duration(freshness.medianMs)} />
              <Figure
                name={text("slowest")}
                value={duration(freshness.maxMs)}
                hint={text("ofSamples", { count: freshness.samples })}
              />
            </>
          )}
          {freshness.behind !== undefined && (
            <Figure
              name={text("behind")}
              value={number(freshness.behind)}
              hint={freshness.oldestAt && text("oldest", { ago: ago(freshness.oldestAt) })}
            />
          )}
        </Figures>
      )}
    </Card>
  );
}
