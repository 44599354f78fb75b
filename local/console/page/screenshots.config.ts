import { defineConfig } from "@playwright/test";
import base from "./playwright.config";

export default defineConfig(base, {
  testDir: "screenshots",
  workers: 1,
  fullyParallel: false,
  use: { viewport: { width: 1200, height: 800 }, trace: "off" },
});
