/** Webhooks as an outside server gets them: shapes, signatures, what they never say. */
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  createWebhooks,
  defaultApprovalSettings,
  requesterOf,
  type WebhookSettings,
  type Webhooks,
} from "../../src/approvals/index.ts";
import { webhookSignature } from "../../src/audit/index.ts";
import { agent, ask, demand, principal, type Room, room, secretValue, steward } from "./support.ts";

/** What the three shapes hold between them. */
interface Body {
  readonly type: string;
  readonly approvals: readonly { readonly id: string }[];
  readonly more: number;
  readonly text: string;
  readonly blocks: readonly { readonly type: string; readonly elements?: readonly unknown[] }[];
  readonly attachments: readonly {
    readonly contentType: string;
    readonly content: {
      readonly body: readonly { readonly type: string; readonly text?: string }[];
      readonly actions: readonly unknown[];
    };
  }[];
}

interface Got {
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
  readonly json: Body;
}

const key = "whsec-test";
let server: Server;
let url: string;
let got: Got[];
let answer: (res: ServerResponse, count: number) => void;
let webhooks: Webhooks | null;
let failures: [name: string, why: string, lost: boolean][];
let r: Room | null;

beforeEach(async () => {
  got = [];
  failures = [];
  webhooks = null;
  r = null;
  answer = (res) => res.writeHead(204).end();
  server = createServer((req, res) => {
    const parts: Buffer[] = [];
    req.on("data", (part: Buffer) => parts.push(part));
    req.on("end", () => {
      const body = Buffer.concat(parts).toString("utf8");
      got.push({ headers: req.headers, body, json: JSON.parse(body) as Body });
      answer(res, got.length);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
});
afterEach(async () => {
  await r?.close();
  await webhooks?.close();
  server.closeAllConnections();
  server.close();
});

const source = (text: string) => ({ label: "test", read: async () => text });
function hook(shape: WebhookSettings["shape"], more: Partial<WebhookSettings> = {}): WebhookSettings {
  return {
    name: `${shape}-1`,
    url: source(url),
    secret: source(key),
    shape,
    events: ["requested", "decided", "expired", "break_glass", "access", "revoked"],
    ...more,
  };
}

async function start(hooks: WebhookSettings[], groupMs = 50): Promise<Room> {
  const made = createWebhooks(hooks, {
    sign: webhookSignature,
    failed: (...failure) => failures.push(failure),
    firstWaitMs: 5,
    groupMs,
  });
  webhooks = made;
  const access = {
    groups: ["oncall"],
    databases: ["*"],
    approvers: { groups: ["data-stewards"], count: 1, withinMs: 60_000 },
    maxSeconds: 3600,
    requesters: null,
  };
  r = await room({
    notify: (event, approval) => made.tell(event, approval),
    settings: { ...defaultApprovalSettings, maxPendingPerPrincipal: 100, access: [access] },
  });
  return r;
}

async function arrived(count: number): Promise<void> {
  const end = Date.now() + 10_000;
  while (got.length < count) {
    if (Date.now() > end) throw new Error(`only ${got.length} of ${count} arrived`);
    await sleep(5);
  }
}

/** As a receiver would check it, from the documentation alone. */
function isSigned({ headers, body }: Got): boolean {
  const match = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers["postern-signature"]));
  if (match === null) return false;
  const mac = createHmac("sha256", key).update(`${match[1]}.${body}`).digest("hex");
  return mac === match[2] && Math.abs(Date.now() / 1000 - Number(match[1])) < 60;
}

/** A statement that tries to look like something else. */
const hostile = {
  ...ask(),
  requester: requesterOf({
    ...agent,
    subject: "<https://evil.example|Approve> `x` [a](https://evil.example)",
  }),
  statements: ask().statements.map((one) => ({
    ...one,
    stripped: 'update customers set "```<!channel> https://evil.example/?approve=1" = \u202e$1 where id = $2',
    writes: ['public."<@U1> https://evil.example"'],
  })),
  claimed: { intent: `the card is ${secretValue}` },
};

/** Every place of a message where a URL stands that somebody could follow. */
function links(json: unknown): string[] {
  const found: string[] = [];
  const walk = (value: unknown, name: string): void => {
    if (typeof value === "string") {
      if (name === "url" || /https?:\/\//.test(value)) found.push(value);
    } else if (typeof value === "object" && value !== null)
      for (const [inner, one] of Object.entries(value)) walk(one, inner);
  };
  walk(json, "");
  return found.filter((one) => one !== "http://adaptivecards.io/schemas/adaptive-card.json");
}

describe.each(["generic", "slack", "teams"] as const)("%s", (shape) => {
  test("every event is signed, links lead to the console alone, and values stay at home", async () => {
    const { approvals } = await start([hook(shape)]);
    const first = await approvals.request(hostile);
    await arrived(1);
    await approvals.decide(first.id, steward(), "deny", { reason: `no: ${secretValue}` });
    await arrived(2);
    const wish = { database: "shop", group: "oncall", seconds: 600, reason: `because ${secretValue}` };
    const access = await approvals.requestAccess(principal("eve"), wish);
    await arrived(3);
    await approvals.decide(access.id, steward(), "approve");
    await arrived(4);
    await approvals.revoke(access.id, { ...steward("root"), admin: true }, `enough of ${secretValue}`);
    await arrived(5);
    const glass = { groups: ["oncall"], review: ["security"] };
    const oncall = requesterOf(principal("olga", { groups: ["oncall"] }));
    const review = await approvals.request(
      ask({
        requester: oncall,
        demands: [demand({ breakGlass: glass })],
        breakGlass: { reason: `down: ${secretValue}` },
      }),
    );
    await arrived(6);
    for (const message of got) {
      expect(isSigned(message)).toBe(true);
      expect(message.headers["content-type"]).toBe("application/json");
      expect(message.body).not.toContain("4111");
      expect(message.body).not.toContain("\u202e");
    }
    expect(new Set(got.map(({ headers }) => headers["idempotency-key"])).size).toBe(6);
    if (shape === "generic") {
      expect(got.map(({ json }) => json.type)).toEqual([
        "approval.requested",
        "approval.decided",
        "approval.access",
        "approval.access",
        "approval.revoked",
        "approval.break_glass",
      ]);
      expect(got[0]?.json.approvals[0]).toMatchObject({
        id: first.id,
        state: "pending",
        database: "shop",
        url: first.url,
        statements: [{ command: "UPDATE", effects: ["read", "write"] }],
      });
    } else {
      const all = [first.url, first.url, access.url, access.url, access.url, review.url];
      expect(got.map(({ json }) => links(json))).toEqual(all.map((one) => [one]));
    }
  });

  test("what one principal asks for quickly comes in one message more", async () => {
    const { approvals } = await start([hook(shape)], 200);
    const ids: string[] = [];
    for (let i = 0; i < 14; i++)
      ids.push((await approvals.request(ask({ binding: `${i}`.padStart(64, "0") }))).id);
    await approvals.request(ask({ requester: requesterOf({ ...agent, subject: "other" }) }));
    await arrived(3);
    await sleep(50);
    expect(got).toHaveLength(3);
    const last = got[2];
    if (shape === "generic") {
      expect(last?.json.approvals.map(({ id }) => id)).toEqual(ids.slice(1, 11));
      expect(last?.json.more).toBe(3);
    } else {
      expect(last?.body).toContain("13 more statements wait for approval");
      expect(links(last?.json)).toEqual(["https://postern.example/approvals"]);
    }
  });
});

test("who comes and goes quickly is told of in few messages, too", async () => {
  const { approvals } = await start([hook("generic", { events: ["expired"] })], 200);
  for (let i = 0; i < 4; i++) {
    const { id } = await approvals.request(ask({ binding: `${i}`.repeat(64) }));
    await approvals.leave(id, "cancel");
  }
  await arrived(2);
  await sleep(50);
  expect(got.map(({ json }) => json.approvals.length)).toEqual([1, 3]);
});

test("slack: untrusted words stand only in text elements of rich text, where nothing is markup", async () => {
  const { approvals } = await start([hook("slack")]);
  await approvals.request(hostile);
  await arrived(1);
  const { text = "", blocks = [] } = got[0]?.json ?? {};
  expect(text).not.toMatch(/[<>]/);
  expect(blocks.map(({ type }) => type)).toEqual(["header", "rich_text", "actions"]);
  const kinds = new Set<string>();
  const walk = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    if ("type" in value) kinds.add(String(value.type));
    for (const inner of Object.values(value)) walk(inner);
  };
  walk(blocks);
  expect([...kinds].sort()).toEqual([
    "actions",
    "button",
    "header",
    "plain_text",
    "rich_text",
    "rich_text_preformatted",
    "rich_text_section",
    "text",
  ]);
  expect(blocks[2]?.elements).toEqual([
    {
      type: "button",
      text: { type: "plain_text", text: "Open in Postern", emoji: false },
      url: expect.stringMatching(/^https:\/\/postern\.example\/approvals\/[0-9a-f-]{36}$/),
    },
  ]);
});

test("teams: an adaptive card whose untrusted words stand only in text runs", async () => {
  const { approvals } = await start([hook("teams")]);
  await approvals.request(hostile);
  await arrived(1);
  const card = got[0]?.json.attachments[0];
  expect(card?.contentType).toBe("application/vnd.microsoft.card.adaptive");
  for (const block of card?.content.body ?? []) {
    if (block.type === "TextBlock") expect(block.text).toBe("A statement waits for approval");
    else expect(block).toMatchObject({ type: "RichTextBlock" });
  }
  expect(card?.content.actions).toHaveLength(1);
});

test.each(
  (["generic", "slack", "teams"] as const).flatMap((shape) =>
    ["", "x"].map((before) => [shape, before] as const),
  ),
)("%s: no character is cut in two, behind %j", async (shape, before) => {
  const { approvals } = await start([hook(shape)]);
  const statements = ask().statements.map((one) => ({
    ...one,
    stripped: `select '${before}${"😀".repeat(3000)}'`,
    writes: [`public."${before}${"😀".repeat(600)}"`],
  }));
  await approvals.request({ ...ask(), statements });
  await arrived(1);
  expect(got[0]?.body).toContain("😀");
  // JSON.stringify writes a half as an escape, at which many parsers stop.
  expect(got[0]?.body).not.toMatch(/\\ud[89a-f]/i);
});

test("a receiver that fails is tried again with the same key and a fresh signature; one that refuses is not", async () => {
  answer = (res, count) => res.writeHead(count < 3 ? 503 : 200).end();
  const { approvals } = await start([hook("generic")]);
  await approvals.request(ask());
  await arrived(3);
  expect(got.every(isSigned)).toBe(true);
  expect(new Set(got.map(({ headers }) => headers["idempotency-key"])).size).toBe(1);
  answer = (res) => res.writeHead(404).end();
  await approvals.request(ask({ requester: requesterOf({ ...agent, subject: "other" }) }));
  await arrived(4);
  while (failures.length < 3) await sleep(5);
  await sleep(30);
  expect(got).toHaveLength(4);
  expect(failures).toEqual([
    ["generic-1", "answered 503", false],
    ["generic-1", "answered 503", false],
    ["generic-1", "answered 404", true],
  ]);
  expect(webhooks?.stats).toEqual([{ name: "generic-1", delivered: 1, lost: 1 }]);
});

test("redirects are not followed, and nothing goes over plain http to elsewhere", async () => {
  answer = (res) => res.writeHead(302, { location: `${url}/elsewhere` }).end();
  const { approvals } = await start([
    hook("generic"),
    hook("slack", { name: "plain", url: source("http://192.0.2.1/x") }),
    hook("slack", { name: "user", url: source("https://u:p@example.com/x") }),
  ]);
  await approvals.request(ask());
  await arrived(1);
  while (failures.length < 3) await sleep(5);
  // Long enough for the next attempt, if there were one.
  await sleep(100);
  expect(got.map((one) => one.json.type)).toEqual(["approval.requested"]);
  expect(failures).toContainEqual(["generic-1", "answered 302", true]);
  await webhooks?.close();
  expect(webhooks?.stats.every(({ delivered, lost }) => delivered === 0 && lost === 1)).toBe(true);
  expect(
    failures
      .filter(([, , lost]) => lost)
      .map(([name]) => name)
      .sort(),
  ).toEqual(["generic-1", "plain", "user"]);
  expect(JSON.stringify(failures)).not.toMatch(/127\.0|192\.0|example\.com/);
});

test("only the events that were asked for; without a secret no signature", async () => {
  const { approvals } = await start([hook("generic", { events: ["decided"], secret: null })]);
  const { id } = await approvals.request(ask());
  await approvals.decide(id, steward(), "approve");
  await arrived(1);
  expect(got[0]?.json.type).toBe("approval.decided");
  expect(got[0]?.headers["postern-signature"]).toBeUndefined();
});

test("a receiver that hangs holds nobody up, and is let go at the end", async () => {
  answer = () => {};
  const { approvals } = await start([hook("generic")]);
  const { id } = await approvals.request(ask());
  await approvals.decide(id, steward(), "approve");
  await arrived(1);
  await webhooks?.close();
  expect(webhooks?.stats[0]?.delivered).toBe(0);
});
