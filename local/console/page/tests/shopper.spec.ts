import { expect, test } from "./console";

test("a shopper is found by id, with purchases, history, and a reason behind each product", async ({ shop }) => {
  const { page } = shop;
  await shop.open("shopper");
  await page.getByLabel("Id of the shopper").fill("grace");
  await page.keyboard.press("Enter");
  await shop.settled();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("grace");
  await expect(page.getByText("follows from the purchases")).toBeVisible();
  const list = shop.card("Recommended now").locator("section.list").first();
  await expect(list.locator("ol > li").first()).toBeVisible();
  const answer = await shop.call<{ items: { name: string }[] }>("GET", "/users/grace/recommendations?limit=10");
  for (const { name } of answer.items) await expect(list).toContainText(name);
});

test("a cart and another time change the list, and nothing of it is stored", async ({ shop }) => {
  const { page } = shop;
  const purchases = () => shop.call<{ items: unknown[] }>("GET", "/users/grace/purchases?limit=100");
  await shop.open("shopper/grace");
  const before = (await purchases()).items.length;
  const lists = shop.card("Recommended now");
  await lists.getByRole("combobox", { name: "Put a product into the cart" }).fill("matcha");
  await expect(lists.getByRole("option").first()).toBeVisible();
  await page.keyboard.press("Enter");
  await expect(lists.getByRole("list", { name: "In the cart" })).toContainText(/matcha/i);
  await lists.getByRole("button", { name: "In a week" }).click();
  await lists.getByRole("button", { name: "Assume the cart is bought" }).click();
  await expect(lists).toContainText("1 purchase assumed");
  await expect(lists).toContainText("Compared with the list now");
  expect((await purchases()).items.length).toBe(before);
});

test("markup in a shopper's id is a text", async ({ shop }) => {
  const id = "<img src=x onerror=alert(1)>";
  await shop.open();
  await shop.go(`shopper/${encodeURIComponent(id)}`);
  await expect(shop.page.getByRole("heading", { level: 1 })).toHaveText(id);
  await expect(shop.page.locator("main img")).toHaveCount(0);
});
