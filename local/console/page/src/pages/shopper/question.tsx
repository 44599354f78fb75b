// What the lists are asked for: a cart, a time, purchases that are assumed.

import { useState } from "preact/hooks";
import type { Basket } from "../../console-api";
import { useNames } from "../../products";
import { dateTime } from "../../text";
import { Field } from "../../ui/layout";
import { ProductSearch } from "../../ui/product-search";
import { text } from "./lists.text";

export interface Question {
  /** Oldest first. */
  cart: string[];
  /** RFC 3339; now if there is none. */
  at?: string;
  assumed: Basket[];
  limit: number;
}

interface QuestionProps {
  question: Question;
  change: (question: Question) => void;
  /** Buys the cart; there is no button without it. */
  buyCart?: (() => void) | undefined;
}

const LENGTHS = [5, 10, 20, 50];
const MAX_CART = 100;

export const isPlain = ({ cart, at, assumed }: Question) =>
  cart.length === 0 && at === undefined && assumed.length === 0;

export function withCart(question: Question, productId: string): Question {
  const cart = [...question.cart.filter((id) => id !== productId), productId];
  return { ...question, cart: cart.slice(-MAX_CART) };
}

export const withAssumed = (question: Question, products: string[]): Question => ({
  ...question,
  assumed: [...question.assumed, { purchasedAt: new Date().toISOString(), products }],
});

export function QuestionForm({ question, change, buyCart }: QuestionProps) {
  // On a small screen the list comes first.
  const [isOpen] = useState(() => window.matchMedia("(min-width: 64rem)").matches);
  return (
    <details class="question" open={isOpen}>
      <summary>
        {text("question")} <span class="muted">{questionSummary(question)}</span>
      </summary>
      <Cart question={question} change={change} buyCart={buyCart} />
      <TimeChoice at={question.at} choose={(at) => change(withTime(question, at))} />
      <Assumed question={question} change={change} />
      <Field label={text("length")}>
        {({ id }) => (
          <select
            id={id}
            value={String(question.limit)}
            onChange={(event) => change({ ...question, limit: Number(event.currentTarget.value) })}
          >
            {LENGTHS.map((length) => (
              <option key={length} value={String(length)}>
                {length}
              </option>
            ))}
          </select>
        )}
      </Field>
      {!isPlain(question) && (
        <button onClick={() => change({ cart: [], assumed: [], limit: question.limit })}>{text("reset")}</button>
      )}
    </details>
  );
}

function questionSummary({ cart, at, assumed }: Question): string {
  const parts = [
    cart.length > 0 && text("cartCount", { count: cart.length }),
    at !== undefined && dateTime(at),
    assumed.length > 0 && text("assumedCount", { count: assumed.length }),
  ];
  return parts.filter(Boolean).join(" · ");
}

function withTime({ at: _, ...question }: Question, at: string | undefined): Question {
  return at === undefined ? question : { ...question, at };
}

function Cart({ question, change, buyCart }: QuestionProps) {
  const { cart } = question;
  const name = useNames(cart);
  return (
    <section>
      <h3>{text("cart")}</h3>
      {cart.length === 0 ? (
        <p class="empty">{text("cartEmpty")}</p>
      ) : (
        <>
          <ul class="chips" aria-label={text("inCart")}>
            {cart.map((id) => (
              <li key={id}>
                {name(id)}
                <Remove
                  label={text("remove", { name: name(id) })}
                  onClick={() => change({ ...question, cart: cart.filter((other) => other !== id) })}
                />
              </li>
            ))}
          </ul>
          <div class="actions">
            {buyCart && (
              <button class="primary" onClick={buyCart}>
                {text("buyCart")}
              </button>
            )}
            <button onClick={() => change({ ...withAssumed(question, cart), cart: [] })}>{text("assumeCart")}</button>
            <button onClick={() => change({ ...question, cart: [] })}>{text("emptyCart")}</button>
          </div>
        </>
      )}
      <ProductSearch label={text("addToCart")} onPick={(id) => change(withCart(question, id))} />
    </section>
  );
}

function Remove({ label, onClick }: { label: string; onClick: () => void }) {
  return (
    <button class="remove" aria-label={label} title={label} onClick={onClick}>
      ×
    </button>
  );
}

function TimeChoice({ at, choose }: { at: string | undefined; choose: (at: string | undefined) => void }) {
  const quick = [
    { name: "tomorrow", days: 1, months: 0 },
    { name: "week", days: 7, months: 0 },
    { name: "month", days: 0, months: 1 },
  ] as const;
  return (
    <section>
      <Field label={text("time")} hint={text("timeHint")}>
        {({ id, describedBy }) => <TimeInput id={id} describedBy={describedBy} at={at} choose={choose} />}
      </Field>
      <div class="actions">
        <button aria-pressed={at === undefined} onClick={() => choose(undefined)}>
          {text("now")}
        </button>
        {quick.map(({ name, days, months }) => (
          <button
            key={name}
            onClick={() => {
              const then = new Date();
              then.setMonth(then.getMonth() + months, then.getDate() + days);
              choose(then.toISOString());
            }}
          >
            {text(name)}
          </button>
        ))}
      </div>
    </section>
  );
}

interface TimeInputProps {
  id?: string;
  label?: string;
  describedBy?: string | undefined;
  at: string | undefined;
  choose: (at: string | undefined) => void;
}

/** A time in the reader's zone. */
function TimeInput({ id, label, describedBy, at, choose }: TimeInputProps) {
  return (
    <input
      type="datetime-local"
      id={id}
      aria-label={label}
      aria-describedby={describedBy}
      min="1970-01-02T00:00"
      value={at === undefined ? "" : localMinutes(at)}
      onChange={(event) => {
        const typed = new Date(event.currentTarget.value);
        choose(Number.isNaN(typed.getTime()) ? undefined : typed.toISOString());
      }}
    />
  );
}

function localMinutes(at: string): string {
  const moment = new Date(at);
  const minutes = moment.getTime() - moment.getTimezoneOffset() * 60_000;
  return new Date(minutes).toISOString().slice(0, 16);
}

function Assumed({ question, change }: QuestionProps) {
  const { assumed } = question;
  const name = useNames(assumed.flatMap(({ products }) => products));
  const replace = (index: number, basket?: Basket) =>
    change({ ...question, assumed: assumed.toSpliced(index, 1, ...(basket ? [basket] : [])) });
  return (
    <section>
      <h3>{text("assumed")}</h3>
      <p class="hint">{text("assumedHelp")}</p>
      {assumed.length === 0 ? (
        <p class="empty">{text("assumedNone")}</p>
      ) : (
        <ul class="assumed">
          {assumed.map((basket, index) => (
            <li key={index}>
              <span>{basket.products.map(name).join(" · ")}</span>
              <TimeInput
                label={text("assumedAt", { number: index + 1 })}
                at={basket.purchasedAt}
                choose={(purchasedAt) => purchasedAt && replace(index, { ...basket, purchasedAt })}
              />
              <Remove label={text("removeAssumed", { number: index + 1 })} onClick={() => replace(index)} />
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
