import { expect, overflow, test, violations } from "./console";

const link = (kind: string, parameters: unknown) =>
  `jobs?${new URLSearchParams({ submit: kind, parameters: JSON.stringify(parameters) })}`;

test("a job that changes items is submitted once its table's name is typed", async ({ shop }) => {
  const { page } = shop;
  const parameters = { table: "nextbasket-products", set: "a = 1", where: "attribute_exists(nothing)" };
  await shop.open(link("update", parameters));
  await page.getByRole("button", { name: "Estimate" }).click();
  const submit = page.getByRole("button", { name: "Submit the job" });
  await submit.click();
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByRole("textbox")).toBeFocused();
  await page.keyboard.type("nextbasket-product");
  await expect(dialog.getByRole("button", { name: "Submit the job" })).toBeDisabled();
  await page.keyboard.press("Escape");
  await expect(dialog).toHaveCount(0);
  await expect(submit).toBeFocused();
  await page.keyboard.press("Enter");
  await page.keyboard.type("nextbasket-products");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("update nextbasket-products");
  await expect(page.getByText("succeeded").first()).toBeVisible({ timeout: 30_000 });
});

test("parameters that changed since the estimate need another one", async ({ shop }) => {
  const { page } = shop;
  await shop.open(link("count", { table: "nextbasket-purchases" }));
  await page.getByRole("button", { name: "Estimate" }).click();
  await expect(page.getByRole("button", { name: "Submit the job" })).toBeVisible();
  await page.getByRole("textbox", { name: "Where" }).fill("userId = 'ada'");
  await expect(page.getByRole("button", { name: "Submit the job" })).toHaveCount(0);
});

test("a problem opens what folds its field and goes there", async ({ shop }) => {
  const { page } = shop;
  await shop.open("jobs?submit=train");
  await page.locator("summary", { hasText: "Params" }).click();
  const field = page.getByRole("textbox", { name: "Personal decay" });
  await field.fill("7");
  await page.locator("summary", { hasText: "Params" }).click();
  await expect(field).toBeHidden();
  await page.getByRole("button", { name: "Estimate" }).click();
  await expect(field).toBeFocused();
  await expect(field).toHaveAttribute("aria-invalid", "true");
});

test("a form and its JSON are the same parameters", async ({ shop }) => {
  const { page } = shop;
  const parameters = { table: "nextbasket-purchases", split: { by: "time", attribute: "purchasedAt", every: "30d" } };
  await shop.open(link("count", parameters));
  await page.locator("summary", { hasText: "Speed" }).click();
  await page.getByRole("combobox", { name: "Parallel" }).selectOption("no");
  await page.getByRole("button", { name: "As JSON" }).click();
  const json = page.getByRole("textbox", { name: "Parameters as JSON" });
  expect(JSON.parse(await json.inputValue())).toEqual({ ...parameters, parallel: false });
  await json.fill(JSON.stringify({ ...parameters, split: { by: "size" }, segments: 3 }));
  await page.getByRole("button", { name: "As a form" }).click();
  await expect(page.getByRole("combobox", { name: "Split: form" })).toHaveValue("0");
  await page.locator("summary", { hasText: "Speed" }).click();
  await expect(page.getByRole("textbox", { name: "Segments" })).toHaveValue("3");
});

test("each kind of job has a form that is accessible and as narrow as a telephone", async ({ shop }) => {
  const { page } = shop;
  await shop.open("jobs?submit=");
  const kinds = await page.locator(".kinds a").allInnerTexts();
  expect(kinds.length).toBeGreaterThan(10);
  await page.setViewportSize({ width: 375, height: 900 });
  for (const kind of kinds) {
    await shop.go(`jobs?submit=${kind}`);
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(`New job: ${kind}`);
    await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
    expect(await overflow(page), kind).toBeLessThanOrEqual(0);
    expect(await violations(page), kind).toEqual([]);
  }
});
