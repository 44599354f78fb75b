// The language of conditions, as short as it goes.

import { text } from "../tables.text";

const EXAMPLES = [
  ["helpCompare", "status = 'old' AND price >= 12.50 AND available <> false"],
  ["helpFunctions", "attribute_not_exists(price) OR begins_with(name, 'Tea') OR contains(categories, 'tea')"],
  ["helpFunctions", "size(lines) > 2 AND attribute_type(price, 'N')"],
  ["helpCombine", "(a = 1 OR b BETWEEN 2 AND 3) AND NOT c IN ('x', 'y')"],
  ["helpPaths", "lines[0].productId = 'coffee-espresso-1kg' AND address.city = 'Bonn'"],
  ["helpNames", "`order-id` = 'A 17'"],
  ["helpTime", "expiresAt < now() - 30d AND purchasedAt > now('iso') - 7d"],
  ["helpSets", "raw = b64'aGk=' AND tags = <<'a', 'b'>>"],
] as const;

export function LanguageHelp() {
  return (
    <details>
      <summary>{text("help")}</summary>
      <dl class="language-help">
        {EXAMPLES.map(([key, example], index) => (
          <div key={example}>
            {EXAMPLES[index - 1]?.[0] !== key && <dt>{text(key)}</dt>}
            <dd>
              <code>{example}</code>
            </dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
