import { readFileSync } from "node:fs";
import type { Item, ItemsPage } from "../src/console-api";
import { type Console, expect, test } from "./console";
import { ITEMS_TABLE } from "./servers";

const PRODUCTS = "nextbasket-products";
const DIGITS = "12345678901234567890123456789012345678";

async function openTable(console: Console, name: string): Promise<void> {
  await console.open("tables");
  await console.page.getByRole("link", { name, exact: true }).click();
  await console.settled();
  await expect(console.page.getByRole("heading", { level: 1 })).toHaveText(name);
}

async function show(console: Console): Promise<void> {
  await console.page.getByRole("button", { name: "Show items" }).click();
  await console.settled();
}

function product(id: string, more: Item = {}): Item {
  return { productId: { S: id }, name: { S: `Product ${id}` }, ...more };
}

const put = (console: Console, item: Item, before?: Item) =>
  console.call("PUT", `/console/api/tables/${ITEMS_TABLE}/item`, before ? { item, before } : { item });

async function stored(console: Console, id: string): Promise<Item | undefined> {
  const ask = { key: { hash: { S: id } }, limit: 10 };
  const page = await console.call<ItemsPage>("POST", `/console/api/tables/${ITEMS_TABLE}/items`, ask);
  return page.items[0];
}

async function findProduct(console: Console, id: string): Promise<void> {
  await console.page.getByLabel("productId (S)").fill(id);
  await show(console);
}

test("items are found by key, narrowed by a condition, and counted", async ({ shop }) => {
  const { page } = shop;
  const { items } = await shop.call<{ items: { lines: unknown[] }[] }>("GET", "/users/ada/purchases?limit=100");
  const several = items.filter(({ lines }) => lines.length > 1).length;
  expect(several).toBeGreaterThan(0);
  await openTable(shop, "nextbasket-purchases");
  await page.getByLabel("userId (S)", { exact: true }).fill("ada");
  await show(shop);
  await expect(page.getByText(`${items.length} items shown`)).toBeVisible();
  await page.getByLabel("Condition").fill("size(lines) > 1");
  await show(shop);
  await expect(page.getByText(`${several} items shown`)).toBeVisible();
  const users = page.getByRole("region", { name: "Items" }).locator("tbody tr");
  await expect(users).toHaveCount(several);
  for (const row of await users.all()) await expect(row).toContainText("ada");
  await page.getByRole("button", { name: "Count" }).click();
  await expect(page.getByText(`${several} items match`)).toBeVisible();
});

test("a scan shows page after page, and each item once", async ({ shop }) => {
  const { page } = shop;
  await openTable(shop, PRODUCTS);
  await expect(page.getByText("50 items shown")).toBeVisible();
  await page.getByRole("button", { name: "Show more" }).click();
  await expect(page.getByText("100 items shown")).toBeVisible();
  const ids = await shop.card("Items").locator("tbody tr td:nth-child(2)").allInnerTexts();
  expect(new Set(ids).size).toBe(100);
});

test("an index is asked in its own order", async ({ shop }) => {
  const { page } = shop;
  await openTable(shop, "nextbasket-purchases");
  await page.getByLabel("Read from").selectOption("byTime");
  await page.getByLabel("userId (S)", { exact: true }).fill("ada");
  await page.getByLabel("Highest sort key first").check();
  await show(shop);
  const column = await page.getByRole("columnheader", { name: "purchasedAt" }).evaluate((cell) => {
    return [...(cell.parentElement?.children ?? [])].indexOf(cell) + 1;
  });
  const times = await shop.card("Items").locator(`tbody tr td:nth-child(${column})`).allInnerTexts();
  expect(times.length).toBeGreaterThan(2);
  expect(times).toEqual([...times].sort().reverse());
  await shop
    .card("Items")
    .getByRole("button", { name: /^Open item/ })
    .first()
    .click();
  await expect(page.getByRole("dialog")).toContainText("ada");
});

