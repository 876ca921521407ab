/** `postern approvals` and `postern access`, as programs, against a room of real approvals behind the paths of the REST API. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  ApprovalError,
  ApprovalRefused,
  type Approver,
  defaultApprovalSettings,
  requesterOf,
} from "../../src/approvals/index.ts";
import { inPlace } from "../../src/cli/approvals/inplace.ts";
import { agent, ask, demand, principal, type Room, room, steward } from "../approvals/support.ts";
import { folder, postern, startPostern } from "./support.ts";

// Each run of the program takes a second or two on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

let r: Room;
let server: Server;
let url: string;
/** Who each token is. */
const people: Record<string, Approver> = {
  ann: steward("ann"),
  stale: { ...steward("sue"), authTime: null },
  eve: { principal: principal("eve"), authTime: null },
};

async function answer(req: IncomingMessage, body: string): Promise<[status: number, body: unknown]> {
  const caller = people[req.headers.authorization?.replace(/^Bearer /, "") ?? ""];
  if (caller === undefined)
    return [401, { error: { code: "UNAUTHENTICATED", message: "the token is not accepted" } }];
  const { pathname, searchParams } = new URL(req.url ?? "/", url);
  const { approvals } = r;
  const [, , what, id = "", verb] = pathname.split("/");
  const given = body === "" ? {} : JSON.parse(body);
  try {
    if (what === "access") return [200, await approvals.requestAccess(caller.principal, given)];
    if (what === "grants") {
      const { items } = await approvals.list({ state: "decided", kind: "access", limit: 10 });
      const grants = items.map((one) => ({
        id: one.id,
        principal: one.requester,
        group: one.access?.group,
        database: one.database,
        until: one.expires,
        reason: one.access?.reason,
      }));
      return [200, { items: grants, next: null }];
    }
    if (id === "") {
      const state = searchParams.get("state") === "decided" ? "decided" : "pending";
      const limit = Number(searchParams.get("limit"));
      return [200, await approvals.list({ state, limit, after: searchParams.get("after") })];
    }
    if (verb === "approve" || verb === "deny") return [200, await approvals.decide(id, caller, verb, given)];
    if (verb === "revoke") return [200, await approvals.revoke(id, caller, given.reason)];
    if (verb === "preview") {
      const preview = {
        time: new Date().toISOString(),
        by: caller.principal.subject,
        rowsAffected: 2,
        sample: {
          columns: [{ name: "note", type: "text", masked: false }],
          before: [["\u001b[31mold"]],
          after: [[null]],
          truncated: true,
        },
        notes: ["a sequence moved on"],
        refused: null,
      };
      await approvals.setPreview(id, preview);
      return [200, preview];
    }
    const found = await approvals.get(id);
    return found === null
      ? [404, { error: { code: "NOT_FOUND", message: "there is no such approval" } }]
      : [200, found];
  } catch (error) {
    if (!(error instanceof ApprovalError || error instanceof ApprovalRefused)) throw error;
    const code = error.code === "STEP_UP_REQUIRED" ? error.code : "FORBIDDEN";
    return [403, { error: { code, reason: error.code, message: error.message, login: "/login?step_up=1" } }];
  }
}

