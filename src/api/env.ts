/** What the routes of the http listener know of a request. */
import type { HttpBindings } from "@hono/node-server";
import type { Principal } from "../facts/principal.ts";

/** `admin` includes `auditor`. Agents and services have no role at all. */
export type Role = "admin" | "auditor" | "approver" | "user";

/** Who is asking, verified. */
export interface Caller {
  readonly principal: Principal;
  readonly roles: ReadonlySet<Role>;
  readonly via: "bearer" | "cookie";
  /** When the person last showed themselves interactively, seconds since the epoch; null: unknown, or no person. */
  readonly authTime: number | null;
  /** What mutating requests by cookie must repeat in `x-postern-csrf`; null: not by cookie. */
  readonly csrf: string | null;
  /** When this stops being true, seconds since the epoch. */
  readonly expires: number;
}

export interface ApiEnv {
  Bindings: Partial<HttpBindings>;
  Variables: {
    /** The client's address as the listener sees it. */
    ip: string;
    /** Verifies who is asking, once a request. Rejects with ApiError 401, 403 or 429. */
    authenticate: () => Promise<Caller>;
    /** The same, asked anew: for answers that last. */
    again: () => Promise<Caller>;
  };
}
