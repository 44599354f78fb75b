import { execFileSync } from "node:child_process";
import type { Session } from "../src/console-api";
import { type Console, expect, test } from "./console";

interface Job {
  state: string;
  failure?: string;
}

/** Runs a job to its end. */
async function run(console: Console, kind: string, parameters: unknown): Promise<void> {
  const { jobId } = await console.call<{ jobId: string }>("POST", "/jobs", { kind, parameters });
  await expect
    .poll(async () => (await console.call<Job>("GET", `/jobs/${jobId}`)).state, { timeout: 60_000 })
    .not.toMatch(/waiting|running/);
  const job = await console.call<Job>("GET", `/jobs/${jobId}`);
  expect(job.state, job.failure).toBe("succeeded");
}

const command = (args: string[]) => {
  const { NEXTBASKET = "", CONSOLE_DATA = "" } = process.env;
  return execFileSync(NEXTBASKET, [...args, "--data", CONSOLE_DATA], { encoding: "utf8", stdio: "pipe" });
};

test("a dump is listed when it is complete, verified, and offered for a restore", async ({ empty }) => {
  const { page } = empty;
  await empty.open();
  await empty.call("PUT", "/products/dumped", { name: "Dumped" });
  const { buckets, tables } = await empty.call<Session>("GET", "/console/api/session");
  await run(empty, "dump", { table: tables.products, to: `s3://${buckets.dumps}/browser` });
  await empty.go("dumps");
  const row = page
    .getByRole("region", { name: /Dumps, archives/ })
    .getByRole("row")
    .filter({ hasText: "/browser/" });
  await expect(row).toHaveCount(1);
  await expect(row).toContainText("complete");
  await expect(row).toContainText("never");
  const location = await row.locator("code").innerText();
  await run(empty, "verify", { dump: location });
  await empty.go("overview");
  await empty.go("dumps");
  await expect(row).toContainText("equal");

  await row.getByRole("link", { name: /Restore/ }).click();
  await empty.settled();
  await expect(page.getByRole("main")).toContainText(/restore/i);
  expect(decodeURIComponent(page.url())).toContain(location);
});

test("a lock is shown with its holder while it is held, and can be broken when it has expired", async ({ empty }) => {
  const { page } = empty;
  await empty.open("dumps");
  command(["lock", "acquire", "browser-held", "--holder", "the test", "--lease", "10m", "--note", "on purpose"]);
  command(["lock", "acquire", "browser-dead", "--holder", "a dead one", "--lease", "1s"]);
  const locks = page.getByRole("region", { name: "Locks" });
  const held = locks.getByRole("row").filter({ hasText: "browser-held" });
  await expect(held).toContainText("the test");
  await expect(held).toContainText("on purpose");
  await expect(held.getByRole("button")).toHaveCount(0);
  const dead = locks.getByRole("row").filter({ hasText: "browser-dead" });
  await expect(dead).toContainText("expired");
  await dead.getByRole("button", { name: "Break the lock browser-dead" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Break" }).click();
  await expect(dead).toHaveCount(0);
  await expect(held).toHaveCount(1);
});