test("every example of the language is understood by the server", async ({ shop }) => {
  const { page } = shop;
  await openTable(shop, PRODUCTS);
  await page.getByText("The language of conditions").click();
  const examples = await page.locator(".language-help code").allInnerTexts();
  expect(examples.length).toBeGreaterThan(5);
  for (const where of examples) {
    await shop.call("POST", `/console/api/tables/${PRODUCTS}/count`, { where });
  }
});

test("a condition with a mistake says where it is", async ({ shop }) => {
  await openTable(shop, PRODUCTS);
  await shop.page.getByLabel("Condition").fill("size(lines >");
  await show(shop);
  await expect(shop.page.getByRole("alert")).toContainText("where");
});

test("values of all types are shown, changed and stored with all digits", async ({ empty }) => {
  const { page } = empty;
  await openTable(empty, ITEMS_TABLE);
  await page.getByRole("button", { name: "New item" }).click();
  const item = product("digits", {
    exact: { N: DIGITS },
    raw: { B: "aGk=" },
    yes: { BOOL: true },
    nothing: { NULL: true },
    none: { S: "" },
    words: { SS: ["a", "b"] },
    deep: { M: { list: { L: [{ N: "1" }, { M: { inner: { S: "found" } } }] } } },
  });
  await page.getByLabel("DynamoDB JSON").fill(JSON.stringify(item));
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText("The item was saved.")).toBeVisible();
  expect(await stored(empty, "digits")).toEqual(item);

  await findProduct(empty, "digits");
  await expect(page.getByText(DIGITS)).toBeVisible();
  await page.getByRole("button", { name: "Open item digits" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByText("found")).toBeVisible();
  await dialog.getByRole("button", { name: "Edit" }).click();
  const changed = { ...item, exact: { N: `-0.${DIGITS}` } };
  await dialog.getByLabel("DynamoDB JSON").fill(JSON.stringify(changed));
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("The item was saved.")).toBeVisible();
  expect(await stored(empty, "digits")).toEqual(changed);
});

test("what DynamoDB would refuse is said before it is sent", async ({ empty }) => {
  const { page } = empty;
  await openTable(empty, ITEMS_TABLE);
  await page.getByRole("button", { name: "New item" }).click();
  const refused: [string, string][] = [
    ["{", "This is not JSON"],
    ['{"name": {"S": "x"}}', "productId: is part of the key and missing"],
    ['{"productId": {"N": "1"}}', "productId: is part of the key and must be of the type S"],
    [`{"productId": {"S": "a"}, "n": {"N": "${DIGITS}9"}}`, "n: has more than 38 digits"],
    ['{"productId": {"S": "a"}, "n": {"N": 5}}', "n: must be a text in quotes"],
    ['{"productId": {"S": "a"}, "m": {"M": {"s": {"SS": []}}}}', "m.s: is an empty set"],
    ['{"productId": {"S": "a"}, "t": {"X": "a"}}', "t: “X” is not a type"],
  ];
  for (const [content, why] of refused) {
    await page.getByLabel("DynamoDB JSON").fill(content);
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await expect(page.getByText(why)).toBeVisible();
  }
});

test("an item that was changed meanwhile is neither overwritten nor deleted", async ({ empty }) => {
  const { page } = empty;
  await openTable(empty, ITEMS_TABLE);
  const first = product("raced");
  const other = product("raced", { price: { N: "1" } });
  await put(empty, first);
  await findProduct(empty, "raced");
  await page.getByRole("button", { name: "Open item raced" }).click();
  await put(empty, other, first);
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Edit" }).click();
  await dialog.getByLabel("DynamoDB JSON").fill(JSON.stringify(product("raced", { price: { N: "2" } })));
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog.getByRole("alert")).toContainText("changed in the meantime");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await dialog.getByRole("button", { name: "Delete" }).click();
  await dialog.getByRole("button", { name: "Delete" }).click();
  await expect(dialog.getByRole("alert")).toContainText("changed in the meantime");
  expect(await stored(empty, "raced")).toEqual(other);
});

