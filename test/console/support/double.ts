/**
 * A stand-in for the gateway's http listener: serves the built console under its real Content-Security-Policy and
 * answers the routes of the REST API from memory, so that pages can be tried without a database.
 */
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { extname, join, normalize } from "node:path";
import type { Approval, EffectPreview, Me, Revocation, Session } from "../../../console/src/lib/types.ts";
import {
  ada,
  approval,
  decided,
  erin,
  importer,
  inbox,
  jane,
  reports,
  script,
  session,
  statement,
  support,
} from "./sample.ts";

export const csp =
  "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'";
const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};
const dist = join(import.meta.dirname, "../../../dist/console");

export interface Answer {
  readonly status?: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly search: URLSearchParams;
  readonly params: Readonly<Record<string, string>>;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers: IncomingMessage["headers"];
}
export type Route = (asked: Asked) => Answer | Promise<Answer>;

export interface Double {
  readonly url: string;
  /** Every request to the API, in order. */
  readonly asked: readonly Asked[];
  /** What it holds; tests change it. */
  readonly state: {
    me: Me | null;
    sessions: Session[];
    pending: Approval[];
    decided: Approval[];
    revocations: Revocation[];
    stepUp: boolean;
  };
  /** Sets or replaces a route: "GET /api/x/:id". */
  on(route: string, answer: Route): void;
  /** Sends an event to every open stream; gives its id. */
  emit(type: string, data: unknown): number;
  /** How many streams are open. */
  readonly streams: number;
  /** How many streams were opened since the start. */
  readonly opened: number;
  /** Ends the open streams, as a restart of the gateway would. */
  dropStreams(): void;
  close(): Promise<void>;
}

