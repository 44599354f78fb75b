import { type Console, PAGES, type PageName, expect, overflow, test, violations } from "./console";

const WIDTHS = [375, 1440];
/** The pages with something on them: an empty page is seldom wrong. */
const ADDRESSES: Record<PageName, string> = {
  overview: "overview",
  shopper: "shopper/ada",
  product: "product/coffee-espresso-1kg",
  catalogue: "catalogue",
  models: "models",
  jobs: "jobs",
  tables: "tables/nextbasket-purchases",
  dumps: "dumps",
  import: "import",
};

async function looksRight(shop: Console): Promise<void> {
  for (const width of WIDTHS) {
    await shop.page.setViewportSize({ width, height: 900 });
    expect(await overflow(shop.page), `is wider than ${width} pixels`).toBeLessThanOrEqual(0);
    expect(await violations(shop.page), `at ${width} pixels`).toEqual([]);
  }
}

for (const name of PAGES) {
  for (const colorScheme of ["light", "dark"] as const) {
    test(`${name} is accessible and fits narrow and wide windows in ${colorScheme} colours`, async ({ shop }) => {
      await shop.page.emulateMedia({ colorScheme });
      await shop.open(ADDRESSES[name]);
      await looksRight(shop);
    });
  }

  test(`${name} is in German for those who want it`, async ({ shop }) => {
    await shop.open(ADDRESSES[name]);
    const english = await shop.page.locator("main").innerText();
    await shop.page.getByLabel("Language").selectOption("de");
    await shop.settled();
    await expect(shop.page.locator("html")).toHaveAttribute("lang", "de");
    const german = await shop.page.locator("main").innerText();
    expect(german).not.toBe(english);
    expect(german, "a hole that was not filled").not.toMatch(/\{\w+\}/);
    expect(english, "a hole that was not filled").not.toMatch(/\{\w+\}/);
    await shop.page.setViewportSize({ width: 375, height: 900 });
    expect(await overflow(shop.page), "German words are wider than 375 pixels").toBeLessThanOrEqual(0);
  });
}
