/** The active policy, and trying others. */

import type { z } from "zod";
import type { Principal } from "../../facts/principal.ts";
import { createOffline, type Offline, OfflineUnavailable } from "../../gateway/analyst/offline.ts";
import { chooseLogin } from "../../gateway/logins.ts";
import type { CompiledPolicy } from "../../policy/index.ts";
import { ApiError } from "../failure.ts";
import { seesAll } from "../live/hub.ts";
import { createPolicyJobs } from "../policy/jobs.ts";
import type { RestDeps } from "../rest.ts";
import { type Route, route } from "../routing.ts";
import type { askedAs } from "../schema/policy.ts";
import { checkPolicy, explainPolicy, getColumns, getPolicy, replayPolicy } from "../schema/policy.ts";
import { actingAs } from "./me.ts";
import { explainText, tellColumns } from "./policy-told.ts";

const day = 86_400_000;
/** A database that does not answer by then is not waited for. */
const explainMs = 20_000;

export interface PolicyRoutes {
  readonly routes: readonly Route[];
  close(): Promise<void>;
}

export function policyRoutes(deps: RestDeps): PolicyRoutes {
  let offline: Offline | null = null;
  const jobs = createPolicyJobs();

  function current(): CompiledPolicy {
    const policy = deps.policy?.current() ?? null;
    if (policy === null)
      throw new ApiError(
        "NOT_IMPLEMENTED",
        "this gateway has no policy: every statement passes and is recorded",
      );
    return policy;
  }

  /** The gateway's own reading of statements, on connections of its own. */
  async function ask<T>(work: (offline: Offline) => Promise<T>): Promise<T> {
    offline ??= createOffline(deps.databases, deps.logger);
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new OfflineUnavailable("no answer in time")), explainMs);
    try {
      return await Promise.race([work(offline), late.promise]);
    } catch (error) {
      if (!(error instanceof OfflineUnavailable)) throw error;
      deps.logger.warn({ err: error }, "a statement could not be explained");
      throw new ApiError("UNAVAILABLE", "the database cannot be asked now", {
        hint: "the gateway's log says more",
      });
    } finally {
      clearTimeout(timer);
    }
  }

  const names = () => deps.databases.map(({ name }) => name);
  const groups = () => [
    ...new Set(deps.databases.flatMap(({ logins }) => logins.flatMap((login) => login.groups))),
  ];

  function database(name: string) {
    const found = deps.databases.find((one) => one.name === name);
    if (found === undefined) throw new ApiError("NOT_FOUND", "there is no such database");
    return found;
  }

  const routes = [
    route(getPolicy, () => {
      const policy = deps.policy?.current() ?? null;
      if (policy === null)
        return {
          digest: null,
          files: [],
          rules: [],
          labels: [],
          default: "allow" as const,
          observe: "none" as const,
          databases: names(),
          groups: groups(),
        };
      const { digest, rules, labels, observe } = policy;
      return {
        digest,
        files: deps.policy?.files().map((one) => ({ ...one })) ?? [],
        rules: rules.map(({ literals: _literals, ...rule }) => ({
          ...rule,
          file: baseName(rule.file),
          facts: [...rule.facts],
        })),
        labels: labels.map(({ label, description, columns, mask, access, use, observe: only }) => ({
          label,
          description,
          columns: [...columns],
          mask: access === "none" ? null : { ...mask },
          access,
          use,
          observe: only,
        })),
        default: policy.default,
        observe,
        databases: names(),
        groups: groups(),
      };
    }),
    route(getColumns, async ({ query }) => {
      const policy = current();
      const one = database(query.database);
      const [login] = one.logins;
      if (login === undefined) return { items: [], next: null };
      const { view } = await ask((with_) => with_.view(one, login, policy));
      return { items: tellColumns(one.name, view), next: null };
    }),
    route(explainPolicy, async ({ caller, body }) => {
      const policy = current();
      const one = database(body.database);
      const asked = body.as ?? null;
      if (asked !== null && !seesAll(caller) && !caller.roles.has("approver"))
        throw new ApiError("FORBIDDEN", "asking as somebody else needs the role auditor or approver");
      const principal = asked === null ? caller.principal : principalOf(asked, deps);
      deps.audit.event("admin.action", {
        action: "policy.explain",
        principal: actingAs(caller),
        as: { subject: principal.subject, kind: principal.kind, groups: principal.groups },
        database: one.name,
      });
      if (chooseLogin(one, principal) === null)
        throw new ApiError(
          "BAD_REQUEST",
          "this principal has no login for the database: nothing would ever run",
          {
            reason: "NO_LOGIN",
          },
        );
      return explainText(policy, { database: one.name, sql: body.sql, principal }, (analyse) => ask(analyse));
    }),
    route(replayPolicy, async ({ caller, body }) => {
      const { files, since, until, database: name } = body;
      const dir = deps.auditDir;
      if (dir === undefined) throw new ApiError("NOT_IMPLEMENTED", "this gateway reads no audit trail");
      deps.audit.event("admin.action", {
        action: "policy.replay",
        principal: actingAs(caller),
        since: since ?? null,
      });
      const answer = await jobs.run({
        files,
        replay: {
          dir,
          since: since ?? Date.now() - 7 * day,
          until: until ?? Date.now(),
          database: name ?? null,
        },
      });
      const nothing = { total: 0, compared: 0, undetermined: 0, truncated: false, changes: [] };
      const report = answer.ok ? (answer.report ?? nothing) : nothing;
      // Examples are what others did: who approves statements may not read the trail by trying policies on it.
      const changes = seesAll(caller)
        ? report.changes
        : report.changes.map((change) => ({ ...change, examples: [] }));
      return answer.ok
        ? { policy: answer.digest, problems: [], ...report, changes }
        : { policy: null, problems: answer.problems, ...nothing };
    }),
    route(checkPolicy, async ({ body }) => {
      const answer = await jobs.run({ files: body.files, replay: null });
      return answer.ok
        ? { ok: true, digest: answer.digest, problems: [] }
        : { ok: false, digest: null, problems: answer.problems };
    }),
  ];
  return {
    routes,
    async close() {
      await jobs.close();
      await offline?.close();
    },
  };
}

/** A principal to ask as: nobody's token, only what is said of it. */
function principalOf(asked: z.output<typeof askedAs>, deps: RestDeps): Principal {
  const [first] = deps.providers();
  const { subject, kind, groups, actor, claims, email = null } = asked;
  const provider = asked.provider ?? first?.name ?? "";
  const issuer = asked.issuer ?? (first !== undefined && "issuer" in first ? String(first.issuer) : "");
  return {
    subject,
    issuer,
    provider,
    email,
    kind,
    groups,
    actor,
    claims,
    token: { jti: null, sha256: "", issued: null, expires: Number.MAX_SAFE_INTEGER },
  };
}

/** Where the file lies on the gateway's disk is nobody's business. */
function baseName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
}