beforeEach(async () => {
  r = await room({
    settings: {
      ...defaultApprovalSettings,
      access: [
        {
          groups: ["oncall"],
          databases: ["*"],
          approvers: { groups: ["data-stewards"], count: 1, withinMs: 60_000 },
          maxSeconds: 3600,
          requesters: null,
        },
      ],
    },
  });
  server = createServer((req, res) => {
    const parts: Buffer[] = [];
    req.on("data", (part: Buffer) => parts.push(part));
    req.on("end", async () => {
      if (req.url === "/api/events") {
        res.writeHead(200, { "content-type": "text/event-stream" });
        res.write(": hello\n\n");
        const stop = r.approvals.changed((one) =>
          res.write(`id: 1\nevent: approval\ndata: ${JSON.stringify({ id: one.id })}\n\n`),
        );
        res.on("close", stop);
        return;
      }
      const [status, body] = await answer(req, Buffer.concat(parts).toString("utf8"));
      res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await r.close();
});

const run = (token: string, ...args: string[]) =>
  postern([...args, "--url", url], { env: { POSTERN_TOKEN: token } });

describe("postern approvals", () => {
  test("list, show with a preview, approve, and what became of it", async () => {
    const asked = await r.approvals.request(
      ask({ warnings: [{ code: "TRIGGER", text: "runs audit()", object: null }] }),
    );
    const list = await run("ann", "approvals", "list");
    expect(list.code).toBe(0);
    expect(list.stdout).toContain(asked.id);
    expect(list.stdout).toContain("UPDATE public.customers");

    const shown = await run("ann", "approvals", "show", asked.id, "--preview");
    expect(shown.code).toBe(0);
    expect(shown.stdout).toContain("| update customers set note = '4111 1111 1111 1111' where id = 7");
    expect(shown.stdout).toContain("$1 int4 = 7");
    expect(shown.stdout).toMatch(/intent \* +tidy up/);
    expect(shown.stdout).toContain("runs audit() (TRIGGER)");
    expect(shown.stdout).toContain("2 rows (run and rolled back");
    expect(shown.stdout).not.toContain("\u001b");
    expect(shown.stdout).toContain("1 of data-stewards (writes-need-a-person)");

    const approved = await run("ann", "approvals", "approve", asked.id, "--reason", "looks right", "--json");
    expect(approved.code).toBe(0);
    expect(JSON.parse(approved.stdout)).toMatchObject({
      state: "approved",
      votes: [{ reason: "looks right" }],
    });
    const decided = await run("ann", "approvals", "list", "--state", "decided", "--json");
    expect(JSON.parse(decided.stdout)).toMatchObject({ id: asked.id, state: "approved" });
  });

  test("a kept token alone decides nothing", async () => {
    const { id } = await r.approvals.request(ask());
    const refused = await run("stale", "approvals", "approve", id);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("STEP_UP_REQUIRED");
    expect(refused.stderr).toContain("postern login");
    expect((await r.approvals.get(id))?.state).toBe("pending");
  });

  test("deny needs a reason; for a shape both bounds are needed", async () => {
    const first = await r.approvals.request(ask());
    expect((await run("ann", "approvals", "deny", first.id)).code).toBe(2);
    const denied = await run("ann", "approvals", "deny", first.id, "--reason", "wrong row");
    expect(denied.stdout).toBe(`${first.id} is denied\n`);
    expect((await run("ann", "approvals", "approve", first.id)).code).toBe(1);
    const second = await r.approvals.request(ask());
    expect((await run("ann", "approvals", "approve", second.id, "--uses", "3")).code).toBe(2);
    const shape = await run("ann", "approvals", "approve", second.id, "--uses", "3", "--for", "2h");
    expect(shape.stdout).toBe(`${second.id} is approved for 3 uses in 2h\n`);
    const back = await run("ann", "approvals", "revoke", second.id, "--reason", "enough");
    expect(back.stdout).toBe(`${second.id} is revoked\n`);
  });

  test("a quorum that is not reached yet is told", async () => {
    const { id } = await r.approvals.request(ask({ demands: [demand({ count: 2 })] }));
    expect((await run("ann", "approvals", "approve", id)).stdout).toBe(
      `${id} waits for 1 more of data-stewards\n`,
    );
  });

  test("watch tells of what waits, and of what comes", async () => {
    const first = await r.approvals.request(ask());
    const watching = startPostern(["approvals", "watch", "--json", "--url", url], {
      env: { POSTERN_TOKEN: "ann" },
    });
    await watching.printed(new RegExp(`"id":"${first.id}"`));
    const second = await r.approvals.request(ask({ requester: requesterOf({ ...agent, subject: "other" }) }));
    await watching.printed(new RegExp(`"id":"${second.id}"`));
    await r.approvals.decide(second.id, steward(), "deny", { reason: "no" });
    await watching.printed(/"state":"denied"/);
    watching.child.kill("SIGTERM");
    const { code, stdout } = await watching.ended;
    expect(code).toBe(0);
    const told = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(told.map(({ id, state }) => [id, state])).toEqual([
      [first.id, "pending"],
      [second.id, "pending"],
      [second.id, "denied"],
    ]);
  });

  test("exit codes: refused 1, usage 2, not reached 3; the token comes from a file, too", async () => {
    expect((await run("nobody", "approvals", "list")).code).toBe(1);
    expect((await run("ann", "approvals", "show", crypto.randomUUID())).code).toBe(1);
    expect((await run("ann", "approvals", "list", "--state", "odd")).code).toBe(2);
    expect((await run("ann", "approvals", "nope")).code).toBe(2);
    expect((await run("", "approvals", "list")).code).toBe(2);
    const env = { POSTERN_TOKEN: "ann" };
    expect((await postern(["approvals", "list", "--url", "http://127.0.0.1:9"], { env })).code).toBe(3);
    const plain = await postern(["approvals", "list", "--url", "http://192.0.2.1"], { env });
    expect(plain.code).toBe(2);
    const place = folder();
    const file = place.write("token", "ann\n");
    expect((await postern(["approvals", "list", "--url", url, "--token", file])).code).toBe(0);
    place.remove();
  });
});

test("postern access: asked for, granted, listed, revoked", async () => {
  const asked = await run(
    "eve",
    "access",
    "request",
    "shop",
    "--group",
    "oncall",
    "--for",
    "30m",
    "--reason",
    "pager",
  );
  expect(asked.code).toBe(0);
  const [id = ""] = asked.stdout.split(" ");
  expect(asked.stdout).toContain(`https://postern.example/approvals/${id}`);
  expect(
    (await run("eve", "access", "request", "shop", "--group", "root", "--for", "30m", "--reason", "x"))
      .stderr,
  ).toContain("ACCESS_NOT_OFFERED");
  expect(
    (await run("eve", "access", "request", "shop", "--group", "oncall", "--for", "soon", "--reason", "x"))
      .code,
  ).toBe(2);
  expect((await run("eve", "approvals", "approve", id)).stderr).toContain("SELF_APPROVAL");
  expect((await run("ann", "approvals", "approve", id)).stdout).toContain("group oncall until");
  expect((await run("eve", "access", "list")).stdout).toMatch(/eve +oncall +shop +\d+m +pager/);
  expect((await run("ann", "access", "revoke", id, "--reason", "over")).stdout).toBe(`${id} is revoked\n`);
});

test("parameters in place: only where a parameter stands", () => {
  const parameters = [
    { type: "text", text: "it's" },
    { type: "int4", text: "-7" },
    { type: "text", text: null },
    { type: "bytea", text: undefined, bytes: "AAE=" },
    { type: "int4", text: "1; drop table x" },
  ];
  expect(inPlace(`select $1, '$2', "$2", $2, $3, $4 -- $1\n, $$ $1 $$, $5, $6`, parameters)).toBe(
    `select 'it''s', '$2', "$2", -7, NULL, 'base64:AAE='::bytea -- $1\n, $$ $1 $$, '1; drop table x', $6`,
  );
  expect(inPlace("select $1 'unterminated", parameters)).toBe("select $1 'unterminated");
});
