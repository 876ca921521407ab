/** From leaves of the audit log to events of the live stream. */
import type { z } from "zod";
import type { Principal } from "../../facts/principal.ts";
import type { SessionDescription } from "../../gateway/index.ts";
import { at, type Json, list, number, text, time, word } from "../json.ts";
import type { outcomeEvent, sessionEvent, statementEvent } from "../schema/events.ts";
import { iso, recordedClaims, recordedPrincipal, tellPrincipal, tellSession } from "../told.ts";

export type Owner = Pick<Principal, "subject" | "issuer" | "actor">;

/** One event, ready to be sent. */
export interface LiveEvent {
  /** Log index: the event's id. */
  readonly id: number;
  readonly type: "session" | "statement" | "outcome";
  /** One line of JSON. */
  readonly data: string;
  /** Whose it is; null: not known, for auditors only. */
  readonly owner: Owner | null;
}

/** Sessions and statements that are remembered for the events behind them. */
const maxKnown = 10_000;

/** Tells what leaves say. Outcomes name their session and statement by number only, so it remembers both for a while. */
export class LeafTeller {
  private readonly owners = new Map<string, Owner>();
  private readonly places = new Map<number, number>();
  private readonly node: string;
  private readonly sessionOf: (id: string) => SessionDescription | null;

  /** `sessionOf`: an open session, for what the log has only sealed. */
  constructor(node: string, sessionOf: (id: string) => SessionDescription | null) {
    this.node = node;
    this.sessionOf = sessionOf;
  }

  /** null: nothing that the stream tells. */
  tell(index: number, leaf: Json): LiveEvent | null {
    switch (leaf.type) {
      case "session.start":
      case "session.end":
        return this.session(index, leaf, leaf.type === "session.start" ? "start" : "end");
      case "statement.intent":
        return this.statement(index, leaf);
      case "statement.outcome":
        return this.outcome(index, leaf);
      default:
        return null;
    }
  }

  private session(id: number, leaf: Json, type: "start" | "end"): LiveEvent {
    const session = text(leaf, "session") ?? "";
    const principal = recordedPrincipal(leaf);
    const owner = ownerIn(principal);
    if (type === "start") remember(this.owners, session, owner);
    else this.owners.delete(session);
    const open = type === "start" ? this.sessionOf(session) : null;
    const count = (name: string) => number(leaf, name) ?? 0;
    const told: z.output<typeof sessionEvent> = {
      type,
      reason: text(leaf, "reason"),
      session:
        open !== null
          ? tellSession(open, this.node)
          : {
              id: session,
              node: text(leaf, "node") ?? this.node,
              started:
                type === "start"
                  ? time(leaf, "time")
                  : iso(Date.parse(time(leaf, "time")) - count("duration_ms")),
              lastActive: time(leaf, "time"),
              principal,
              claimed: recordedClaims(leaf),
              client: {
                ip: text(leaf, "client.ip") ?? "",
                application: text(leaf, "client.application"),
                user: text(leaf, "client.user") ?? "",
                via: word(at(leaf, "client.via"), ["mcp", "api", "wire"]),
                tls: text(leaf, "client.tls"),
              },
              database: text(leaf, "database.name") ?? "",
              login: text(leaf, "database.login") ?? "",
              state: "idle",
              statement: null,
              counters: {
                statements: count("statements"),
                denied: 0,
                errors: 0,
                bytesIn: count("bytes_in"),
                bytesOut: count("bytes_out"),
              },
              approval: null,
              expires: text(leaf, "principal.token.expires"),
            },
    };
    return { id, type: "session", data: JSON.stringify(told), owner };
  }

  private statement(id: number, leaf: Json): LiveEvent {
    const session = text(leaf, "session") ?? "";
    const recorded = recordedPrincipal(leaf);
    const open = this.sessionOf(session);
    const place = number(leaf, "statement.index") ?? 0;
    const owner = ownerIn(recorded);
    remember(this.owners, session, owner);
    remember(this.places, id, place);
    const { subject, issuer, kind, email, actor } = open === null ? recorded : tellPrincipal(open.principal);
    const told: z.output<typeof statementEvent> = {
      time: time(leaf, "time"),
      session,
      request: text(leaf, "request") ?? "",
      index: place,
      principal: { subject, issuer, kind, email, actor },
      claimed: open === null ? recordedClaims(leaf) : { ...open.claimed },
      database: text(leaf, "database.name") ?? "",
      login: text(leaf, "database.login") ?? "",
      sql: text(leaf, "statement.sql"),
      kind: text(leaf, "statement.kind"),
      command: text(leaf, "statement.command"),
      verdict: word(at(leaf, "decision.verdict"), ["allow", "approve", "deny"]),
      rule: text(leaf, "decision.rule"),
      code: text(leaf, "decision.code"),
      reads: list(leaf, "statement.reads"),
      writes: list(leaf, "statement.writes"),
      masked: list(leaf, "decision.masked") ?? [],
      approval: text(leaf, "approval") ?? text(leaf, "approval.id"),
    };
    return { id, type: "statement", data: JSON.stringify(told), owner };
  }

  private outcome(id: number, leaf: Json): LiveEvent {
    const session = text(leaf, "session") ?? "";
    const intent = number(leaf, "intent.index");
    const place = intent === null ? undefined : this.places.get(intent);
    if (intent !== null) this.places.delete(intent);
    const told: z.output<typeof outcomeEvent> = {
      time: time(leaf, "time"),
      session,
      request: text(leaf, "request") ?? "",
      // Nearly all messages hold one statement; of an outcome whose statement was not seen no more is known.
      index: place ?? 0,
      intent,
      status: word(at(leaf, "status"), ["ok", "error", "denied", "cancelled", "cut", "unknown"]),
      sqlstate: text(leaf, "sqlstate"),
      tag: text(leaf, "tag"),
      rows: number(leaf, "result.rows"),
      bytes: number(leaf, "result.bytes"),
      rows_affected: number(leaf, "rows_affected"),
      duration_us: number(leaf, "duration_us"),
    };
    return { id, type: "outcome", data: JSON.stringify(told), owner: this.ownerOf(session) };
  }

  private ownerOf(session: string): Owner | null {
    const known = this.owners.get(session);
    if (known !== undefined) return known;
    const open = this.sessionOf(session);
    return open === null ? null : ownerIn(open.principal);
  }
}

function ownerIn({ subject, issuer, actor }: Owner): Owner {
  return { subject, issuer, actor };
}

function remember<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.set(key, value);
  if (map.size <= maxKnown) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    break;
  }
}
