/** The kill switch: who is shut out, at once and on all nodes. */

import type { z } from "zod";
import type { Revocation, RevocationRequest, Revocations } from "../../identity/tokens/revoked.ts";
import type { Caller } from "../env.ts";
import { ApiError } from "../failure.ts";
import { page } from "../paging.ts";
import type { RestDeps } from "../rest.ts";
import { type Route, route } from "../routing.ts";
import { addRevocation, liftRevocation, listRevocations, type revocation } from "../schema/revocations.ts";
import { iso } from "../told.ts";
import { actingAs } from "./me.ts";

export function revocationRoutes(deps: RestDeps): Route[] {
  function list(): Revocations {
    if (deps.revocations === undefined)
      throw new ApiError("NOT_IMPLEMENTED", "this gateway keeps no revocations");
    return deps.revocations;
  }
  const record = (caller: Caller, action: string, fields: Readonly<Record<string, unknown>>) =>
    deps.audit.event("admin.action", { action, principal: actingAs(caller), ...fields });

  return [
    route(listRevocations, ({ query }) => {
      const { limit, after } = query;
      const found = list()
        .all.map((one) => ({ one, key: `${String(one.at).padStart(16, "0")} ${one.id}` }))
        .sort((a, b) => (a.key < b.key ? -1 : 1));
      const paged = page(found, ({ key }) => key, { limit, after, shape: /^\d{16} [\w.:-]{1,200}$/ });
      return { items: paged.items.map(({ one }) => tell(one)), next: paged.next };
    }),
    route(addRevocation, async ({ caller, body }) => {
      const { subject, issuer } = caller.principal;
      const what = whatOf(body);
      record(caller, "revocation.add", { ...what, reason: body.reason });
      const made = await list().add({ ...what, reason: body.reason, by: { subject, issuer } });
      return tell(made);
    }),
    route(liftRevocation, async ({ caller, params }) => {
      const id = params.id ?? "";
      const found = list().all.find((one) => one.id === id);
      if (found === undefined) throw new ApiError("NOT_FOUND", "there is no such revocation");
      record(caller, "revocation.lift", { revocation: id, kind: found.kind, value: found.value });
      if (!(await list().lift(id))) throw new ApiError("NOT_FOUND", "there is no such revocation");
      return null;
    }),
  ];
}

function whatOf(
  body: z.output<(typeof addRevocation)["body"]>,
): Pick<RevocationRequest, "kind" | "value" | "issuer"> {
  const { subject, agent, jti, tokenSha256, issuer = null } = body;
  if (subject !== undefined) return { kind: "subject", value: subject, issuer };
  if (agent !== undefined) return { kind: "agent", value: agent, issuer };
  const token = jti ?? tokenSha256?.toLowerCase();
  if (token !== undefined) return { kind: "token", value: token, issuer };
  return { kind: "everything", value: "", issuer };
}

function tell({ id, kind, value, issuer, reason, at, expires, by }: Revocation): z.output<typeof revocation> {
  return {
    id,
    kind,
    subject: kind === "subject" || kind === "sub" ? value : null,
    issuer,
    agent: kind === "agent" ? value : null,
    jti: kind === "token" ? value : null,
    everything: kind === "everything",
    reason,
    time: iso(at),
    expires: expires === null ? null : iso(expires),
    by: by === null ? "" : by.subject,
  };
}
