import { expect, test } from "./console";

test("a newcomer opens the printed link, buys something for ada, and sees her list change", async ({ shop }) => {
  const { page } = shop;
  await shop.open();
  await page.getByRole("link", { name: /ada/ }).first().click();
  await shop.settled();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("ada");
  const lists = shop.card("Recommended now");
  const names = () => lists.locator("section.list").first().locator("ol > li").allInnerTexts();
  await expect(lists.getByRole("button", { name: /^Buy / }).first()).toBeVisible();
  const before = await names();
  expect(before.length).toBeGreaterThan(3);
  // Something that she does not buy every other week: it moves.
  await lists.getByRole("button", { name: /^Buy / }).nth(3).click();
  await expect(lists.getByText(/^Bought: /)).toBeVisible();
  await expect.poll(names).not.toEqual(before);
  await expect(lists).toContainText("Compared with the list before the purchase");
  // The next test finds her as she was.
  await lists.getByRole("button", { name: "Undo the purchase" }).click();
  await expect(lists).toContainText("removed again");
});
