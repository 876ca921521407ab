import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config/index.ts";
import { databaseUrlLine, envFile, psqlLine } from "../../src/demo/connect.ts";
import { supportAgent } from "../../src/demo/people.ts";
import { seeded } from "../../src/demo/random.ts";
import { demoConfig, demoPolicy } from "../../src/demo/settings.ts";
import { freePort, openState } from "../../src/demo/state.ts";
import { cut } from "../../src/demo/story.ts";
import { canEnter, type OsUser, postgresUser } from "../../src/demo/user.ts";
import { loadPolicy } from "../../src/policy/index.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "postern-demo-test-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe("the demo's folder", () => {
  it("keeps a secret from start to start, readable by nobody else", () => {
    const first = openState(folder);
    const { value, file } = first.secret("shop_reader");
    first.close();
    const second = openState(folder);
    expect(second.secret("shop_reader").value).toBe(value);
    expect(second.secret("shop_writer").value).not.toBe(value);
    expect(value).toMatch(/^[\w-]{32}$/);
    if (process.platform !== "win32") {
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(statSync(join(second.dir, "secrets")).mode & 0o777).toBe(0o700);
    }
    second.close();
  });

  it("is used by one demo at a time", () => {
    const first = openState(folder);
    expect(() => openState(folder)).toThrow(/another demo is running/);
    first.close();
    openState(folder).close();
  });

  it("writes files whole, and tells what is not there", () => {
    const state = openState(folder);
    expect(state.read("postern.yaml")).toBeNull();
    state.write("postern.yaml", "version: 1\n");
    state.write("postern.yaml", "version: 2\n");
    expect(state.read("postern.yaml")).toBe("version: 2\n");
    state.close();
  });
});

describe("ports", () => {
  it("are taken as wished when free, else another", async () => {
    const server = createServer();
    const taken = await new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address();
        resolve(typeof address === "object" && address !== null ? address.port : 0);
      });
    });
    const other = await freePort(taken);
    expect(other).not.toBe(taken);
    expect(other).toBeGreaterThan(0);
    await new Promise((resolve) => server.close(resolve));
    expect(await freePort(taken)).toBe(taken);
  });
});

describe.runIf(process.platform !== "win32")("the database's OS user", () => {
  const stranger: OsUser = { name: "stranger", uid: 4_000_001, gid: 4_000_001 };

  it("can enter only where the mode bits of the folder and all above let it", () => {
    const inner = join(folder, "inner");
    mkdirSync(inner, { mode: 0o755 });
    chmodSync(folder, 0o700);
    expect(canEnter(inner, stranger)).toBe(false);
    chmodSync(folder, 0o711);
    expect(canEnter(inner, stranger)).toBe(true);
    chmodSync(inner, 0o750);
    expect(canEnter(inner, stranger)).toBe(false);
    const { uid, gid } = statSync(inner);
    expect(canEnter(inner, { ...stranger, gid })).toBe(true);
    chmodSync(inner, 0o055);
    expect(canEnter(inner, { name: "owner", uid, gid })).toBe(false);
  });

  it("is looked up in the user list when this process is root", () => {
    const list = join(folder, "passwd");
    writeFileSync(
      list,
      "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/root:/bin/sh\nweb:x:33:33::/:/bin/sh\nnobody:x:65534:65533::/:/bin/false\n",
    );
    if (process.getuid?.() !== 0) {
      expect(postgresUser(list)).toBeNull();
      return;
    }
    expect(postgresUser(list)).toEqual({ name: "nobody", uid: 65_534, gid: 65_533 });
    writeFileSync(list, "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/:/bin/sh\n");
    expect(postgresUser(list)).toEqual({ name: "web", uid: 33, gid: 34 });
    writeFileSync(list, "root:x:0:0::/root:/bin/sh\n");
    expect(() => postgresUser(list)).toThrow(/does not run as root/);
  });
});

describe("connection lines", () => {
  const endpoint = { host: "127.0.0.1", port: 6432, database: "shop" };

  it("are complete as they stand", () => {
    expect(psqlLine(supportAgent, endpoint, "a.b-_.c", "linux")).toBe(
      'PGPASSWORD=a.b-_.c psql "postgresql://agent-support@127.0.0.1:6432/shop?sslmode=disable"',
    );
    expect(psqlLine(supportAgent, endpoint, "a.b.c", "win32")).toMatch(/^\$env:PGPASSWORD="a\.b\.c"; psql "/);
    const line = databaseUrlLine(supportAgent, endpoint, "a.b-_.c");
    const url = new URL(/"(.*)"/.exec(line)?.[1] ?? "");
    expect([url.username, url.password, url.host, url.pathname]).toEqual([
      "agent-support",
      "a.b-_.c",
      "127.0.0.1:6432",
      "/shop",
    ]);
    expect(envFile(supportAgent, endpoint, "a.b.c")).toContain("\nPGPASSWORD=a.b.c\nDATABASE_URL=");
  });
});

describe("the written settings", () => {
  it("are ones that the gateway accepts without a warning", async () => {
    const state = openState(folder);
    for (const role of ["shop_reader", "shop_writer", "shop_admin", "client-postern-console"])
      state.secret(role);
    state.write("policy.yaml", demoPolicy());
    expect(loadPolicy([{ file: "policy.yaml", text: demoPolicy() }]).labels.length).toBeGreaterThan(0);
    const text = demoConfig({ gateway: 6432, http: 8432, postgres: 54_321 }, "http://127.0.0.1:9432");
    const settings = await parseConfig(text, state.write("postern.yaml", text));
    expect(settings.warnings).toEqual([]);
    expect(settings.gateway.listeners.map((l) => l.address)).toEqual([{ host: "127.0.0.1", port: 6432 }]);
    const logins = settings.gateway.databases[0]?.logins ?? [];
    expect(logins.map((login) => login.user)).toEqual(["shop_admin", "shop_writer", "shop_reader"]);
    expect(await logins[2]?.password?.read()).toBe(state.secret("shop_reader").value);
    expect(settings.audit.dir).toBe(join(state.dir, "audit"));
    state.close();
  });
});

describe("small tools", () => {
  it("draws the same numbers from the same seed, within bounds", () => {
    const draw = () => {
      const random = seeded(7);
      return Array.from({ length: 1000 }, () => random.int(3, 9));
    };
    expect(draw()).toEqual(draw());
    expect(new Set(draw())).toEqual(new Set([3, 4, 5, 6, 7, 8, 9]));
    expect(() => seeded(1).pick([])).toThrow(RangeError);
  });

  it("cuts text to one line of a length", () => {
    expect(cut("SELECT\n  1", 20)).toBe("SELECT 1");
    expect(cut("abcdefghij", 8)).toBe("abcde...");
  });
});
