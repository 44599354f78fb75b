// Availability, price and categories of a product, with the lists that change before anything is saved.

import { useMemo, useState } from "preact/hooks";
import { Problem, useLoad } from "../../api";
import { useSession } from "../../app";
import { rememberProduct, useProducts } from "../../products";
import { href } from "../../route";
import { getProduct, putProduct, type Product } from "../../shop";
import { decimal } from "../../text";
import { Card, Field, PageTitle } from "../../ui/layout";
import { Await, Failure, Notice } from "../../ui/notice";
import { useCategories } from "./categories";
import { changeOf, descriptionOf, draftOf, errorsOf, type Draft } from "./draft";
import { PreviewCard } from "./preview";
import { text } from "./catalogue.text";

const MAX_CATEGORIES = 10;

export function ProductEditor({ productId }: { productId: string }) {
  const stored = useLoad(`edit ${productId}`, (signal) => getProduct(productId, signal));
  return (
    <>
      <PageTitle
        actions={
          <a class="button" href={href("catalogue")}>
            {text("back")}
          </a>
        }
      >
        {text("editTitle", { name: stored.value?.name ?? productId })}
      </PageTitle>
      <Await of={stored}>
        {(product) => <EditorForm key={product.updatedAt} stored={product} reload={stored.reload} />}
      </Await>
    </>
  );
}

type Outcome = { kind: "saved" } | { kind: "changedMeanwhile" } | { kind: "failed"; problem: Problem };

function EditorForm({ stored, reload }: { stored: Product; reload: () => void }) {
  const { place, writable } = useSession();
  const maySave = place.kind !== "aws" || writable;
  const { products } = useProducts();
  const usualCurrency = useMemo(() => products.find(({ price }) => price)?.price?.currency ?? "EUR", [products]);
  // What is stored changes with each save from here.
  const [product, setProduct] = useState(stored);
  const [draft, setDraft] = useState(() => draftOf(stored, usualCurrency));
  const [busy, setBusy] = useState(false);
  const [outcome, setOutcome] = useState<Outcome>();
  const errors = errorsOf(draft);
  const isValid = !errors.amount && !errors.currency;
  const change = isValid ? changeOf(product, draft) : undefined;

  const edit = (changed: Partial<Draft>) => {
    setOutcome(undefined);
    setDraft({ ...draft, ...changed });
  };
  async function save(event: Event) {
    event.preventDefault();
    if (!change || !maySave) return;
    setBusy(true);
    try {
      setOutcome(await saved(product, draft, setProduct));
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(0, "failed", String(error));
      setOutcome({ kind: "failed", problem });
    } finally {
      setBusy(false);
    }
  }

  return (
    <div class="beside">
      <Card title={product.name}>
        <p>
          <code>{product.productId}</code>
        </p>
        <form class="editor" onSubmit={(event) => void save(event)}>
          <Availability available={draft.available} choose={(available) => edit({ available })} />
          <Price draft={draft} edit={edit} errors={errors} />
          <Categories categories={draft.categories} choose={(categories) => edit({ categories })} />
          {!maySave && <p class="muted">{text("readOnly")}</p>}
          <OutcomeNotice outcome={outcome} reload={reload} />
          <div class="actions">
            <button class="primary" disabled={!change || !maySave || busy} aria-busy={busy}>
              {text("save")}
            </button>
            <button type="button" disabled={busy} onClick={() => edit(draftOf(product, usualCurrency))}>
              {text("discard")}
            </button>
            <a href={href("product", [product.productId])}>{product.name}</a>
          </div>
        </form>
      </Card>
      <PreviewCard productId={product.productId} change={change} />
    </div>
  );
}

/** Products are written whole: one that was changed meanwhile is not overwritten. */
async function saved(product: Product, draft: Draft, onSaved: (product: Product) => void): Promise<Outcome> {
  const now = await getProduct(product.productId);
  if (now.updatedAt !== product.updatedAt) return { kind: "changedMeanwhile" };
  const written = await putProduct(product.productId, descriptionOf(product, draft));
  rememberProduct(written);
  onSaved(written);
  return { kind: "saved" };
}

