import { useMemo } from "preact/hooks";
import { useProducts } from "../../products";
import { Field } from "../../ui/layout";
import { text } from "./catalogue.text";

/** The categories of the products that are loaded, by name. */
export function useCategories(): string[] {
  const { products } = useProducts();
  return useMemo(
    () => [...new Set(products.flatMap(({ categories }) => categories))].sort((a, b) => a.localeCompare(b)),
    [products],
  );
}

interface CategoryChoiceProps {
  category: string | undefined;
  choose: (category: string | undefined) => void;
}

/** One of the categories; any can be typed while not all products are loaded. */
export function CategoryChoice({ category, choose }: CategoryChoiceProps) {
  const { complete } = useProducts();
  const categories = useCategories();
  const changed = (event: { currentTarget: { value: string } }) => choose(event.currentTarget.value || undefined);
  return (
    <Field label={text("category")}>
      {({ id }) =>
        complete ? (
          <select id={id} value={category ?? ""} onChange={changed}>
            <option value="">{text("allCategories")}</option>
            {category !== undefined && !categories.includes(category) && <option>{category}</option>}
            {categories.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        ) : (
          <>
            <input
              id={id}
              list={`${id}-categories`}
              placeholder={text("allCategories")}
              value={category ?? ""}
              onChange={changed}
            />
            <datalist id={`${id}-categories`}>
              {categories.map((name) => (
                <option key={name} value={name} />
              ))}
            </datalist>
          </>
        )
      }
    </Field>
  );
}
