// The main calls of the API, made with the types that openapi-typescript generates.
//
//   node out/client.js URL

import createClient from "openapi-fetch";
import type { components, paths } from "./generated.js";

declare const process: { argv: string[] };
declare const console: { log(text: string): void };

type Schemas = components["schemas"];

const client = createClient<paths>({ baseUrl: process.argv[2] ?? "http://127.0.0.1:8080" });
const odd = "Käse 1/2 kg";

function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

/** The body of an answer of this status. */
async function checked<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>, status: number): Promise<T> {
  const { data, error, response } = await call;
  check(response.status === status && data !== undefined, `${response.status}: ${JSON.stringify(error)}`);
  return data;
}

async function products(): Promise<void> {
  const espresso: Schemas["ProductDescription"] = {
    name: "Espresso",
    categories: ["Coffee"],
    price: { amount: 1890, currency: "EUR" },
  };
  const path = { productId: "espresso" };
  const put: Schemas["Product"] = await checked(
    client.PUT("/products/{productId}", { params: { path }, body: espresso }),
    201,
  );
  check(put.available && put.price?.amount === 1890, "what is left out has its default");
  // With nothing but what is required.
  await checked(client.PUT("/products", { params: { query: { productId: odd } }, body: { name: "Cheese" } }), 201);
  for (const n of [0, 1, 2]) {
    const description = { name: `Milk ${n}`, categories: ["Milk"] };
    await checked(
      client.PUT("/products/{productId}", { params: { path: { productId: `milk-${n}` } }, body: description }),
      201,
    );
  }
  const page = await checked(client.GET("/products", { params: { query: { limit: 2 } } }), 200);
  check("items" in page && page.items.length === 2 && page.cursor !== undefined, "a page and a cursor");
  const one = await checked(client.GET("/products", { params: { query: { productId: odd } } }), 200);
  check("productId" in one && one.productId === odd, "a product");
  const missing = await client.GET("/products/{productId}", { params: { path: { productId: "no-such" } } });
  check(missing.response.status === 404, "an unknown product");
  check(missing.error !== undefined && "code" in missing.error, "problem details");
  check(missing.error.code === "product_not_found", "their code");
}

async function purchases(): Promise<void> {
  for (let user = 0; user < 20; user++) {
    for (let order = 0; order < 3; order++) {
      const purchase: Schemas["NewPurchase"] = {
        purchaseId: `order-${order}`,
        userId: `user-${user}`,
        lines: [
          { productId: "espresso", quantity: 1 },
          { productId: `milk-${(user + order) % 3}`, quantity: 2, unitPrice: { amount: 199, currency: "EUR" } },
        ],
      };
      const stored: Schemas["Purchase"] = await checked(client.POST("/purchases", { body: purchase }), 201);
      check(stored.purchasedAt.endsWith("Z"), "a time");
    }
  }
  const path = { userId: "user-0" };
  const page = await checked(client.GET("/users/{userId}/purchases", { params: { path } }), 200);
  check(page.items.length === 3, "purchases");
  const removed = await client.DELETE("/users/{userId}/purchases/{purchaseId}", {
    params: { path: { userId: "user-0", purchaseId: "order-2" } },
  });
  check(removed.response.status === 204, "removed");
}

async function ended(jobId: string): Promise<Schemas["JobView"]> {
  for (let attempt = 0; attempt < 600; attempt++) {
    const job = await checked(client.GET("/jobs/{jobId}", { params: { path: { jobId } } }), 200);
    if (job.state !== "waiting" && job.state !== "running") return job;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${jobId} does not end`);
}

async function jobs(): Promise<void> {
  const body: Schemas["NewJob"] = { kind: "train" };
  const job = await checked(client.POST("/jobs", { body }), 202);
  check("jobId" in job, "a job, and not what it would take");
  const view = await ended(job.jobId);
  check(view.state === "succeeded" && view.failures.length + view.log.length === 0, JSON.stringify(view));
  const listed = await checked(client.GET("/jobs", {}), 200);
  check(listed.items.some((one) => one.jobId === job.jobId), "the list of jobs");
  const models = await checked(client.GET("/models", {}), 200);
  const live = models.items.find((model) => model.live);
  check(live !== undefined, "a live model");
  await checked(client.PUT("/models/current", { body: { version: live.version } }), 200);
}

async function recommendations(): Promise<void> {
  const path = { userId: "user-1" };
  const mine: Schemas["Answer"] = await checked(
    client.GET("/users/{userId}/recommendations", { params: { path, query: { limit: 3, exclude: ["milk-0"] } } }),
    200,
  );
  const reason = mine.items[0]?.reasons[0];
  check(reason !== undefined && mine.items.every((item) => item.productId !== "milk-0"), JSON.stringify(mine));
  if (reason.kind === "boughtAgain") check(reason.times >= 1, "evidence, by the kind of reason");
  const ask: Schemas["BasketAsk"] = {
    basket: ["espresso"],
    exclude: ["milk-0"],
    filter: { categories: ["Milk"] },
    boost: [{ category: "Milk", factor: 2 }, { productId: "milk-1", factor: 0.5 }],
  };
  const cart = await checked(client.POST("/recommendations", { body: ask }), 200);
  check(cart.items.length === 2, JSON.stringify(cart));
  await checked(client.POST("/recommendations", { body: {} }), 200);
  const productId = "espresso";
  await checked(
    client.GET("/products/{productId}/related", { params: { path: { productId }, query: { kind: "similar" } } }),
    200,
  );
  await checked(client.GET("/products/related", { params: { query: { productId: odd } } }), 200);
  await checked(client.GET("/products/popular", { params: { query: { window: "all" } } }), 200);
}

async function end(): Promise<void> {
  const erased = await client.DELETE("/users/{userId}", { params: { path: { userId: "user-0" } } });
  check(erased.response.status === 202, "erased");
  const path = { userId: "user-0" };
  const left = await checked(client.GET("/users/{userId}/purchases", { params: { path } }), 200);
  check(left.items.length === 0, "nothing left");
  const deleted = await client.DELETE("/products", { params: { query: { productId: odd } } });
  check(deleted.response.status === 204, "deleted");
}

for (const part of [products, purchases, jobs, recommendations, end]) {
  await part();
  console.log(`typescript client: ${part.name}`);
}