test("an item is deleted after a question, with the keyboard alone", async ({ empty }) => {
  const { page } = empty;
  await openTable(empty, ITEMS_TABLE);
  await put(empty, product("unwanted"));
  await findProduct(empty, "unwanted");
  await page.getByRole("button", { name: "Open item unwanted" }).focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Delete" }).focus();
  await page.keyboard.press("Enter");
  await dialog.getByRole("button", { name: "Delete" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByText("The item was deleted.")).toBeVisible();
  expect(await stored(empty, "unwanted")).toBeUndefined();
});

test("a closed item gives the focus back to its row", async ({ empty }) => {
  const { page } = empty;
  await openTable(empty, ITEMS_TABLE);
  await put(empty, product("focused"));
  await findProduct(empty, "focused");
  const open = page.getByRole("button", { name: "Open item focused" });
  await open.click();
  await expect(page.getByRole("dialog")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await expect(open).toBeFocused();
});

test("markup and formulas in items are texts, on the page and in files", async ({ empty }) => {
  const { page } = empty;
  const name = `<img src=x onerror="document.title='run'"> & <b>bold</b>`;
  const formula = '=HYPERLINK("http://localhost/","click")';
  await openTable(empty, ITEMS_TABLE);
  const item = product("markup", { name: { S: name }, note: { S: formula }, minus: { N: "-5" }, "+field": { S: "x" } });
  await put(empty, item);
  await findProduct(empty, "markup");
  await expect(page.getByText(name.slice(0, 40))).toBeVisible();
  await expect(page.locator("main img, main b")).toHaveCount(0);
  await page.getByText("Save what is shown").click();
  const save = async (button: string) => {
    const [file] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: button }).click(),
    ]);
    return readFileSync(await file.path(), "utf8");
  };
  expect(JSON.parse(await save("Save as JSON Lines"))).toEqual({ Item: item });
  const csv = await save("Save as CSV");
  expect(csv).toContain(`"'=HYPERLINK(""http://localhost/"",""click"")"`);
  expect(csv).toContain(`"'+field"`);
  expect(csv).toContain(",-5,");
  expect(await page.title()).not.toBe("run");
});

test("a value of hundreds of kilobytes is shown in part until all of it is asked for", async ({ empty }) => {
  const { page } = empty;
  await openTable(empty, ITEMS_TABLE);
  const long = "0123456789".repeat(30_000);
  await put(empty, product("long", { long: { S: long } }));
  await findProduct(empty, "long");
  await page.getByRole("button", { name: "Open item long" }).click();
  const dialog = page.getByRole("dialog");
  const shown = async () => (await dialog.innerText()).length;
  expect(await shown()).toBeLessThan(5_000);
  await dialog.getByRole("button", { name: "Show all 300,000 characters" }).click();
  await expect.poll(shown).toBeGreaterThan(long.length);
});

test("items cannot be changed where the command was started without --writable", async ({ shop }) => {
  await openTable(shop, PRODUCTS);
  await expect(shop.page.getByText("--writable")).toBeVisible();
  await expect(shop.page.getByRole("button", { name: "New item" })).toHaveCount(0);
  const response = await shop.page.request.put(`${shop.origin}/console/api/tables/${PRODUCTS}/item`, {
    headers: { "x-nextbasket-session": shop.session },
    data: { item: product("forbidden") },
  });
  expect(response.status()).toBe(403);
});

test("the table of jobs and locks is never changed here", async ({ empty }) => {
  await openTable(empty, "nextbasket-operations");
  await expect(empty.page.getByText("belongs to jobs and locks")).toBeVisible();
  await expect(empty.page.getByRole("button", { name: "New item" })).toHaveCount(0);
});
