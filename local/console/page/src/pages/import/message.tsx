// What the importer says names the command's options. Here they are links to the fields that stand for them.

import type { text } from "../import.text";
import { text as textOf } from "../import.text";

const FIELDS: Record<string, Parameters<typeof text>[0]> = {
  map: "columns",
  as: "profile",
  "date-order": "dateOrder",
  "time-format": "timeFormat",
  timezone: "timezone",
  decimal: "decimal",
  currency: "currency",
  encoding: "encoding",
  guest: "guests",
  "skip-products": "skipProducts",
  "fill-down": "fillDown",
  only: "rules",
  skip: "rules",
};

export const fieldId = (option: string) => `import-${option}`;

export function Message({ children }: { children: string }) {
  const named = [...children.matchAll(/--([a-z-]+)/g)].flatMap(([, option = ""]) => FIELDS[option] ?? []);
  const fields = [...new Set(named)];
  return (
    <>
      <span lang="en">{children}</span>
      {fields.length > 0 && (
        <>
          {" "}
          {textOf("optionsHere")}{" "}
          {fields.map((field) => (
            <button key={field} class="small" type="button" onClick={() => focusField(field)}>
              {textOf(field)}
            </button>
          ))}
        </>
      )}
    </>
  );
}

function focusField(field: string): void {
  const element = document.getElementById(fieldId(field));
  const folded = element?.closest("details");
  if (folded) folded.open = true;
  element?.focus();
}
