import { defineConfig } from "@playwright/test";

// Debian's browser: none is downloaded. It runs as root in containers, and asks nothing of the network.
const chromium = {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
};

export default defineConfig({
  testDir: "tests",
  outputDir: process.env.CONSOLE_TEST_OUTPUT ?? "node_modules/.cache/playwright",
  globalSetup: "./tests/servers.ts",
  // One server with the generated shop is enough for all: tests that change something have users and tables of their own.
  fullyParallel: true,
  workers: 2,
  forbidOnly: process.env.CI !== undefined,
  // A machine that builds beside the browser may stall it; what passes at a second try is reported as flaky.
  retries: process.env.CI !== undefined ? 1 : 0,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  reporter: [["list"]],
  use: {
    launchOptions: chromium,
    locale: "en-GB",
    timezoneId: "UTC",
    colorScheme: "light",
    viewport: { width: 1440, height: 900 },
    trace: "retain-on-failure",
  },
});
