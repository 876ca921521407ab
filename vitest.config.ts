import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/support/sequencer.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global.ts"],
    testTimeout: 30_000,
    hookTimeout: 120_000,
    // Servers, programs and browsers on a shared machine: once may be the machine, three times is us.
    retry: 2,
    // Two cores; every third file waits for a clock or a program.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    // Pages in a browser on a busy machine: one second is not enough.
    expect: { poll: { timeout: 10_000 } },
  },
});
