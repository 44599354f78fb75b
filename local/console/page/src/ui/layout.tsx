// The parts that pages are made of.

import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

/** The page's heading, with what it offers at its right. */
export function PageTitle({ children, actions }: { children: ComponentChildren; actions?: ComponentChildren }) {
  return (
    <div class="title">
      <h1>{children}</h1>
      {actions && <div class="actions">{actions}</div>}
    </div>
  );
}

/** A titled part of a page. */
export function Card(props: {
  title: string;
  actions?: ComponentChildren;
  children: ComponentChildren;
  wide?: boolean;
}) {
  const id = useId();
  return (
    <section class={props.wide ? "card wide" : "card"} aria-labelledby={id}>
      <div class="title">
        <h2 id={id}>{props.title}</h2>
        {props.actions && <div class="actions">{props.actions}</div>}
      </div>
      {props.children}
    </section>
  );
}

/** Cards beside each other where there is room; `halves` for cards with tables. */
export function Grid({ children, halves }: { children: ComponentChildren; halves?: boolean }) {
  return <div class={halves ? "grid halves" : "grid"}>{children}</div>;
}

/** One figure with its name, and a line of what it means. */
export function Figure({ name, value, hint }: { name: string; value: ComponentChildren; hint?: ComponentChildren }) {
  return (
    <div class="figure">
      <dt>{name}</dt>
      <dd>{value}</dd>
      {hint && <dd class="hint">{hint}</dd>}
    </div>
  );
}

export function Figures({ children }: { children: ComponentChildren }) {
  return <dl class="figures">{children}</dl>;
}

export interface Column<T> {
  title: string;
  cell: (row: T) => ComponentChildren;
  /** Numbers stand at the right. */
  numeric?: boolean;
}

/** A table that scrolls by itself where it is too wide. */
export function Table<T>(props: {
  caption: string;
  columns: Column<T>[];
  rows: T[];
  rowKey: (row: T, index: number) => string | number;
  empty?: ComponentChildren;
}) {
  const { caption, columns, rows, rowKey, empty } = props;
  if (rows.length === 0 && empty) return <p class="empty">{empty}</p>;
  return (
    <div class="scroll" role="group" aria-label={caption} tabIndex={0}>
      <table>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.title} scope="col" class={column.numeric ? "numeric" : undefined}>
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={rowKey(row, index)}>
              {columns.map((column) => (
                <td key={column.title} class={column.numeric ? "numeric" : undefined}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A field with its label, and what is wrong with its value. */
export function Field(props: {
  label: string;
  hint?: ComponentChildren;
  error?: string | undefined;
  /** For links to the field. */
  id?: string;
  children: (ids: { id: string; describedBy: string | undefined; invalid: boolean }) => ComponentChildren;
}) {
  const ownId = useId();
  const id = props.id ?? ownId;
  const about = props.hint || props.error ? `${id}-about` : undefined;
  return (
    <div class={props.error ? "field invalid" : "field"}>
      <label for={id}>{props.label}</label>
      {props.children({ id, describedBy: about, invalid: props.error !== undefined })}
      {about && (
        <p class="hint" id={about}>
          {props.error ?? props.hint}
        </p>
      )}
    </div>
  );
}
