/** Records of approvals as `postern audit tail` shows them: made by the room itself. */
import { expect, test } from "vitest";
import { defaultApprovalSettings, requesterOf } from "../../src/approvals/index.ts";
import type { Json } from "../../src/audit/read/leaves.ts";
import { sentence } from "../../src/audit/read/sentence.ts";
import { ask, demand, principal, room, steward } from "../approvals/support.ts";

test("every record of a room reads as a sentence, with nothing that moves a cursor", async () => {
  const offer = {
    groups: ["oncall"],
    databases: ["*"],
    approvers: { groups: ["data-stewards"], count: 1, withinMs: 60_000 },
    maxSeconds: 3600,
    requesters: null,
  };
  const r = await room({ settings: { ...defaultApprovalSettings, access: [offer] } });
  const { approvals } = r;
  const first = await approvals.request(ask({ demands: [demand({ count: 2 })] }));
  await approvals.decide(first.id, steward("ann"), "approve");
  await approvals.decide(first.id, steward("bob"), "deny", { reason: "wrong\u001b[2J row" });
  const second = await approvals.request(ask());
  await approvals.decide(second.id, steward("ann"), "approve");
  await approvals.claim(second.id, ask().binding, second.requester);
  const third = await approvals.request(ask());
  await approvals.leave(third.id, "disconnect");
  const eve = principal("eve");
  const access = await approvals.requestAccess(eve, {
    database: "shop",
    group: "oncall",
    seconds: 600,
    reason: "x",
  });
  await approvals.decide(access.id, steward("ann"), "approve");
  await approvals.revoke(access.id, { principal: eve, authTime: null }, "done");
  const glass = { groups: ["oncall"], review: ["security"] };
  const review = await approvals.request(
    ask({
      requester: requesterOf(principal("olga", { groups: ["oncall"] })),
      demands: [demand({ breakGlass: glass })],
      breakGlass: { reason: "down" },
    }),
  );
  const said = r.events.map(({ type, fields }) =>
    sentence({ ...JSON.parse(JSON.stringify(fields)), type, time: "2026-11-23T10:00:00.000Z" } as Json).slice(
      25,
    ),
  );
  await r.close();
  const until = new Date(Date.parse(access.created)).toISOString().slice(0, 10);
  const who = "robot (agent, says it is claude)";
  expect(said.map((line) => line.replace(/until [^ ,]+/, "until …"))).toEqual([
    `${who} asks people for UPDATE public.customers on shop (approval ${first.id})`,
    `ann agreed to a statement of ${who} on shop, others have to as well (approval ${first.id})`,
    `bob denied a statement of ${who} on shop: wrong [2J row (approval ${first.id})`,
    `${who} asks people for UPDATE public.customers on shop (approval ${second.id})`,
    `ann agreed to a statement of ${who} on shop (approval ${second.id})`,
    `${who} uses what was agreed to on shop (approval ${second.id})`,
    `${who} asks people for UPDATE public.customers on shop (approval ${third.id})`,
    `the request of ${who} on shop is gone (disconnect) (approval ${third.id})`,
    `eve (human) asks people for group oncall on shop (approval ${access.id})`,
    `ann agreed to group oncall of eve (human) on shop (approval ${access.id})`,
    `eve (human) has group oncall on shop until …, granted by ann (approval ${access.id})`,
    `eve took group oncall on shop back from eve (human): done (approval ${access.id})`,
    `BREAK GLASS: olga (human, says it is claude) goes ahead on shop without approval, because: down (review ${review.id})`,
    `olga (human, says it is claude) uses what was agreed to on shop (approval ${review.id})`,
  ]);
  expect(said.join("")).toContain(until);
});