function OutcomeNotice({ outcome, reload }: { outcome: Outcome | undefined; reload: () => void }) {
  switch (outcome?.kind) {
    case undefined:
      return null;
    case "failed":
      return <Failure problem={outcome.problem} />;
    case "saved":
      return (
        <Notice kind="success" title={text("saved")}>
          <p>{text("savedHelp")}</p>
        </Notice>
      );
    case "changedMeanwhile":
      return (
        <Notice kind="warning" title={text("changedMeanwhile")}>
          <p>{text("changedMeanwhileHelp")}</p>
          <button type="button" onClick={reload}>
            {text("loadAgain")}
          </button>
        </Notice>
      );
  }
}

function Availability({ available, choose }: { available: boolean; choose: (available: boolean) => void }) {
  return (
    <div class="field">
      <label class="check">
        <input
          type="checkbox"
          checked={available}
          aria-describedby="available-about"
          onChange={(event) => choose(event.currentTarget.checked)}
        />
        {text("isAvailable")}
      </label>
      <p class="hint" id="available-about">
        {text("isAvailableHint")}
      </p>
    </div>
  );
}

function Price(props: {
  draft: Draft;
  edit: (changed: Partial<Draft>) => void;
  errors: { amount: boolean; currency: boolean };
}) {
  const { draft, edit, errors } = props;
  return (
    <div class="price">
      <Field
        label={text("amount")}
        hint={text("amountHint")}
        error={errors.amount ? text("amountError", { example: decimal(21.9, 2) }) : undefined}
      >
        {({ id, describedBy, invalid }) => (
          <input
            id={id}
            inputMode="decimal"
            autoComplete="off"
            aria-describedby={describedBy}
            aria-invalid={invalid}
            value={draft.amount}
            onInput={(event) => edit({ amount: event.currentTarget.value })}
          />
        )}
      </Field>
      <Field label={text("currency")} error={errors.currency ? text("currencyError") : undefined}>
        {({ id, describedBy, invalid }) => (
          <input
            id={id}
            size={4}
            maxLength={3}
            autoComplete="off"
            aria-describedby={describedBy}
            aria-invalid={invalid}
            value={draft.currency}
            onInput={(event) => edit({ currency: event.currentTarget.value.toUpperCase() })}
          />
        )}
      </Field>
    </div>
  );
}

function Categories({ categories, choose }: { categories: string[]; choose: (categories: string[]) => void }) {
  const known = useCategories();
  const [typed, setTyped] = useState("");
  const name = typed.trim();
  const canAdd = name !== "" && !categories.includes(name) && categories.length < MAX_CATEGORIES;
  const add = () => {
    if (!canAdd) return;
    choose([...categories, name]);
    setTyped("");
  };
  return (
    <>
      <h3>{text("categories")}</h3>
      {categories.length === 0 ? (
        <p class="empty">{text("noCategories")}</p>
      ) : (
        <ul class="chips" aria-label={text("categories")}>
          {categories.map((category) => (
            <li key={category}>
              {category}
              <button
                type="button"
                class="remove"
                aria-label={text("remove", { name: category })}
                title={text("remove", { name: category })}
                onClick={() => choose(categories.filter((other) => other !== category))}
              >
                ×
              </button>
            </li>
          ))}
        </ul>
      )}
      <Field label={text("addCategory")} hint={text("addCategoryHint")}>
        {({ id, describedBy }) => (
          <div class="actions">
            <input
              id={id}
              list={`${id}-categories`}
              autoComplete="off"
              aria-describedby={describedBy}
              value={typed}
              onInput={(event) => setTyped(event.currentTarget.value)}
              onKeyDown={(event) => {
                if (event.key !== "Enter") return;
                event.preventDefault();
                add();
              }}
            />
            <datalist id={`${id}-categories`}>
              {known.map((category) => (
                <option key={category} value={category} />
              ))}
            </datalist>
            <button type="button" disabled={!canAdd} onClick={add}>
              {text("add")}
            </button>
          </div>
        )}
      </Field>
    </>
  );
}
