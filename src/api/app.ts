/** The routes of the http listener: health and metrics, REST, login, the console, and what other parts mount. */

import type { TLSSocket } from "node:tls";
import { type Context, Hono } from "hono";
import { plainAddress } from "../gateway/client/address.ts";
import type { Asking } from "./caller.ts";
import { serveConsole } from "./console.ts";
import type { ApiEnv, Caller } from "./env.ts";
import { ApiError, failure } from "./failure.ts";
import { secureAnswer } from "./headers.ts";
import { type Metric, processMetrics, prometheusType, renderMetrics } from "./metrics.ts";
import type { Rest } from "./rest.ts";

/** What the API asks of the running gateway. */
export interface ApiDeps {
  readonly version: string;
  /** Each part that must work for statements to pass, by name; ready when all are true. */
  readiness(): Readonly<Record<string, boolean>>;
  metrics(): readonly Metric[];
  /** An unexpected error in a route; the client is told nothing of it. */
  onError(error: Error): void;
  /** REST and login; left out: health and metrics only. */
  readonly rest?: Rest;
  /** Where browsers reach the listener; left out: not known. */
  readonly publicUrl?: () => string;
  /** Routes of other parts: tokens, SAML, MCP. */
  readonly mounts?: readonly ((app: Hono<ApiEnv>) => void)[];
  /** The folder of the built console; left out: it is not served. */
  readonly consoleDir?: string;
}

const maxBodyBytes = 1024 * 1024;

/**
 * `tls`: the listener speaks HTTPS, which browsers are then told to keep to (RFC 6797). `isOurs`: whether a Host header names this listener;
 * left out: any does.
 */
export function createApp(
  deps: ApiDeps,
  tls: boolean,
  isOurs: (host: string) => boolean = () => true,
): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  app.use(async (context, next) => {
    await next();
    secureAnswer(context.res.headers, tls);
    // HEAD is answered as GET would be, without its body (RFC 9110 section 9.3.2): nobody will read that, and a stream would wait for ever.
    if (context.req.method === "HEAD") await context.res.body?.cancel();
  });
  app.use(async (context, next) => {
    const { incoming } = context.env ?? {};
    const { host } = incoming?.headers ?? {};
    // Two readers could take different ones (RFC 9112 section 3.2); Node's takes the first.
    if ((incoming?.headersDistinct.host?.length ?? 0) > 1)
      return failure(
        new ApiError("BAD_REQUEST", "a request has one Host header", {}, { connection: "close" }),
      );
    if (host !== undefined && !isOurs(host))
      return failure(
        new ApiError("MISDIRECTED", "this listener has another name: see listen.public_url in postern.yaml"),
      );
    const refusal = refuseBody(context.req.raw.headers);
    if (refusal !== null) return failure(refusal);
    const asking = askingOf(context);
    let known: Promise<Caller> | null = null;
    context.set("ip", asking.ip);
    const again = async () => {
      if (deps.rest === undefined) throw new ApiError("NOT_IMPLEMENTED", "this listener serves no API");
      return deps.rest.callers.authenticate(asking);
    };
    context.set("again", again);
    context.set("authenticate", () => {
      known ??= again();
      return known;
    });
    await next();
    return undefined;
  });

  const get = (path: string, handler: () => Response) => {
    app.get(path, handler);
    app.all(path, () => {
      throw new ApiError("METHOD_NOT_ALLOWED", "this address takes GET only", {}, { allow: "GET, HEAD" });
    });
  };
  get("/healthz", () => Response.json({ status: "ok" }));
  get("/readyz", () => {
    const checks = deps.readiness();
    const ready = Object.values(checks).every(Boolean);
    return Response.json({ status: ready ? "ready" : "not ready", checks }, { status: ready ? 200 : 503 });
  });
  get("/metrics", () => {
    const text = renderMetrics([...processMetrics(deps.version), ...deps.metrics()]);
    return new Response(text, { headers: { "content-type": prometheusType } });
  });
  deps.rest?.mount(app);
  for (const mount of deps.mounts ?? []) mount(app);
  if (deps.consoleDir !== undefined) serveConsole(app, deps.consoleDir);

  app.notFound(() => failure(new ApiError("NOT_FOUND", "there is nothing at this address")));
  app.onError((error) => {
    if (error instanceof ApiError) return failure(error);
    if (error.name === "StoreUnavailable" || error.name === "AuditUnavailable") {
      deps.onError(error);
      return failure(new ApiError("UNAVAILABLE", "a part of the gateway that this needs does not answer"));
    }
    deps.onError(error);
    return failure(new ApiError("INTERNAL", "internal error of the gateway; its log says more"));
  });
  return app;
}

function askingOf(context: Context<ApiEnv>): Asking {
  const socket = context.env?.incoming?.socket;
  const version =
    socket === undefined || !("encrypted" in socket) ? null : (socket as TLSSocket).getProtocol();
  return {
    method: context.req.method,
    headers: context.req.raw.headers,
    ip: plainAddress(socket?.remoteAddress ?? "unknown"),
    port: socket?.remotePort ?? 0,
    tls: version,
  };
}

/**
 * Bodies announce their length (RFC 9110 section 15.5.12), so that a too large one is refused before any of it is read;
 * Node's parser takes no more than was announced.
 */
function refuseBody(headers: Headers): ApiError | null {
  const close = { connection: "close" };
  if (headers.has("transfer-encoding"))
    return new ApiError("LENGTH_REQUIRED", "a request body needs a Content-Length", {}, close);
  if (Number(headers.get("content-length") ?? 0) > maxBodyBytes)
    return new ApiError("TOO_LARGE", `a request body has at most ${maxBodyBytes} bytes`, {}, close);
  return null;
}
