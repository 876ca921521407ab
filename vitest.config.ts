import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global.ts"],
    testTimeout: 30_000,
    hookTimeout: 120_000,
    // Servers, programs and browsers on a shared machine: once may be the machine, three times is us.
    retry: 2,
    // Two cores: more workers than that only makes real servers time out.
    maxWorkers: 2,
    // Pages in a browser on a busy machine: one second is not enough.
    expect: { poll: { timeout: 10_000 } },
  },
});
