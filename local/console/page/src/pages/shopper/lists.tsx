// The lists that a shopper, or a visitor with a cart, would see: of the live model and of the one before, and what
// moves with every change and every purchase.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { post, useLoad } from "../../api";
import { useSession } from "../../app";
import type { ListQuestion, Shopper } from "../../console-api";
import { useKept } from "../../kept";
import { nameOf, useNames } from "../../products";
import { price } from "../../price";
import { href } from "../../route";
import { getModels, type Answer, type ModelPage, type Purchase, type RecommendedProduct } from "../../shop";
import { ago, dateTime, decimal } from "../../text";
import { Confirm } from "../../ui/confirm";
import { Card } from "../../ui/layout";
import { Await, Failure, Notice } from "../../ui/notice";
import { RankedList } from "../../ui/ranked-list";
import { Reasons } from "../../ui/reasons";
import { useBuying, type Bought, type Buying } from "./buying";
import { isPlain, QuestionForm, withAssumed, withCart, type Question } from "./question";
import { text } from "./lists.text";

interface ListsCardProps {
  /** A visitor of whom nothing is known, if there is none. */
  userId?: string;
  shopper?: Shopper;
  initialCart: string[];
  /** Purchases were recorded or removed. */
  onPurchases?: () => void;
}

export function ListsCard({ userId, shopper, initialCart, onPurchases }: ListsCardProps) {
  const { place, writable } = useSession();
  const mayBuy = userId !== undefined && (place.kind !== "aws" || writable);
  const [question, setQuestion] = useState<Question>({ ...PLAIN, cart: initialCart, limit: 10 });
  const [revision, setRevision] = useState(0);
  const [beforePurchase, setBeforePurchase] = useState<readonly RecommendedProduct[]>();
  const [asked, setAsked] = useState<Bought[]>();
  const { buying, buy, undo, dismiss } = useBuying(userId, () => {
    setRevision((n) => n + 1);
    onPurchases?.();
  });
  const models = useLoad("models", getModels);
  const previous = models.value?.items.find(({ live }) => !live);
  const live = useLists(revision, userId, question);
  const old = useLists(revision, userId, question, previous?.version ?? "none");
  const plain = useLists(revision, userId, { ...PLAIN, limit: question.limit }, isPlain(question) ? "none" : undefined);

  const change = (next: Question) => {
    setBeforePurchase(undefined);
    setQuestion(next);
  };
  const purchase = async (products: Bought[]) => {
    setBeforePurchase(live.value?.items);
    const recorded = await buy(products);
    if (recorded) setQuestion((now) => ({ ...now, cart: now.cart.filter((id) => !has(products, id)) }));
  };
  // A purchase of a real shop is asked for twice; one of a shop in memory is gone when the command ends.
  const offer = (products: Bought[]) => {
    // The buttons stay enabled, so that the keyboard keeps its place.
    if (isWaiting(buying)) return;
    if (place.kind === "memory") void purchase(products);
    else setAsked(products);
  };

  const before = beforePurchase ?? (isPlain(question) ? undefined : plain.value?.items);
  const purchasesOf = shopper && ((id: string) => shopper.purchases.filter(({ lines }) => has(lines, id)));
  const actionsOf = ({ productId, name, price: unitPrice }: RecommendedProduct) => (
    <>
      {mayBuy && (
        <Action label={text("buyOne", { name })} name={text("buy")} onClick={() => offer([{ productId, unitPrice }])} />
      )}
      <Action
        label={text("toCartOne", { name })}
        name={text("toCart")}
        onClick={() => change(withCart(question, productId))}
      />
      <Action
        label={text("whatIfOne", { name })}
        name={text("whatIf")}
        onClick={() => change(withAssumed(question, [productId]))}
      />
    </>
  );
  return (
    <Card title={text("lists")}>
      {userId !== undefined && !mayBuy && <p class="muted">{text("readOnly")}</p>}
      <div class="buying">
        <BuyingState buying={buying} undo={undo} dismiss={dismiss} />
      </div>
      <div class={previous ? "lists two" : "lists"}>
        <QuestionForm
          question={question}
          change={change}
          buyCart={mayBuy ? () => offer(question.cart.map((productId) => ({ productId }))) : undefined}
        />
        <Await of={live}>
          {(answer) => (
            <section class="list" aria-busy={live.loading}>
              <ListTitle answer={answer} models={models.value} />
              {before && <p class="muted">{text(beforePurchase ? "againstBefore" : "againstPlain")}</p>}
              <RankedList items={answer.items} before={before}>
                {(item) => <Recommended item={item} purchasesOf={purchasesOf} actions={actionsOf(item)} />}
              </RankedList>
              {!previous && answer.modelVersion !== null && <p class="muted">{text("onlyOne")}</p>}
            </section>
          )}
        </Await>
        {previous && (
          <Await of={old}>
            {(answer) => (
              <section class="list" aria-busy={old.loading}>
                <ListTitle answer={answer} models={models.value} />
                <p class="muted">{text("againstLive")}</p>
                <RankedList items={answer.items} before={live.value?.items}>
                  {(item) => <Recommended item={item} purchasesOf={purchasesOf} />}
                </RankedList>
              </section>
            )}
          </Await>
        )}
      </div>
      {asked && userId !== undefined && (
        <Confirm
          title={text("confirmTitle")}
          action={text("buy")}
          onClose={() => setAsked(undefined)}
          onConfirm={() => {
            void purchase(asked);
            return Promise.resolve();
          }}
        >
          <ul>
            {asked.map(({ productId }) => (
              <li key={productId}>{nameOf(productId)}</li>
            ))}
          </ul>
          <p>{text("confirmHelp", { userId, place: place.stack ?? place.name })}</p>
        </Confirm>
      )}
    </Card>
  );
}

