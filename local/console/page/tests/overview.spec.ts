import { expect, test } from "./console";

test("the overview shows the live model, traffic that was just made, and what it costs", async ({ shop }) => {
  const { page } = shop;
  await shop.open();
  const { items } = await shop.call<{ items: { version: number; live: boolean }[] }>("GET", "/models");
  const live = items.find((model) => model.live);
  await expect(shop.card("Live model")).toContainText(String(live?.version));
  const answers = shop.card("Answers and conversions").locator("dd").first();
  await expect(answers).toHaveText(/^[\d,]+$/);
  const count = async () => Number((await answers.innerText()).replaceAll(",", ""));
  const before = await count();
  await shop.call("GET", "/users/grace/recommendations?limit=3");
  // The page asks again by itself.
  await expect.poll(count, { timeout: 20_000 }).toBeGreaterThan(before);
  await expect(page.getByRole("heading", { level: 2 }).first()).toHaveText(/attention/);
});
