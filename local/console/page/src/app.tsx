// The frame of all pages: navigation, the place that is shown, and what to do without a session or a server.

import { createContext } from "preact";
import { useContext, useEffect, useRef } from "preact/hooks";
import { get, useLoad } from "./api";
import { text } from "./app.text";
import type { Session } from "./console-api";
import { pages } from "./pages";
import { href, useRoute } from "./route";
import { chooseLanguage, language } from "./text";
import { Failure, Loading, Notice } from "./ui/notice";

const SessionContext = createContext<Session | undefined>(undefined);

/** The session of the server that answers; pages are shown only within one. */
export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === undefined) throw new Error("no session");
  return session;
}

/** Whether the page may change what is behind it: a deployed stack only if the command allows it. */
export function useMayWrite(): boolean {
  const { place, writable } = useSession();
  return writable || place.kind !== "aws";
}

export function App() {
  const route = useRoute();
  const session = useLoad("session", (signal) => get<Session>("/console/api/session", signal), 30_000);
  const main = useRef<HTMLElement>(null);
  const page = pages.find(({ name }) => name === route.page);
  const title = page ? text(page.name) : text("unknownPage");
  const seen = useRef(route.page);
  useEffect(() => {
    document.title = `${title} · nextbasket`;
    // Keyboard and screen reader go on with the new page.
    if (seen.current !== route.page) main.current?.focus();
    seen.current = route.page;
  }, [title, route.page]);
  return (
    <div class="frame">
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        {text("skip")}
      </a>
      <header class="top">
        <a class="brand" href={href("overview")}>
          <img src="/console/icon.svg" alt="" width="24" height="24" />
          nextbasket
        </a>
        {session.value && <Place session={session.value} />}
        <label class="language">
          <span class="hidden">{text("language")}</span>
          <select value={language()} onChange={(event) => chooseLanguage(event.currentTarget.value as "en" | "de")}>
            <option value="en">English</option>
            <option value="de">Deutsch</option>
          </select>
        </label>
      </header>
      <nav class="pages" aria-label={text("pages")}>
        <ul>
          {pages.map(({ name }) => (
            <li key={name}>
              <a href={href(name)} aria-current={name === route.page ? "page" : undefined}>
                {text(name)}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <main id="main" ref={main} tabIndex={-1}>
        <SessionContext.Provider value={session.value}>
          {session.problem?.status === 401 ? (
            <Notice kind="error" title={text("noSession")}>
              <p>{text("noSessionHelp")}</p>
            </Notice>
          ) : (
            <>
              {session.problem?.status === 0 && (
                <Notice kind="error" title={text("noServer")}>
                  <p>{text("noServerHelp")}</p>
                </Notice>
              )}
              {session.problem && session.problem.status > 0 && <Failure problem={session.problem} />}
              {session.value && page && <page.Page key={page.name} route={route} />}
              {session.value && !page && (
                <Notice kind="warning" title={text("unknownPage")}>
                  <p>{text("unknownPageHelp")}</p>
                </Notice>
              )}
              {!session.value && !session.problem && <Loading />}
            </>
          )}
        </SessionContext.Provider>
      </main>
    </div>
  );
}

function Place({ session }: { session: Session }) {
  const { place, writable } = session;
  const parts = [place.stack ?? place.name, place.region, place.account].filter((part) => part !== undefined);
  return (
    <p class={`place ${place.kind}`}>
      {parts.join(" · ")}
      {!writable && place.kind === "aws" && <span class="tag">{text("readOnly")}</span>}
    </p>
  );
}
