// How far something has come, and bars that compare shares.

import "./parts.css";

export function Progress({ label, share }: { label: string; share?: number | undefined }) {
  return (
    <progress aria-label={label} max={1} {...(share === undefined ? {} : { value: Math.min(1, Math.max(0, share)) })} />
  );
}

/** A bar for a share of the largest; the figure stands beside it as text. */
export function Bar({ share }: { share: number }) {
  return (
    <span class="bar" aria-hidden="true">
      <span style={{ width: `${Math.min(1, Math.max(0, share)) * 100}%` }} />
    </span>
  );
}
