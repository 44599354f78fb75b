import { expect, test } from "./console";

test("the live model is compared with plain counts, and what it learned is said", async ({ shop }) => {
  await shop.open("models");
  const comparison = shop.card("How good it is");
  await expect(comparison).toContainText("Best sellers");
  await expect(comparison).toContainText(/nDCG/);
  await expect(shop.card("What it learned")).toContainText(/learned order|fixed formula/);
  await expect(shop.card("Trainings").getByRole("row")).not.toHaveCount(0);
});

test("the figures of a chart are a table for those who do not see it", async ({ shop }) => {
  await shop.open("models");
  const card = shop.card("Over time");
  await card.getByText("Figures as a table").first().press("Enter");
  await expect(card.getByRole("columnheader", { name: "Best sellers", exact: true })).toBeVisible();
  const { items } = await shop.call<{ items: { metrics?: unknown }[] }>("GET", "/console/api/trainings");
  const measured = items.filter(({ metrics }) => metrics !== undefined).length;
  await expect(card.getByRole("table").first().locator("tbody tr")).toHaveCount(measured);
});
