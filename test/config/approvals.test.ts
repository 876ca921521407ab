import { expect, test } from "vitest";
import { defaultApprovalSettings } from "../../src/approvals/index.ts";
import { minimal, settingsOf } from "./support.ts";

test("what is not said is as the room's own defaults, and the store lies beside the file", async () => {
  const { store, approvals } = await settingsOf(minimal());
  expect(approvals).toEqual(defaultApprovalSettings);
  expect(store).toEqual({ kind: "sqlite", path: "/nowhere/data/postern.db" });
});

test("a store in PostgreSQL, its URL written out or read from somewhere", async () => {
  const env = { PW: "x", STORE_URL: "postgres://u:hunter2@h/d" };
  for (const text of ["postgres://u:hunter2@h/d", "{ env: STORE_URL }"]) {
    const { store } = await settingsOf(`${minimal()}store: ${text}\n`, env);
    if (store.kind !== "postgres") throw new Error("not a PostgreSQL store");
    expect(await store.url.read()).toBe("postgres://u:hunter2@h/d");
    expect(JSON.stringify(store)).not.toContain("hunter2");
  }
});

test("access, webhooks and bounds", async () => {
  const text = `${minimal()}approvals:
  step_up: 5m
  max_pending_per_principal: 2
  shape: { max_uses: 10, max_time: 1h }
  access:
    - { groups: [oncall], databases: [shop], approvers: { groups: [leads], count: 2, within: 30m }, max: 2h, requesters: [staff] }
  webhooks:
    - { url: { env: SLACK }, secret: { env: KEY }, shape: slack, events: [requested] }
    - { url: http://127.0.0.1:9/hook }
`;
  const env = { PW: "x", SLACK: "https://hooks.slack.com/services/T/B/x", KEY: "k" };
  const { approvals, warnings } = await settingsOf(text, env);
  expect(approvals).toMatchObject({
    stepUpMs: 300_000,
    maxPendingPerPrincipal: 2,
    shape: { maxUses: 10, maxSeconds: 3600 },
    access: [
      {
        groups: ["oncall"],
        databases: ["shop"],
        approvers: { groups: ["leads"], count: 2, withinMs: 1_800_000 },
        maxSeconds: 7200,
        requesters: ["staff"],
      },
    ],
    webhooks: [
      { name: "slack-1", shape: "slack", events: ["requested"] },
      { name: "generic-2", shape: "generic", secret: null },
    ],
  });
  expect(await approvals.webhooks[0]?.url.read()).toBe(env.SLACK);
  expect(warnings.map(({ key }) => key)).toEqual(["approvals.webhooks[1].url"]);
});