/** Starts it on a free port of 127.0.0.1 (or `port`). `lively`: statements happen by themselves, every so many milliseconds. */
export async function startDouble(
  options: { readonly port?: number; readonly lively?: number } = {},
): Promise<Double> {
  const routes = new Map<string, Route>();
  const streams = new Set<ServerResponse>();
  const asked: Asked[] = [];
  let eventId = 1;
  let opened = 0;
  const told: { readonly id: number; readonly text: string }[] = [];
  const state: Double["state"] = {
    me: ada,
    sessions: [
      session(jane, {
        state: "active",
        statement: { sql: script[0]?.sql ?? "", started: new Date().toISOString(), verdict: "allow" },
      }),
      session(support, { state: "waiting for approval", login: "shop_writer" }),
      session(reports),
      session(erin, {
        state: "in transaction",
        claimed: {},
        client: { ip: "10.0.9.3", application: "psql", user: "erin", via: "wire", tls: "TLSv1.3" },
      }),
      session(importer, {
        database: "billing",
        claimed: {},
        client: { ip: "10.0.1.20", application: "airflow", user: "etl", via: "wire", tls: "TLSv1.3" },
      }),
      session(jane, {
        client: { ip: "10.0.4.90", application: null, user: "jane", via: "mcp", tls: "TLSv1.3" },
      }),
    ],
    pending: [...inbox()],
    decided: [...decided()],
    revocations: [],
    stepUp: false,
  };

  const emit = (type: string, data: unknown) => {
    const text = `id: ${eventId}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
    told.push({ id: eventId, text });
    eventId += 1;
    for (const stream of streams) stream.write(text);
    return eventId - 1;
  };
  const notFound: Answer = {
    status: 404,
    body: { error: { code: "NOT_FOUND", message: "There is no such thing." } },
  };
  const find = (id: string | undefined) =>
    [...state.pending, ...state.decided].find((each) => each.id === id);
  const settle = (old: Approval, next: Approval) => {
    state.pending = state.pending.filter((each) => each.id !== old.id);
    if (next.state === "pending") state.pending.push(next);
    else state.decided = [next, ...state.decided.filter((each) => each.id !== old.id)];
    emit("approval", next);
    return next;
  };
  const decide =
    (verdict: "approve" | "deny"): Route =>
    ({ params, body }) => {
      const old = find(params.id);
      if (old === undefined) return notFound;
      if (state.stepUp)
        return {
          status: 403,
          body: {
            error: {
              code: "STEP_UP_REQUIRED",
              message: "Deciding needs a login of the last 10 minutes.",
              login: "/login?step_up=1&return=%2F",
            },
          },
        };
      if (old.state !== "pending")
        return {
          status: 409,
          body: {
            error: {
              code: "NOT_PENDING",
              message: "Somebody else has decided it already.",
              hint: "Look at it again.",
            },
          },
        };
      const reason = typeof body.reason === "string" ? body.reason : null;
      if (verdict === "deny" && reason === null)
        return {
          status: 400,
          body: { error: { code: "REASON_REQUIRED", message: "A denial needs a reason." } },
        };
      const now = new Date().toISOString();
      const scope = (body.scope as Approval["scope"] | undefined) ?? { kind: "once" };
      const vote = {
        approver: { subject: ada.subject, issuer: ada.issuer, provider: ada.provider, email: ada.email },
        verdict,
        reason,
        time: now,
        scope,
        authenticated: now,
      } as const;
      const next: Approval = {
        ...old,
        state: verdict === "approve" ? "approved" : "denied",
        decided: now,
        votes: [...old.votes, vote],
        missing: [],
        scope,
      };
      return { body: settle(old, next) };
    };

  const on = (route: string, answer: Route) => {
    routes.set(route, answer);
  };
  on("GET /api/me", () => ({ body: state.me }));
  on("GET /api/login", () => ({
    body: {
      providers: [
        { name: "corp", type: "oidc", url: "/login?provider=corp" },
        { name: "adfs", type: "saml", url: "/login?provider=adfs" },
      ],
    },
  }));
  on("POST /api/logout", () => {
    state.me = null;
    return { status: 204 };
  });
  on("GET /api/sessions", () => ({ body: { items: state.sessions, next: null } }));
  on("DELETE /api/sessions/:id", ({ params }) => {
    const gone = state.sessions.find((each) => each.id === params.id);
    if (gone === undefined) return notFound;
    state.sessions = state.sessions.filter((each) => each !== gone);
    emit("session", { type: "end", session: gone });
    return { status: 204 };
  });
  on("GET /api/revocations", () => ({ body: { items: state.revocations, next: null } }));
  on("POST /api/revocations", ({ body }) => {
    const made: Revocation = {
      id: `r${state.revocations.length + 1}`,
      subject: (body.subject as string | undefined) ?? null,
      issuer: (body.issuer as string | undefined) ?? null,
      agent: (body.agent as string | undefined) ?? null,
      jti: null,
      kind: "agent",
      mode: "block",
      expires: null,
      everything: body.everything === true,
      reason: String(body.reason ?? ""),
      value: (body.subject as string | undefined) ?? (body.agent as string | undefined) ?? "",
      at: new Date().toISOString(),
      time: new Date().toISOString(),
      by: ada.subject,
    };
    state.revocations.push(made);
    return { status: 201, body: made };
  });
  on("DELETE /api/revocations/:id", ({ params }) => {
    state.revocations = state.revocations.filter((each) => each.id !== params.id);
    return { status: 204 };
  });
  on("GET /api/approvals", ({ search }) => ({
    body: { items: search.get("state") === "decided" ? state.decided : state.pending, next: null },
  }));
  on("GET /api/approvals/:id", ({ params }) => {
    const found = find(params.id);
    return found === undefined ? notFound : { body: found };
  });
  on("POST /api/approvals/:id/approve", decide("approve"));
  on("POST /api/approvals/:id/deny", decide("deny"));
  on("POST /api/approvals/:id/preview", async ({ params }) => {
    const old = find(params.id);
    if (old === undefined) return notFound;
    await new Promise((done) => setTimeout(done, 300));
    const preview = previewOf(old);
    settle(old, { ...old, preview });
    return { body: preview };
  });
  on("POST /api/approvals/:id/revoke", ({ params, body }) => {
    const old = find(params.id);
    if (typeof body.reason !== "string" || body.reason.trim() === "")
      return {
        status: 400,
        body: {
          error: { code: "BAD_REQUEST", message: "say why it is taken back", reason: "REASON_REQUIRED" },
        },
      };
    return old === undefined ? notFound : { body: settle(old, { ...old, state: "revoked" }) };
  });
  on("POST /api/access", ({ body }) => {
    const made = approval({ ...erin, subject: ada.subject, email: ada.email }, [], {
      kind: "access",
      mode: "ticket",
      claimed: {},
      database: String(body.database),
      access: {
        group: String(body.group),
        seconds: Number(body.seconds),
        reason: String(body.reason),
      },
      expires: new Date(Date.now() + 900_000).toISOString(),
      can: {
        approve: false,
        deny: false,
        why: "You asked for it yourself.",
        code: "SELF_APPROVAL",
        stepUp: false,
      },
    });
    state.pending.push(made);
    emit("approval", made);
    return { status: 201, body: made };
  });
  on("GET /api/grants", () => ({
    body: {
      items: [
        {
          id: "g1",
          principal: erin,
          group: "oncall",
          database: "shop",
          until: new Date(Date.now() + 1_500_000).toISOString(),
          reason: "Pager: checkout latency",
        },
      ],
      next: null,
    },
  }));
  on("GET /api/connect", () => ({ body: { items: [connectTo("shop"), connectTo("billing")], next: null } }));
  on("POST /api/connect/token", ({ body }) => ({
    body: {
      token: `pgt_${Buffer.from(`sample ${String(body.database)} ${Date.now()}`).toString("base64url")}`,
      expires: new Date(Date.now() + 900_000).toISOString(),
    },
  }));

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      response.statusCode = 500;
      response.end(String(error));
    });
  });

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://double");
    const method = request.method ?? "GET";
    response.setHeader("content-security-policy", csp);
    response.setHeader("referrer-policy", "no-referrer");
    response.setHeader("x-content-type-options", "nosniff");
    if (url.pathname === "/api/events" && !routes.has("GET /api/events")) {
      if (state.me === null) return send(response, unauthenticated);
      response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
      response.write(": hello\n\n");
      opened += 1;
      const last = Number(request.headers["last-event-id"] ?? Number.NaN);
      const recent = Number(url.searchParams.get("recent") ?? 0);
      const missed = Number.isNaN(last)
        ? recent > 0
          ? told.slice(-recent)
          : []
        : told.filter(({ id }) => id > last);
      for (const { text } of missed) response.write(text);
      streams.add(response);
      response.on("close", () => streams.delete(response));
      return;
    }
    if (url.pathname === "/login" && (url.searchParams.has("provider") || url.searchParams.has("step_up"))) {
      state.me = ada;
      state.stepUp = false;
      response.writeHead(302, { location: url.searchParams.get("return") ?? "/" });
      response.end();
      return;
    }
    if (!url.pathname.startsWith("/api/")) return file(url.pathname, response);
    const body = await json(request);
    for (const [pattern, route] of routes) {
      const params = match(pattern, method, url.pathname);
      if (params === null) continue;
      const ask: Asked = {
        method,
        path: url.pathname,
        search: url.searchParams,
        params,
        body,
        headers: request.headers,
      };
      asked.push(ask);
      if (state.me === null && url.pathname !== "/api/login") return send(response, unauthenticated);
      if (method !== "GET" && request.headers["x-postern-csrf"] !== state.me?.csrf)
        return send(response, {
          status: 403,
          body: { error: { code: "CSRF", message: "The request did not come from the console." } },
        });
      return send(response, await route(ask));
    }
    send(response, notFound);
  }

  await new Promise<void>((done) => server.listen(options.port ?? 0, "127.0.0.1", done));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  let turn = 0;
  const timer =
    options.lively === undefined
      ? null
      : setInterval(() => {
          const said = script[turn % script.length];
          turn += 1;
          if (said === undefined) return;
          const event = statement(said, {
            session: state.sessions.find((each) => each.principal === said.who)?.id ?? "",
          });
          emit("statement", event);
          emit(
            "outcome",
            outcomeOf(event.request, event.session, said.verdict === "deny" ? "denied" : "ok", said.rows),
          );
        }, options.lively);

  return {
    url: `http://127.0.0.1:${address.port}`,
    asked,
    state,
    on,
    emit,
    get streams() {
      return streams.size;
    },
    get opened() {
      return opened;
    },
    dropStreams() {
      for (const stream of streams) stream.destroy();
    },
    close() {
      if (timer !== null) clearInterval(timer);
      return new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      });
    },
  };
}

