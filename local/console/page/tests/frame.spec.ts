import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { PAGES, expect, test } from "./console";

const MOST_SCRIPT_BYTES = 150_000;

test("the script has at most 150 KB when it is compressed", async ({ shop }) => {
  await shop.open();
  const sources = await shop.page.evaluate(() => [...document.scripts].map((script) => script.src));
  expect(sources).toHaveLength(1);
  const response = await shop.page.request.get(sources[0] ?? "");
  const bytes = gzipSync(await response.body()).length;
  test.info().annotations.push({ type: "script", description: `${bytes} bytes compressed` });
  console.log(`console.js: ${bytes} bytes compressed`);
  expect(bytes).toBeLessThanOrEqual(MOST_SCRIPT_BYTES);
});

test("the page is painted soon", async ({ shop }) => {
  await shop.open();
  // Again, as on every other morning: the first time also starts the browser. Reported, since machines differ.
  await shop.page.reload();
  await shop.settled();
  const paint = await shop.page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  console.log(`first paint: ${paint?.toFixed(0)} ms`);
  expect(paint).toBeGreaterThan(0);
});

test("all pages are reached with the keyboard alone", async ({ shop }) => {
  await shop.open();
  const { page } = shop;
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute("href"));
  const reached: string[] = [];
  for (let presses = 0; presses < 40 && reached.length < PAGES.length; presses += 1) {
    await page.keyboard.press("Tab");
    const address = await focused();
    if (address?.startsWith("#/") && PAGES.some((name) => address === `#/${name}`) && !reached.includes(address)) {
      // The brand leads to the overview as well; the navigation comes behind it.
      if (await page.evaluate(() => document.activeElement?.closest("nav") !== null)) reached.push(address);
    }
  }
  expect(reached).toEqual(PAGES.map((name) => `#/${name}`));
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Import");
  await expect(page.locator("main")).toBeFocused();
});

test("the first stop of the keyboard skips the navigation", async ({ shop }) => {
  await shop.open("jobs");
  await shop.page.keyboard.press("Tab");
  const skip = shop.page.getByRole("link", { name: "Skip to the content" });
  // The focus is in the content after a change of pages: the link is the first one of the document.
  await skip.focus();
  await shop.page.keyboard.press("Enter");
  await expect(shop.page.locator("main")).toBeFocused();
});

test("the session leaves the address at once and stays for the tab", async ({ shop }) => {
  await shop.open();
  expect(shop.page.url()).not.toContain("session");
  await shop.page.reload();
  await expect(shop.page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
});

test("without a session the page says how to open it, and shows nothing else", async ({ shop }) => {
  await shop.page.goto(`${shop.origin}/console/`);
  await expect(shop.page.getByRole("alert")).toContainText("#session=");
  await expect(shop.page.getByRole("heading", { level: 1 })).toHaveCount(0);
});

test("the root leads to the console", async ({ shop }) => {
  await shop.page.goto(`${shop.origin}/`);
  expect(new URL(shop.page.url()).pathname).toBe("/console/");
});

test("an unknown page says so", async ({ shop }) => {
  await shop.open();
  await shop.page.evaluate(() => void (window.location.hash = "#/nowhere"));
  await expect(shop.page.getByRole("main")).toContainText("There is no page at this address");
});

test("the built files have no address of another server", async () => {
  for (const name of ["index.html", "console.js", "console.css"]) {
    const content = readFileSync(new URL(`../../assets/${name}`, import.meta.url), "utf8");
    const addresses = content.match(/https?:\/\/[\w.-]+/g) ?? [];
    // Names of XML's vocabularies are no addresses: nothing is loaded from them.
    expect(addresses.filter((address) => !address.endsWith("//www.w3.org"))).toEqual([]);
  }
});
