// A question before something that is hard to take back. The dialog element keeps the focus inside, gives it back to
// where it was, and closes with Escape.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Problem } from "../api";
import { text } from "./confirm.text";
import "./parts.css";
import { Failure } from "./notice";
import { Field } from "./layout";

interface ConfirmProps {
  title: string;
  /** The name of what is done, on the button. */
  action: string;
  /** What has to be typed, for what loses data. */
  typed?: string | undefined;
  danger?: boolean;
  /** Resolves when it is done; what it throws is shown. */
  onConfirm: () => Promise<void>;
  onClose: () => void;
  children: ComponentChildren;
}

export function Confirm({ title, action, typed, danger, onConfirm, onClose, children }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [entered, setEntered] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  useEffect(() => {
    const opener = document.activeElement;
    dialog.current?.showModal();
    return () => opener instanceof HTMLElement && opener.focus();
  }, []);

  async function confirm(event: Event) {
    event.preventDefault();
    if (typed !== undefined && entered !== typed) return;
    setBusy(true);
    setProblem(undefined);
    try {
      await onConfirm();
      dialog.current?.close();
    } catch (error) {
      setProblem(error instanceof Problem ? error : new Problem(0, "failed", String(error)));
      setBusy(false);
    }
  }

  return (
    <dialog ref={dialog} aria-label={title} onClose={onClose}>
      <form class="confirm" onSubmit={confirm}>
        <h2>{title}</h2>
        {children}
        {typed !== undefined && (
          <Field label={text("type", { typed })}>
            {({ id }) => (
              <input
                id={id}
                autocomplete="off"
                spellcheck={false}
                value={entered}
                onInput={(event) => setEntered(event.currentTarget.value)}
              />
            )}
          </Field>
        )}
        {problem && <Failure problem={problem} />}
        <div class="actions">
          <button
            class={danger ? "danger" : "primary"}
            disabled={busy || (typed !== undefined && entered !== typed)}
            aria-busy={busy}
          >
            {action}
          </button>
          <button type="button" onClick={() => dialog.current?.close()}>
            {text("cancel")}
          </button>
        </div>
      </form>
    </dialog>
  );
}
