import { useEffect, useState } from "preact/hooks";
import { useLoad } from "../../api";
import { useKept } from "../../kept";
import { price } from "../../price";
import { getPopular, popularWindows, type PopularWindow } from "../../shop";
import { Card, Field } from "../../ui/layout";
import { Await } from "../../ui/notice";
import { RankedList } from "../../ui/ranked-list";
import { Reasons } from "../../ui/reasons";
import { windowText } from "../../ui/window.text";
import { CategoryChoice } from "./categories";
import { text } from "./catalogue.text";

const SHOWN = 20;

/** What is popular, by window and category. */
export function PopularCard({ category: first }: { category: string | undefined }) {
  const [window, setWindow] = useState<PopularWindow>("week");
  const [category, setCategory] = useState(first);
  useEffect(() => setCategory(first), [first]);
  const popular = useKept(
    "",
    useLoad(JSON.stringify([window, category]), (signal) => getPopular(window, category, SHOWN, signal)),
  );
  return (
    <Card title={text("popular")}>
      <div class="filters">
        <Field label={text("window")} hint={text("popularHelp")}>
          {({ id, describedBy }) => (
            <select
              id={id}
              aria-describedby={describedBy}
              value={window}
              onChange={(event) => setWindow(event.currentTarget.value as PopularWindow)}
            >
              {popularWindows.map((name) => (
                <option key={name} value={name}>
                  {windowText(name)}
                </option>
              ))}
            </select>
          )}
        </Field>
        <CategoryChoice category={category} choose={setCategory} />
      </div>
      <Await of={popular}>
        {({ items }) => (
          <div class="columns">
            <RankedList items={items}>
              {(item) => (
                <>
                  {item.price && <div class="facts">{price(item.price)}</div>}
                  <Reasons reasons={item.reasons} productId={item.productId} />
                </>
              )}
            </RankedList>
          </div>
        )}
      </Await>
    </Card>
  );
}
