// Sentences of the server with names and values between backticks.

export function Prose({ children }: { children: string | undefined }) {
  if (children === undefined) return null;
  return <>{children.split("`").map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))}</>;
}
