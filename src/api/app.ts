/** The routes of the http listener. So far: health, readiness, metrics. */
import { Hono } from "hono";
import { secureHeaders } from "hono/secure-headers";
import { type Metric, processMetrics, prometheusType, renderMetrics } from "./metrics.ts";

/** What the API asks of the running gateway. */
export interface ApiDeps {
  readonly version: string;
  /** Each part that must work for statements to pass, by name; ready when all are true. */
  readiness(): Readonly<Record<string, boolean>>;
  metrics(): readonly Metric[];
  /** An unexpected error in a route; the client is told nothing of it. */
  onError(error: Error): void;
}

const maxBodyBytes = 1024 * 1024;

/** `tls`: the listener speaks HTTPS, which browsers are then told to keep to (RFC 6797). */
export function createApp(deps: ApiDeps, tls: boolean): Hono {
  const app = new Hono();
  app.use(
    secureHeaders({
      contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
      xFrameOptions: "DENY",
      referrerPolicy: "no-referrer",
      strictTransportSecurity: tls ? "max-age=31536000" : false,
    }),
  );
  app.use(async (context, next) => {
    await next();
    context.header("cache-control", "no-store");
  });
  app.use(async (context, next) => {
    const refusal = refuseBody(context.req.raw.headers);
    if (refusal === null) await next();
    return refusal ?? undefined;
  });

  const get = (path: string, handler: () => Response) => {
    app.get(path, handler);
    app.all(path, () =>
      failure(405, "METHOD_NOT_ALLOWED", "this address takes GET only", { allow: "GET, HEAD" }),
    );
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

  app.notFound(() => failure(404, "NOT_FOUND", "there is nothing at this address"));
  app.onError((error) => {
    deps.onError(error);
    return failure(500, "INTERNAL", "internal error of the gateway; its log says more");
  });
  return app;
}

/**
 * Bodies announce their length (RFC 9110 section 15.5.12), so that a too large one is refused before any of it is read;
 * Node's parser takes no more than was announced.
 */
function refuseBody(headers: Headers): Response | null {
  const close = { connection: "close" };
  if (headers.has("transfer-encoding"))
    return failure(411, "LENGTH_REQUIRED", "a request body needs a Content-Length", close);
  if (Number(headers.get("content-length") ?? 0) > maxBodyBytes)
    return failure(413, "TOO_LARGE", `a request body has at most ${maxBodyBytes} bytes`, close);
  return null;
}

function failure(
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
): Response {
  return Response.json({ error: { code, message } }, { status, headers });
}
