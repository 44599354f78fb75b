import { expect, test } from "./console";

test("a job is submitted from its form, after an estimate, and watched to its end", async ({ shop }) => {
  const { page } = shop;
  await shop.open("jobs");
  await page.getByRole("link", { name: "New job" }).click();
  await page.getByRole("link", { name: "count", exact: true }).click();
  await shop.settled();
  await page.getByRole("combobox", { name: /^Table/ }).fill("nextbasket-purchases");
  await page.getByRole("textbox", { name: "Where" }).fill("userId = 'ada'");
  await page.getByRole("button", { name: "Estimate" }).click();
  await expect(page.getByText("What it would take")).toBeVisible();
  await page.getByRole("button", { name: "Submit the job" }).click();
  await expect(page.getByText("succeeded").first()).toBeVisible({ timeout: 30_000 });
  const { items } = await shop.call<{ items: unknown[] }>("GET", "/users/ada/purchases?limit=100");
  await expect(shop.card("Result")).toContainText(String(items.length));
});

test("a job that cannot run says which parameter is wrong", async ({ shop }) => {
  const { page } = shop;
  await shop.open("jobs?submit=count");
  await page.getByRole("combobox", { name: /^Table/ }).fill("nextbasket-purchases");
  await page.getByRole("textbox", { name: "Where" }).fill("size(lines >");
  await page.getByRole("button", { name: "Estimate" }).click();
  await expect(page.getByText(/where/).first()).toBeVisible();
  await expect(page.getByRole("textbox", { name: "Where" })).toHaveAttribute("aria-invalid", "true");
});

test("a failed job shows its reason", async ({ shop }) => {
  const { page } = shop;
  await shop.open();
  const { jobId } = await shop.call<{ jobId: string }>("POST", "/jobs", {
    kind: "restore",
    parameters: { from: "s3://nextbasket-dumpsbucket/nowhere", table: "nowhere" },
  });
  await shop.go(`jobs/${jobId}`);
  await expect(page.getByText("The job failed")).toBeVisible({ timeout: 30_000 });
  await expect(page.getByRole("main")).toContainText("nowhere");
});
