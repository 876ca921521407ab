import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startBackground } from "../../src/audit/background.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "postern-background-"));
  // It says which thread it is, and leaves a mark when it starts.
  writeFileSync(
    join(dir, "echo.ts"),
    `import { appendFileSync } from "node:fs";
     import { parentPort, threadId, workerData } from "node:worker_threads";
     appendFileSync(workerData, "started\\n");
     parentPort.on("message", (message) => {
       if (message === "end") parentPort.close();
       else if (message === "fall") throw new Error("fell");
       else parentPort.postMessage({ threadId, message });
     });`,
  );
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

interface Echo {
  readonly threadId: number;
  readonly message: string;
}

function open(onDemand: boolean) {
  const mark = join(dir, "mark");
  const waiting: ((value: Echo | string) => void)[] = [];
  const heard: (Echo | string)[] = [];
  const take = (value: Echo | string) => {
    const next = waiting.shift();
    if (next === undefined) heard.push(value);
    else next(value);
  };
  const background = startBackground<Echo>({
    file: "./echo",
    base: pathToFileURL(join(dir, "base.ts")).href,
    name: "echo",
    data: mark,
    onDemand,
    onMessage: take,
    onProblem: take,
  });
  const next = () =>
    new Promise<Echo | string>((resolve) => {
      const first = heard.shift();
      if (first === undefined) waiting.push(resolve);
      else resolve(first);
    });
  return { background, next, started: () => existsSync(mark) };
}

describe("a thread on demand", () => {
  test("starts with the first message, ends at rest, and starts again with the next", async () => {
    const { background, next, started } = open(true);
    const idle = open(false);
    idle.background.post("one");
    await idle.next();
    await idle.background.close("end");
    rmSync(join(dir, "mark"));
    // The other had time to start meanwhile, and did not.
    expect(started()).toBe(false);
    background.post("one");
    const one = (await next()) as Echo;
    background.post("two");
    expect(await next()).toEqual({ threadId: one.threadId, message: "two" });
    background.rest("end");
    background.post("three");
    const three = (await next()) as Echo;
    expect(three.message).toBe("three");
    expect(three.threadId).not.toBe(one.threadId);
    expect(background.restarts).toBe(0);
    await background.close("end");
    background.post("four");
    expect(background.restarts).toBe(0);
  });

  test("that fell is there again for the next message", async () => {
    const { background, next } = open(true);
    background.post("fall");
    expect(await next()).toBe("fell");
    // Its end is told after its error; what is posted in between would be lost.
    await new Promise((resolve) => setImmediate(resolve));
    while (background.restarts === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    background.post("one");
    expect(await next()).toMatchObject({ message: "one" });
    await background.close("end");
  });
});