const unauthenticated: Answer = {
  status: 401,
  body: { error: { code: "UNAUTHENTICATED", message: "Sign in first." } },
};

export function outcomeOf(request: string, sessionId: string, status: string, rows: number | null) {
  return {
    time: new Date().toISOString(),
    session: sessionId,
    request,
    index: 0,
    status,
    sqlstate: status === "denied" ? "42501" : null,
    tag: rows === null ? null : `SELECT ${rows}`,
    rows,
    bytes: 640,
    rows_affected: null,
    duration_us: 1830,
  };
}

function previewOf(held: Approval): EffectPreview {
  const refused = held.warnings.find((warning) => warning.code === "NOT_ROLLED_BACK")?.text ?? null;
  return {
    time: new Date().toISOString(),
    by: ada.subject,
    rowsAffected: refused === null ? 1 : null,
    sample:
      refused === null
        ? {
            columns: [
              { name: "id", type: "int8", masked: false },
              { name: "customer", type: "text", masked: true },
              { name: "status", type: "text", masked: false },
              { name: "note", type: "text", masked: false },
            ],
            before: [["4711", "j***@example.com", "shipped", "left depot 14 Nov"]],
            after: [
              [
                "4711",
                "j***@example.com",
                "cancelled",
                "left depot 14 Nov / parcel lost, customer O'Brien called on 22 November",
              ],
            ],
            truncated: false,
          }
        : null,
    notes: refused === null ? ["The sequence orders_id_seq was not moved back."] : [],
    refused,
  };
}

