import type { ProductFacts } from "../../console-api";
import { price } from "../../price";
import { href } from "../../route";
import { dateTime, number, percent } from "../../text";
import { Card, Figure, Figures, Table } from "../../ui/layout";
import { text } from "./product.text";

/** What the catalogue and the live model have of a product. */
export function ProductCard({ facts: { productId, card, inModel, model } }: { facts: ProductFacts }) {
  return (
    <Card title={text("card")}>
      <p>
        <code>{productId}</code>
        {card &&
          (card.available ? (
            <span class="tag success">{text("available")}</span>
          ) : (
            <span class="tag error">{text("notAvailable")}</span>
          ))}
        {inModel ? (
          <span class="tag accent">{text("inModel")}</span>
        ) : (
          <span class="tag warning">{text("notInModel")}</span>
        )}
      </p>
      {card ? (
        <>
          {card.categories.length > 0 && (
            <p>
              {card.categories.map((category) => (
                <a class="tag" key={category} href={href("catalogue", [], { category })}>
                  {category}
                </a>
              ))}
            </p>
          )}
          <Figures>
            <Figure name={text("price")} value={card.price ? price(card.price) : "–"} />
            <Figure name={text("updated")} value={<small>{dateTime(card.updatedAt)}</small>} />
          </Figures>
        </>
      ) : (
        <p class="empty">{text("noCard")}</p>
      )}
      {model && (
        <Figures>
          <Figure name={text("users")} value={number(model.users)} hint={text("usersHint")} />
          <Figure name={text("baskets")} value={number(model.baskets)} />
          <Figure name={text("rank")} value={number(model.rank)} />
          <Figure name={text("repeatShare")} value={percent(model.repeatShare)} hint={text("repeatShareHint")} />
        </Figures>
      )}
      {card?.attributes && (
        <Table
          caption={text("attributes")}
          columns={[
            { title: text("name"), cell: ([name]) => name },
            { title: text("value"), cell: ([, value]) => value },
          ]}
          rows={Object.entries(card.attributes)}
          rowKey={([name]) => name}
        />
      )}
    </Card>
  );
}
