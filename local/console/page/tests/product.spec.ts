import { expect, test } from "./console";

test("a product shows its sales, who buys it again, and the lists that it is in", async ({ shop }) => {
  const { page } = shop;
  await shop.open("product");
  await page.getByRole("combobox", { name: "Find a product" }).fill("espresso nera");
  await expect(page.getByRole("listbox").getByRole("option").first()).toBeVisible();
  await page.keyboard.press("Enter");
  await shop.settled();
  await expect(page.getByRole("heading", { level: 1 })).toContainText("Nera");
  await expect(shop.card("Sales by week")).toBeVisible();
  await expect(shop.card(/buys it again/)).toBeVisible();
  await expect(shop.card("Bought together").getByRole("link").first()).toBeVisible();
  await expect(shop.card("Similar").getByRole("link").first()).toBeVisible();
  await expect(shop.card("Lists that show it").getByRole("link").first()).toBeVisible();
});

test("a product that is sold out says why it is not recommended", async ({ shop }) => {
  await shop.open();
  await shop.call("PUT", "/products/browser-sold-out", { name: "Sold out", available: false });
  await shop.go("product/browser-sold-out");
  await expect(shop.page.getByText("Why it is not recommended")).toBeVisible();
});