function connectTo(name: string) {
  const url = `postgresql://ada%40example.com:{token}@127.0.0.1:6432/${name}?sslmode=disable`;
  const mcp = "http://127.0.0.1:8432/mcp";
  return {
    name,
    psql: `PGPASSWORD='{token}' psql 'host=127.0.0.1 port=6432 dbname=${name} user=ada@example.com sslmode=disable'`,
    urls: {
      env: `DATABASE_URL="${url}"`,
      node: url,
      python: url,
      go: url,
      java: `jdbc:postgresql://127.0.0.1:6432/${name}?user=ada%40example.com&password={token}&sslmode=disable`,
      dotnet: `Host=127.0.0.1;Port=6432;Database=${name};Username=ada@example.com;Password={token};SSL Mode=Disable`,
    },
    mcp: {
      chatgpt: mcp,
      claude: `claude mcp add --transport http postern '${mcp}' --header 'Authorization: Bearer {token}'`,
      cursor: JSON.stringify(
        { mcpServers: { postern: { url: mcp, headers: { Authorization: "Bearer {token}" } } } },
        null,
        2,
      ),
      codex: `[mcp_servers.postern]\nurl = "${mcp}"\nbearer_token_env_var = "POSTERN_TOKEN"`,
    },
    expires: null,
  };
}

function match(pattern: string, method: string, path: string): Readonly<Record<string, string>> | null {
  const [verb, route = ""] = pattern.split(" ");
  const wanted = route.split("/");
  const parts = path.split("/");
  if (verb !== method || wanted.length !== parts.length) return null;
  const params: Record<string, string> = {};
  for (const [at, want] of wanted.entries()) {
    const part = decodeURIComponent(parts[at] ?? "");
    if (want.startsWith(":")) params[want.slice(1)] = part;
    else if (want !== part) return null;
  }
  return params;
}

async function json(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  const text = Buffer.concat(pieces).toString();
  return text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
}

function send(response: ServerResponse, answer: Answer): void {
  response.writeHead(answer.status ?? 200, {
    "content-type": "application/json",
    "cache-control": "no-store",
    ...answer.headers,
  });
  response.end(answer.body === undefined ? "" : JSON.stringify(answer.body));
}

/** A file of the build, or the console's page for every other address. */
function file(path: string, response: ServerResponse): void {
  const wanted = extname(path) === "" ? "/index.html" : normalize(path);
  try {
    const content = readFileSync(join(dist, wanted));
    response.writeHead(200, { "content-type": types[extname(wanted)] ?? "application/octet-stream" });
    response.end(content);
  } catch {
    response.writeHead(404);
    response.end();
  }
}
