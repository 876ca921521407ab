import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { verifyLog } from "../../src/audit/verify/index.ts";
import type { Durability } from "../../src/facts/audit.ts";
import { leaves, open, place } from "./helpers.ts";

/** More of them on request: CRASH_ROUNDS=200 npx vitest run test/audit/crash */
const rounds = Number(process.env.CRASH_ROUNDS ?? 6);

/** Lets a process write for `ms` after its first acknowledgement, kills it, and gives what it was acknowledged. */
async function writeAndKill(settings: object, level: Durability, ms: number): Promise<string[]> {
  const script = fileURLToPath(new URL("./writer.ts", import.meta.url));
  const child = spawn(process.execPath, [script, JSON.stringify(settings), level], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  await once(child.stdout, "data");
  await new Promise((resolve) => setTimeout(resolve, ms));
  child.kill("SIGKILL");
  await once(child, "close");
  return text.split("\n").slice(0, -1);
}

describe.each(["process", "disk"] as const)("kill -9 at random moments, %s", (level) => {
  test("loses no acknowledged record; the next open repairs the log and resolves every intent", {
    timeout: 60_000 + rounds * 5000,
  }, async () => {
    const at = place(level);
    try {
      const acknowledged: string[] = [];
      for (let round = 0; round < rounds; round++) {
        acknowledged.push(...(await writeAndKill(at.settings, level, Math.random() * 120)));
        const before = verifyLog(at.dir);
        // Before repair: whole, or cut off at its very end.
        expect(before.ok || before.firstBadPlace?.torn, JSON.stringify(before.firstBadPlace)).toBe(true);
        const log = await open(at);
        await log.close();
        expect(verifyLog(at.dir)).toMatchObject({ ok: true, unsignedTail: null });
      }
      const all = leaves(at);
      const intents = new Map(all.flatMap((l, i) => (l.type === "statement.intent" ? [[l.request, i]] : [])));
      const outcomes = all.filter((l) => l.type === "statement.outcome");
      const resolved = new Map(outcomes.map((l) => [l.intent.index, l.status]));
      expect(acknowledged.length).toBeGreaterThan(rounds * 4);
      for (const line of acknowledged) {
        const [kind, request = ""] = line.split(" ");
        const index = intents.get(request);
        expect(index, line).toBeDefined();
        if (kind === "O") expect(resolved.get(index), line).toBe("ok");
      }
      // One outcome for each intent, never two; what nobody saw is unknown.
      expect(outcomes.length).toBe(intents.size);
      expect([...resolved.keys()].sort((a, b) => a - b)).toEqual([...intents.values()].sort((a, b) => a - b));
      expect(all.filter((l) => l.type === "log.opened").length).toBe(rounds * 2);
    } finally {
      at.remove();
    }
  });
});
