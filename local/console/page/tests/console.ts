// What tests share: the console in a browser, opened with the link that the command printed.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type Page, test as base, expect } from "@playwright/test";
import type axe from "axe-core";

export { expect };

export const PAGES = [
  "overview",
  "shopper",
  "product",
  "catalogue",
  "models",
  "jobs",
  "tables",
  "dumps",
  "import",
] as const;
export type PageName = (typeof PAGES)[number];

export class Console {
  constructor(
    readonly page: Page,
    private readonly link: string,
  ) {}

  /** The server's address, without the session. */
  get origin(): string {
    return new URL(this.link).origin;
  }

  get session(): string {
    return new URL(this.link).hash.replace("#session=", "");
  }

  /** Opens the printed link, and goes on to a page as a click on a link would. */
  async open(address = "overview"): Promise<void> {
    await this.page.goto(this.link);
    await this.page.getByRole("navigation").waitFor();
    await this.go(address);
  }

  async go(address: string): Promise<void> {
    await this.page.evaluate((hash) => void (window.location.hash = hash), `#/${address}`);
    await this.settled();
  }

  /** The page has its heading, and nothing is on its way any more. */
  async settled(): Promise<void> {
    await expect(this.page.getByRole("heading", { level: 1 })).toBeVisible();
    await expect(this.page.locator(".loading")).toHaveCount(0);
  }

  card(title: string | RegExp) {
    return this.page.getByRole("region", { name: title });
  }

  /** Calls the server as the page does. */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await this.page.request.fetch(`${this.origin}${path}`, {
      method,
      headers: { "x-nextbasket-session": this.session },
      ...(body === undefined ? {} : { data: body }),
    });
    expect(response.ok(), `${method} ${path}: ${response.status()} ${await response.text()}`).toBe(true);
    const text = await response.text();
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }
}

/**
 * `shop` is the console of the generated shop, `empty` that of an empty one whose items may be changed. A test fails
 * with what the page reported as an error, too.
 */
export const test = base.extend<{ shop: Console; empty: Console; faults: string[] }>({
  faults: [
    async ({ page }, use) => {
      const faults: string[] = [];
      page.on("pageerror", (error) => faults.push(String(error)));
      page.on("console", (message) => {
        // What a server refuses is shown on the page; the policy's refusals are nowhere else.
        if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
          faults.push(message.text());
        }
      });
      await use(faults);
      expect(faults, "errors in the browser's console").toEqual([]);
    },
    { auto: true },
  ],
  shop: async ({ page }, use) => use(new Console(page, given("CONSOLE_SHOP"))),
  empty: async ({ page }, use) => use(new Console(page, given("CONSOLE_EMPTY"))),
});

function given(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: the servers were not started`);
  return value;
}

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe finds wrong with the page as it is now, in short. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const found = await page.evaluate(async () => {
    const { axe: runner } = window as unknown as { axe: typeof axe };
    return (await runner.run(document)).violations;
  });
  return found.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`));
}

/** How many pixels the page is wider than the window. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}
