import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: "test/shared_server.ts",
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Servers have to have a core.
    maxWorkers: 2,
  },
});
