/** The audit trail: search, one request, proofs, runs. All reading is done in the reader's worker, and is itself on the record. */
import type { AuditReader, ReadBy } from "../../audit/read/reader.ts";
import { AuditReadError } from "../../audit/read/reader.ts";
import type { RunStory } from "../../audit/read/run.ts";
import type { SearchFilters } from "../../audit/read/search.ts";
import type { Caller } from "../env.ts";
import { ApiError } from "../failure.ts";
import { isOwn, seesAll } from "../live/hub.ts";
import { page } from "../paging.ts";
import type { RestDeps } from "../rest.ts";
import { type Route, route } from "../routing.ts";
import { getAuditRequest, getProof, getRun, listRuns, searchAudit } from "../schema/audit.ts";
import { nameOfSegment } from "../segment.ts";
import { readSearchCursor, searchCursor, tellHit } from "./audit-hits.ts";
import { tellProof } from "./audit-proof.ts";
import { tellRequest } from "./audit-request.ts";
import { actingAs } from "./me.ts";

const idShape = /^[0-9a-f-]{36}$/i;
/** The log saves a checkpoint at least every second: a record is provable soon after it is durable. */
const proofTries = 4;
const proofPauseMs = 700;

/** The reader's answers come out of a worker: nobody else holds them, so that their lists may be taken for mutable. */
type Mutable<T> = T extends readonly (infer One)[]
  ? Mutable<One>[]
  : T extends object
    ? { -readonly [K in keyof T]: Mutable<T[K]> }
    : T;

/** The reader; NOT_IMPLEMENTED where the gateway has none. Its failures as answers. */
export function readerOf(deps: Pick<RestDeps, "reader">): Pick<AuditReader, "ask"> {
  const { reader } = deps;
  if (reader === undefined) throw new ApiError("NOT_IMPLEMENTED", "this gateway reads no audit trail");
  return {
    async ask(by, question) {
      try {
        return await reader.ask(by, question);
      } catch (error) {
        if (error instanceof AuditReadError)
          throw new ApiError("UNAVAILABLE", "the audit trail could not be read", {
            hint: "narrow the question, or try again",
          });
        throw error;
      }
    },
  };
}

export function asking(caller: Caller): ReadBy {
  const { subject, issuer, kind, groups } = actingAs(caller);
  return { subject, issuer, kind, groups };
}

/** Left out filters are left out: the reader takes undefined for a filter of its own. */
function given<T extends object>(filters: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

export function auditRoutes(deps: RestDeps): Route[] {
  return [
    route(searchAudit, async ({ caller, query }) => {
      const { limit, after, ...wanted } = query;
      const filters: SearchFilters = given(wanted);
      const own = !seesAll(caller);
      // A known value would tell what is sealed in others' statements.
      if (own && filters.value !== undefined)
        throw new ApiError("FORBIDDEN", "searching for known values needs the role auditor");
      const { subject, issuer } = caller.principal;
      if (own && filters.subject !== undefined && filters.subject !== subject)
        throw new ApiError("FORBIDDEN", "the activity of others needs the role auditor");
      const before = after === undefined ? null : readSearchCursor(after);
      const { hits, notices } = await readerOf(deps).ask(asking(caller), {
        kind: "search",
        filters: own ? { ...filters, subject, issuer } : filters,
        limit,
        ...(before === null ? {} : { before }),
      });
      return {
        items: hits
          .map(tellHit)
          .filter(({ principal }) => !own || isOwn(caller, principal))
          .reverse(),
        next: hits.length < limit ? null : searchCursor(hits, before),
        notices: seesAll(caller) ? [...notices] : [],
      };
    }),
    route(getProof, async ({ caller, params }) => {
      const id = params.id ?? "";
      if (!idShape.test(id)) throw new ApiError("NOT_FOUND", "there is no record of this id");
      for (let tries = 1; ; tries++) {
        const found = await readerOf(deps).ask(asking(caller), { kind: "prove", id });
        if (found.state === "missing") throw new ApiError("NOT_FOUND", "there is no record of this id");
        if (found.state === "proven") return tellProof(found.proof);
        if (tries === proofTries)
          throw new ApiError(
            "CONFLICT",
            found.problem,
            { hint: "try again in a second" },
            { "retry-after": "1" },
          );
        await deps.audit.settle();
        await new Promise((resolve) => setTimeout(resolve, proofPauseMs));
      }
    }),
    route(listRuns, async ({ caller, query }) => {
      const { limit, after, ...wanted } = query;
      const { runs } = await readerOf(deps).ask(asking(caller), { kind: "runs", filters: given(wanted) });
      // The latest first: the key falls with time.
      const keyed = runs.map((run) => ({
        run,
        key: `${(1e15 - Date.parse(run.last)).toFixed(0).padStart(16, "0")} ${run.run}`,
      }));
      const paged = page(keyed, ({ key }) => key, { limit, after, shape: /^\d{16} .*$/s });
      return {
        items: paged.items.map(({ run }) => ({ ...run, databases: [...run.databases] })),
        next: paged.next,
      };
    }),
    route(getRun, async ({ caller, params }) => {
      const run = nameOfSegment(params.run ?? "");
      if (run.length > 1024) throw new ApiError("NOT_FOUND", "there is no such run");
      const { story, notices } = await readerOf(deps).ask(asking(caller), { kind: "run", run, open: true });
      if (story.first === null) throw new ApiError("NOT_FOUND", "there is no such run");
      return { ...(story as Mutable<RunStory>), evolution: { ...story.evolution }, notices: [...notices] };
    }),
    route(getAuditRequest, async ({ caller, params }) => {
      const request = params.request ?? "";
      if (!idShape.test(request)) throw new ApiError("NOT_FOUND", "there is no such request");
      const open = seesAll(caller);
      const found = await readerOf(deps).ask(asking(caller), { kind: "show", request, open });
      const told = tellRequest(request, found.records, found.undone);
      const owner = told?.session?.principal;
      const own = owner !== undefined && isOwn(caller, owner);
      if (told === null || !(open || own)) throw new ApiError("NOT_FOUND", "there is no such request");
      return told;
    }),
  ];
}
