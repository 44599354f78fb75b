// Where the page is: a path in the address' fragment, which no server sees, such as `#/shopper/ada?at=2026-12-04`.

import { useEffect, useState } from "preact/hooks";

export interface Route {
  page: string;
  /** The path's segments behind the page, decoded. */
  path: string[];
  query: URLSearchParams;
}

export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [page = "", ...rest] = path.split("/").map(decoded);
  return {
    page: page || "overview",
    path: rest.filter((segment) => segment !== ""),
    query: new URLSearchParams(query),
  };
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** The address of a page, for links. */
export function href(page: string, path: string[] = [], query: Record<string, string | undefined> = {}): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const search = given.length > 0 ? `?${new URLSearchParams(given)}` : "";
  return `#/${[page, ...path].map(encodeURIComponent).join("/")}${search}`;
}

export function navigate(address: string): void {
  window.location.hash = address;
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => parseRoute(window.location.hash));
  useEffect(() => {
    const changed = () => setRoute(parseRoute(window.location.hash));
    window.addEventListener("hashchange", changed);
    return () => window.removeEventListener("hashchange", changed);
  }, []);
  return route;
}
