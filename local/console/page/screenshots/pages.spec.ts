// Pictures of the main pages for the README, of the generated shop.

import { writeFileSync } from "node:fs";
import type { Page } from "@playwright/test";
import { type Console, expect, test } from "../tests/console";

const FOLDER = new URL("../../../../docs/console/", import.meta.url);
const MOST_BYTES = 80_000;

const PICTURES: { name: string; address: string; prepare?: (shop: Console) => Promise<void> }[] = [
  { name: "overview", address: "overview", prepare: useTheShop },
  { name: "shopper", address: "shopper/ada" },
  { name: "product", address: "product/coffee-espresso-1kg" },
  { name: "catalogue", address: "catalogue" },
  { name: "models", address: "models" },
  { name: "tables", address: "tables/nextbasket-purchases?hash=ada&where=size(lines)+%3E+1", prepare: hideSchema },
];

for (const { name, address, prepare } of PICTURES) {
  test(name, async ({ shop }) => {
    await shop.open();
    await shop.go(address);
    await prepare?.(shop);
    await shop.settled();
    // Charts are drawn once they know their width.
    await shop.page.waitForTimeout(1_000);
    const picture = await webp(shop.page, await shop.page.screenshot());
    expect(picture.length).toBeLessThanOrEqual(MOST_BYTES);
    writeFileSync(new URL(`${name}.webp`, FOLDER), picture);
  });
}

/** Answers and purchases, so that the overview has something to show. */
async function useTheShop(shop: Console): Promise<void> {
  const users = ["ada", "grace", "alan", "edsger", "barbara", "donald"];
  for (const [index, user] of users.entries()) {
    const answer = await shop.call<{ recommendationId: string; items: { productId: string }[] }>(
      "GET",
      `/users/${user}/recommendations?limit=5`,
    );
    const [first] = answer.items;
    if (index % 2 === 1 || first === undefined) continue;
    await shop.call("POST", "/purchases", {
      purchaseId: `picture-${user}`,
      userId: user,
      lines: [{ productId: first.productId, quantity: 1 }],
      recommendationId: answer.recommendationId,
    });
  }
  // The overview asks again every few seconds.
  await shop.page.waitForTimeout(7_000);
}

async function hideSchema(shop: Console): Promise<void> {
  await shop.card("Find items").evaluate((card) => card.scrollIntoView({ block: "start" }));
}

/** The picture as WebP, as good as its size allows. The browser makes it: no other tool is needed. */
async function webp(page: Page, png: Buffer): Promise<Buffer> {
  const blank = await page.context().newPage();
  try {
    const address = await blank.evaluate(
      async ({ content, most }) => {
        const image = new Image();
        image.src = `data:image/png;base64,${content}`;
        await image.decode();
        const canvas = document.createElement("canvas");
        canvas.width = image.width;
        canvas.height = image.height;
        canvas.getContext("2d")?.drawImage(image, 0, 0);
        let made = "";
        for (let quality = 0.92; quality > 0.3; quality -= 0.06) {
          made = canvas.toDataURL("image/webp", quality);
          if (made.length * 0.75 < most) break;
        }
        return made;
      },
      { content: png.toString("base64"), most: MOST_BYTES },
    );
    return Buffer.from(address.split(",")[1] ?? "", "base64");
  } finally {
    await blank.close();
  }
}
