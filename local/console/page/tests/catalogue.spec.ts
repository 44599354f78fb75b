import { expect, test } from "./console";

test("a change of a product is shown with the lists that it changes before it is saved", async ({ shop }) => {
  const { page } = shop;
  await shop.open("catalogue");
  const popular = shop.card("Popular");
  const first = popular.locator("ol > li").first();
  await expect(first).toBeVisible();
  const products = shop.card("Products");
  await products.getByLabel("Find").fill("oat drink barista");
  await products
    .getByRole("link", { name: /^Edit / })
    .first()
    .click();
  await shop.settled();
  const id = decodeURIComponent(page.url().split("/").at(-1) ?? "");
  const stored = () => shop.call<{ available: boolean }>("GET", `/products?productId=${encodeURIComponent(id)}`);
  await page.getByLabel("Available", { exact: true }).uncheck();
  await expect(shop.card("What changes")).toContainText(/lists that show it change/);
  expect((await stored()).available, "a preview stores nothing").toBe(true);
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Saved", { exact: true })).toBeVisible();
  expect((await stored()).available).toBe(false);
  await page.getByLabel("Available", { exact: true }).check();
  await page.getByRole("button", { name: "Save" }).click();
  await expect.poll(async () => (await stored()).available).toBe(true);
});
