// The session's secret. The command prints it as a part of the address that browsers send to no server; here it is
// taken out of the address and kept for this tab alone.

const KEY = "nextbasket-session";
const PREFIX = "#session=";

export function readSession(): string | undefined {
  if (window.location.hash.startsWith(PREFIX)) {
    sessionStorage.setItem(KEY, window.location.hash.slice(PREFIX.length));
    history.replaceState(null, "", window.location.pathname + "#/");
  }
  return sessionStorage.getItem(KEY) ?? undefined;
}
