// Values of DynamoDB with their types; nested ones are folded.

import { useState } from "preact/hooks";
import type { AttributeValue, Item } from "../../console-api";
import { text } from "../tables.text";
import { type AttributeType, lineOf, typeOf } from "./attribute";

/** Longer texts are shown in part, until somebody asks for all of it: an attribute may have 400 KB. */
const CELL_CHARACTERS = 80;
const SHOWN_CHARACTERS = 2_000;

/** A value in a cell of a table: one line, and what is nested behind a click. */
export function CellValue({ value }: { value: AttributeValue }) {
  if (isNested(value)) return <Nested value={value} />;
  const line = lineOf(value);
  const characters = [...line.slice(0, CELL_CHARACTERS * 2)].slice(0, CELL_CHARACTERS).join("");
  return (
    <span class="value">
      <TypeName type={typeOf(value)} />
      {"B" in value && <span class="muted">{text("ofBytes", { count: bytesOf(value.B) })} </span>}
      {line === "" ? <Empty /> : <span class="line">{characters}</span>}
      {characters.length < line.length && "…"}
    </span>
  );
}

/** A value as a whole. */
export function FullValue({ value }: { value: AttributeValue }) {
  if (isNested(value)) return <Nested value={value} open />;
  const line = lineOf(value);
  return (
    <span class="value">
      <TypeName type={typeOf(value)} />
      {"B" in value && <span class="muted">{text("ofBytes", { count: bytesOf(value.B) })} </span>}
      {line === "" ? <Empty /> : <LongText content={line} />}
    </span>
  );
}

/** All attributes of an item or a map. */
export function Attributes({ item }: { item: Item }) {
  return (
    <dl class="attributes">
      {Object.entries(item).map(([name, value]) => (
        <div key={name}>
          <dt>{name === "" ? <Empty /> : name}</dt>
          <dd>
            <FullValue value={value} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Nested({ value, open = false }: { value: AttributeValue; open?: boolean }) {
  // The content of a folded value is not even made: a page of items may hold thousands of them.
  const [isOpen, setOpen] = useState(open);
  const type = typeOf(value);
  const count = "M" in value ? Object.keys(value.M).length : elements(value).length;
  return (
    <details class="value" open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <TypeName type={type} />
        {text("M" in value ? "attributes" : "elements", { count })}
      </summary>
      {isOpen && ("M" in value ? <Attributes item={value.M} /> : <Elements values={elements(value)} />)}
    </details>
  );
}

function Elements({ values }: { values: AttributeValue[] }) {
  return (
    <ol class="elements" start={0}>
      {values.map((value, index) => (
        <li key={index}>
          <FullValue value={value} />
        </li>
      ))}
    </ol>
  );
}

function isNested(value: AttributeValue): boolean {
  return ["M", "L", "SS", "NS", "BS"].includes(typeOf(value));
}

function elements(value: AttributeValue): AttributeValue[] {
  if ("L" in value) return value.L;
  if ("SS" in value) return value.SS.map((S) => ({ S }));
  if ("NS" in value) return value.NS.map((N) => ({ N }));
  if ("BS" in value) return value.BS.map((B) => ({ B }));
  return [];
}

function LongText({ content }: { content: string }) {
  const [whole, setWhole] = useState(false);
  if (whole || content.length <= SHOWN_CHARACTERS) return <span class="text">{content}</span>;
  return (
    <>
      <span class="text">{content.slice(0, SHOWN_CHARACTERS)}…</span>{" "}
      <button onClick={() => setWhole(true)}>{text("showAll", { count: content.length })}</button>
    </>
  );
}

const Empty = () => <em class="muted">{text("empty")}</em>;

const TypeName = ({ type }: { type: AttributeType }) => <code class="type">{type}</code>;

function bytesOf(base64: string): number {
  return Math.floor((base64.replace(/=+$/, "").length * 3) / 4);
}