const PLAIN = { cart: [], assumed: [] };

const has = (lines: readonly { productId: string }[], id: string) => lines.some(({ productId }) => productId === id);

/** The list of the live model, of the given one, or `none` while it is not needed. */
function useLists(revision: number, userId: string | undefined, question: Question, model?: number | "none") {
  const { cart, at, assumed, limit } = question;
  const body: ListQuestion = {
    ...(userId === undefined ? {} : { userId }),
    basket: cart,
    limit,
    ...(at === undefined ? {} : { at }),
    ...(typeof model === "number" ? { model } : {}),
    ...(assumed.length === 0 ? {} : { purchases: assumed }),
  };
  const needed = model !== "none";
  const loaded = useLoad(`${revision} ${needed} ${JSON.stringify(body)}`, (signal) =>
    needed ? post<Answer>("/console/api/lists", body, signal) : new Promise<Answer>(() => undefined),
  );
  return useKept(`${userId} ${model}`, loaded);
}

function ListTitle({ answer, models }: { answer: Answer; models: ModelPage | undefined }) {
  const { modelVersion, asOf } = answer;
  const model = models?.items.find(({ version }) => version === modelVersion);
  return (
    <>
      <h3>
        {modelVersion === null
          ? text("noModel")
          : text(model?.live === false ? "previous" : "live", { version: String(modelVersion) })}
        {model && <span class="muted">{text("trained", { ago: ago(model.trainedAt) })}</span>}
      </h3>
      {modelVersion === null && (
        <p>
          {text("noModelHelp")} <a href={href("models")}>{text("train")}</a>
        </p>
      )}
      {asOf && <p class="muted">{text("asOf", { at: dateTime(asOf) })}</p>}
    </>
  );
}

function Recommended(props: {
  item: RecommendedProduct;
  purchasesOf: ((productId: string) => Purchase[]) | undefined;
  actions?: ComponentChildren;
}) {
  const { item, purchasesOf, actions } = props;
  return (
    <>
      <div class="facts">
        {item.price && <span>{price(item.price)}</span>}
        <span class="muted">{text("score", { score: decimal(item.score, 3) })}</span>
        {item.categories?.map((category) => (
          <span class="tag" key={category}>
            {category}
          </span>
        ))}
        {actions && <div class="actions small">{actions}</div>}
      </div>
      <Reasons reasons={item.reasons} productId={item.productId} purchasesOf={purchasesOf} />
    </>
  );
}

/** A button whose full name is for those who do not see what it stands beside. */
function Action({ label, name, onClick }: { label: string; name: ComponentChildren; onClick: () => void }) {
  return (
    <button aria-label={label} title={label} onClick={onClick}>
      {name}
    </button>
  );
}

function BuyingState(props: { buying: Buying; undo: (purchase: Purchase) => Promise<boolean>; dismiss: () => void }) {
  const { buying, undo, dismiss } = props;
  const name = useNames("purchase" in buying ? buying.purchase.lines.map(({ productId }) => productId) : []);
  if (buying.phase === "idle") return null;
  if (buying.phase === "failed") return <Failure problem={buying.problem} />;
  const kind = buying.phase === "late" ? "warning" : isWaiting(buying) ? "info" : "success";
  return (
    <Notice kind={kind} title={phaseText(buying, name)}>
      {!isWaiting(buying) && (
        <div class="actions">
          {"purchase" in buying && <button onClick={() => void undo(buying.purchase)}>{text("undo")}</button>}
          <button onClick={dismiss}>{text("dismiss")}</button>
        </div>
      )}
    </Notice>
  );
}

const isWaiting = ({ phase }: Buying) => phase === "sending" || phase === "following";

function phaseText(buying: Exclude<Buying, { phase: "idle" | "failed" }>, name: (id: string) => string): string {
  switch (buying.phase) {
    case "sending":
    case "undone":
    case "following":
      return text(buying.phase);
    case "followed":
      return text("followed", {
        names: buying.purchase.lines.map(({ productId }) => name(productId)).join(", "),
        ms: buying.ms,
      });
    case "late":
      return text("late", { seconds: Math.round(buying.ms / 1000) });
  }
}
