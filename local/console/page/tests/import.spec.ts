import { type Console, expect, test } from "./console";

/** An export whose columns have other names than ours, and whose dates do not show what the day is. */
function orders(user: string, orderCount: number): string {
  const lines = ["Bestellung,Kunde,Artikel,Bezeichnung,Datum,Menge,Preis"];
  for (let order = 1; order <= orderCount; order += 1) {
    const day = `0${(order % 9) + 1}/0${(order % 8) + 1}/2026`;
    const buyer = `${user}-${order % 12}`;
    lines.push(`${user}-${order},${buyer},tea-${order % 5},Tea ${order % 5},${day},1,4.50`);
    lines.push(`${user}-${order},${buyer},cup-${order % 3},Cup ${order % 3},${day},2,12.00`);
  }
  lines.push(`${user}-x,,tea-1,Tea 1,01/02/2026,1,4.50`);
  lines.push(`${user}-y,${user}-1,tea-1,Tea 1,01/02/2026,many,4.50`);
  return `${lines.join("\n")}\n`;
}

async function choose(console: Console, name: string, content: string): Promise<void> {
  await console.page
    .locator("input[type=file]")
    .setInputFiles({ name, mimeType: "text/csv", buffer: Buffer.from(content) });
}

test("a file is understood step by step, imported, and a model is trained on it", async ({ empty }) => {
  test.setTimeout(180_000);
  const { page } = empty;
  await empty.open("import");
  await choose(empty, "orders.csv", orders("browser", 40));

  // The columns have names that are not ours: a mapping is proposed, and taken only by a click.
  const failure = page.getByRole("alert");
  await expect(failure).toContainText("user_id, product_id, timestamp");
  await expect(failure).toContainText("orders.csv");
  await failure.getByRole("button", { name: /Use the proposed columns/ }).click();

  // No date shows whether the day or the month comes first: it is asked for.
  await expect(failure).toContainText("may begin with the day or the month");
  await failure.getByRole("button", { name: "Order of dates" }).click();
  await expect(page.getByLabel("Order of dates")).toBeFocused();
  await page.getByLabel("Order of dates").selectOption("dayFirst");
  await page.getByRole("button", { name: "Check again" }).click();

  const understood = empty.card("What was understood");
  await expect(understood).toContainText("The first purchases");
  await expect(understood).toContainText("Tea 1");
  await expect(understood).toContainText("missing_user");
  await expect(understood).toContainText("€");
  await understood.locator("summary", { hasText: "Rejected lines" }).click();
  await expect(understood).toContainText("many");
  const stored = await empty.call<{ items: unknown[] }>("GET", "/users/browser-1/purchases");
  expect(stored.items, "nothing is written by a check").toEqual([]);

  await page.getByRole("button", { name: "Import 40 purchases" }).click();
  const outcome = empty.card("Import");
  await expect(outcome.getByText("New purchases")).toBeVisible({ timeout: 60_000 });
  await expect(outcome).toContainText("40");
  const after = await empty.call<{ items: unknown[] }>("GET", "/users/browser-1/purchases");
  expect(after.items.length).toBeGreaterThan(0);

  await outcome.getByRole("button", { name: "Train now" }).click();
  await expect(outcome.getByText("The training has ended")).toBeVisible({ timeout: 120_000 });
  const models = await empty.call<{ items: { live: boolean }[] }>("GET", "/models");
  expect(models.items.some(({ live }) => live)).toBe(true);
});

test("an import goes on while another page is looked at", async ({ empty }) => {
  const { page } = empty;
  await empty.open("import");
  await choose(empty, "known.csv", "user_id,product_id,timestamp\nleaving,tea-1,2026-03-01T10:00:00Z\n");
  await expect(empty.card("What was understood")).toContainText("Records");
  await page.getByRole("link", { name: "Jobs", exact: true }).click();
  await empty.settled();
  await page.getByRole("link", { name: "Import", exact: true }).click();
  await expect(page.getByText("known.csv", { exact: true })).toBeVisible();
  await page.getByRole("button", { name: "Import 1 purchase" }).click();
  await expect(empty.card("Import").getByText("New purchases")).toBeVisible({ timeout: 60_000 });
});

test("changed options have to be checked before anything is imported", async ({ empty }) => {
  const { page } = empty;
  await empty.open("import");
  await choose(empty, "changed.csv", "user_id,product_id,timestamp\nchanging,tea-1,2026-03-01 10:00\n");
  const button = page.getByRole("button", { name: "Import 1 purchase" });
  await expect(button).toBeEnabled();
  await page.getByLabel("Time zone").fill("Europe/Berlin");
  await expect(button).toBeDisabled();
  await page.getByRole("button", { name: "Check again" }).click();
  await expect(empty.card("What was understood")).toContainText("09:00");
  await expect(button).toBeEnabled();
});

test("a catalogue is imported with its names, prices and categories", async ({ empty }) => {
  const { page } = empty;
  await empty.open("import");
  await page.getByLabel("Products (a catalogue)").check();
  await choose(empty, "catalogue.csv", "product_id,name,categories,price\ncup-9,Cup nine,cups,12.50\n");
  await page.getByRole("button", { name: "Import 1 product" }).click();
  await expect(empty.card("Import").getByText("New products")).toBeVisible({ timeout: 60_000 });
  const product = await empty.call<{ name: string }>("GET", "/products/cup-9");
  expect(product.name).toBe("Cup nine");
});

test("a file that is not one of purchases says why, and what to do", async ({ empty }) => {
  await empty.open("import");
  await choose(empty, "picture.png", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
  await expect(empty.page.getByRole("alert")).toContainText("picture.png");
});
