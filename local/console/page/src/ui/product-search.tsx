// A field that finds a product by its name or id, as a combobox with a list of what was found.

import { useId, useState } from "preact/hooks";
import { useProducts } from "../products";
import { searchProducts } from "../search";
import { Field } from "./layout";
import { text } from "./product-search.text";

const SHOWN = 10;

interface Option {
  productId: string;
  name?: string;
  available?: boolean;
}

export function ProductSearch({ label, onPick }: { label: string; onPick: (productId: string) => void }) {
  const [query, setQuery] = useState("");
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(0);
  const catalogue = useProducts();
  const list = useId();
  const options = open ? optionsFor(catalogue.products, query) : [];
  const chosen = Math.min(active, options.length - 1);
  const optionId = (index: number) => `${list}-${index}`;

  const pick = (option: Option | undefined) => {
    if (!option) return;
    setQuery("");
    setOpen(false);
    onPick(option.productId);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      const step = event.key === "ArrowDown" ? 1 : -1;
      setActive((chosen + step + options.length) % Math.max(options.length, 1));
    } else if (event.key === "Enter" && open && options.length > 0) {
      event.preventDefault();
      pick(options[chosen]);
    } else if (event.key === "Escape") {
      setOpen(false);
    }
  };

  const count = catalogue.products.length;
  const hint = catalogue.loading
    ? text("loading", { count })
    : catalogue.complete
      ? text("hint")
      : text("hintPart", { count });
  return (
    <Field label={label} hint={hint}>
      {({ id, describedBy }) => (
        <div class="combobox">
          <input
            id={id}
            type="text"
            role="combobox"
            autoComplete="off"
            spellcheck={false}
            aria-expanded={options.length > 0}
            aria-controls={list}
            aria-autocomplete="list"
            aria-activedescendant={options.length > 0 ? optionId(chosen) : undefined}
            aria-describedby={describedBy}
            value={query}
            onInput={(event) => {
              setQuery(event.currentTarget.value);
              setActive(0);
              setOpen(true);
            }}
            onKeyDown={onKeyDown}
            onBlur={() => setOpen(false)}
          />
          <ul id={list} role="listbox" aria-label={label} hidden={options.length === 0}>
            {options.map((option, index) => (
              <li
                key={option.productId}
                id={optionId(index)}
                role="option"
                aria-selected={index === chosen}
                // The field keeps the focus.
                onMouseDown={(event) => event.preventDefault()}
                onClick={() => pick(option)}
              >
                {option.name === undefined ? text("useId", { id: option.productId }) : option.name}
                {option.name !== undefined && <code>{option.productId}</code>}
                {option.available === false && <span class="tag">{text("soldOut")}</span>}
              </li>
            ))}
          </ul>
          <span class="hidden" role="status">
            {open && query.trim() !== "" ? text("found", { count: options.filter(({ name }) => name).length }) : ""}
          </span>
        </div>
      )}
    </Field>
  );
}

function optionsFor(products: Parameters<typeof searchProducts>[0], query: string): Option[] {
  const typed = query.trim();
  if (typed === "") return [];
  const found: Option[] = searchProducts(products, typed, SHOWN);
  return found.some(({ productId }) => productId === typed) ? found : [...found, { productId: typed }];
}
