// Starts the real command twice, on any free port: with the generated shop, and empty with items that may be changed.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The table that tests write items into. */
export const ITEMS_TABLE = "browser-items";
const STARTED_WITHIN_MS = 600_000;

interface Server {
  process: ChildProcess;
  /** The address that the command printed for the console, with the session's secret. */
  link: string;
}

export default async function start(): Promise<() => Promise<void>> {
  const binary = process.env.NEXTBASKET;
  if (binary === undefined)
    throw new Error("NEXTBASKET: not set. Name a built nextbasket, such as target/debug/nextbasket.");
  // A folder, so that commands can work beside the server.
  const data = mkdtempSync(join(tmpdir(), "nextbasket-console-"));
  const started = await Promise.allSettled([
    serve(binary, ["demo", "--listen", "127.0.0.1:0"]),
    serve(binary, [
      "serve",
      "--data",
      data,
      "--writable",
      "--listen",
      "127.0.0.1:0",
      "--dynamodb-listen",
      "127.0.0.1:0",
    ]),
  ]);
  const servers = started.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  process.once("SIGTERM", () => {
    for (const { process: child } of servers) child.kill("SIGKILL");
    process.exit(143);
  });
  const stop = async () => {
    await Promise.all(servers.map(end));
    rmSync(data, { recursive: true, force: true });
  };
  const failed = started.find((one) => one.status === "rejected");
  const [shop, empty] = servers;
  if (failed || !shop || !empty) {
    await stop();
    throw failed?.reason ?? new Error("no server");
  }
  createTable(binary, data);
  process.env.CONSOLE_SHOP = shop.link;
  process.env.CONSOLE_EMPTY = empty.link;
  process.env.CONSOLE_DATA = data;
  return stop;
}

/** A table beside the shop's own ones, in which items may be as they want. */
function createTable(binary: string, data: string): void {
  const items = join(data, "items.jsonl");
  writeFileSync(items, `${JSON.stringify({ productId: "first" })}\n`);
  const keys = ["--create", "--keys", "productId:S"];
  execFileSync(binary, ["restore", items, ITEMS_TABLE, ...keys, "--data", data], { stdio: "pipe" });
}

function serve(binary: string, args: string[]): Promise<Server> {
  const child = spawn(binary, args, { stdio: ["ignore", "pipe", "pipe"] });
  return new Promise((resolve, reject) => {
    let printed = "";
    const failed = (why: string) => {
      child.kill("SIGKILL");
      reject(new Error(`nextbasket ${args.join(" ")}: ${why}\n${printed.slice(-2_000)}`));
    };
    const timer = setTimeout(() => failed("did not print a link to its console in time"), STARTED_WITHIN_MS);
    const read = (chunk: Buffer) => {
      printed += chunk.toString();
      const link = /(http:\S+\/console\/#session=\S+)\s/.exec(printed)?.[1];
      if (link === undefined) return;
      clearTimeout(timer);
      resolve({ process: child, link });
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("error", (error) => failed(error.message));
    child.on("exit", (code) => failed(`ended with ${code}`));
  });
}

function end({ process: child }: Server): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.removeAllListeners("exit");
    child.on("exit", () => resolve());
    child.kill("SIGTERM");
  });
}
