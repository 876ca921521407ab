/** Routes as values: who may call, what comes in, what goes out. OpenAPI and the console's types are made from the same. */
import type { Context, Hono } from "hono";
import type { z } from "zod";
import type { ApiEnv, Caller, Role } from "./env.ts";
import { ApiError } from "./failure.ts";

/**
 * Who may call a route: one of these roles; `agent`: also principals of kind agent and service; "anyone": nobody is asked who they are.
 */
export type Allowed = "anyone" | readonly (Role | "agent")[];

export interface RouteSpec {
  readonly method: "GET" | "POST" | "DELETE";
  /** Hono's form: `/api/sessions/:id`. */
  readonly path: `/api/${string}`;
  readonly summary: string;
  readonly allow: Allowed;
  readonly query?: z.ZodType;
  readonly body?: z.ZodType;
  /** Bytes of the body; left out: 64 KiB. */
  readonly maxBody?: number;
  /** What a successful answer holds; null: nothing (204), or no JSON. */
  readonly answer: z.ZodType | null;
  /** Of a successful answer without JSON, for OpenAPI. */
  readonly media?: string;
}

type Read<T> = T extends z.ZodType ? z.output<T> : undefined;

/** One request, checked. */
export interface Call<S extends RouteSpec> {
  readonly query: Read<S["query"]>;
  readonly body: Read<S["body"]>;
  /** Parts of the path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly caller: S["allow"] extends "anyone" ? null : Caller;
  readonly ip: string;
  readonly context: Context<ApiEnv>;
}

export type Answer<S extends RouteSpec> = S["answer"] extends z.ZodType ? z.output<S["answer"]> : null;

export interface Route {
  readonly spec: RouteSpec;
  readonly mount: (app: Hono<ApiEnv>) => void;
}

const defaultMaxBody = 64 * 1024;
const maxIssues = 10;

/** Binds a spec to what it does. The handler gives the answer, or a Response of its own (streams); it throws ApiError to refuse. */
export function route<S extends RouteSpec>(
  spec: S,
  handler: (call: Call<S>) => Promise<Answer<S> | Response> | Answer<S> | Response,
): Route {
  const work = async (context: Context<ApiEnv>): Promise<Response> => {
    const caller = spec.allow === "anyone" ? null : await permitted(context, spec.allow);
    const query = spec.query === undefined ? undefined : check(spec.query, queryOf(context), "query");
    const body =
      spec.body === undefined ? undefined : check(spec.body, await readBody(context, spec), "body");
    const answer = await handler({
      query,
      body,
      params: context.req.param(),
      caller,
      ip: context.get("ip"),
      context,
    } as Call<S>);
    if (answer instanceof Response) return answer;
    return answer === null ? new Response(null, { status: 204 }) : Response.json(answer);
  };
  return { spec, mount: (app) => void app.on(spec.method, spec.path, work) };
}

/** Throws ApiError 401, and 403 FORBIDDEN for a caller without any of the roles. */
async function permitted(context: Context<ApiEnv>, allow: readonly (Role | "agent")[]): Promise<Caller> {
  const caller = await context.get("authenticate")();
  const { kind } = caller.principal;
  const fits = allow.some((one) => (one === "agent" ? kind !== "human" : caller.roles.has(one)));
  if (!fits)
    throw new ApiError(
      "FORBIDDEN",
      kind === "human"
        ? `this needs the role ${allow.filter((one) => one !== "agent").join(" or ")}`
        : "this is for people: agents and services may not call it",
    );
  return caller;
}

/** One value a name; a name given twice is refused, since two readers could take different ones. */
function queryOf(context: Context<ApiEnv>): Record<string, string> {
  const values: Record<string, string> = Object.create(null);
  for (const [name, list] of Object.entries(context.req.queries())) {
    if (list.length > 1)
      throw new ApiError("BAD_REQUEST", `the parameter ${name.slice(0, 64)} is given twice`);
    values[name] = list[0] ?? "";
  }
  return values;
}

async function readBody(context: Context<ApiEnv>, spec: RouteSpec): Promise<unknown> {
  const max = spec.maxBody ?? defaultMaxBody;
  const length = Number(context.req.header("content-length") ?? 0);
  if (length > max) throw new ApiError("TOO_LARGE", `the body of this request has at most ${max} bytes`);
  if (length === 0) return {};
  // A form of another site cannot send this type without being asked first (Fetch standard, CORS-safelisted request headers).
  if (!/^application\/json *(;|$)/i.test(context.req.header("content-type") ?? ""))
    throw new ApiError("UNSUPPORTED_MEDIA_TYPE", "the body must be application/json");
  const bytes = new Uint8Array(await context.req.arrayBuffer());
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new ApiError("BAD_REQUEST", "the body is not JSON in UTF-8");
  }
}

/** Throws ApiError BAD_REQUEST that names what is wrong where, without repeating values. */
function check(schema: z.ZodType, value: unknown, what: string): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.slice(0, maxIssues).map(({ path, message }) => ({
    path: path.map(String).join(".").slice(0, 200),
    message: message.slice(0, 200),
  }));
  throw new ApiError("BAD_REQUEST", `the ${what} of this request is not as expected`, { issues });
}

/** Mounts routes, and answers other methods at their addresses with 405. */
export function mountRoutes(app: Hono<ApiEnv>, routes: readonly Route[]): void {
  for (const one of routes) one.mount(app);
  const methods = Map.groupBy(routes, ({ spec }) => spec.path);
  for (const [path, here] of methods) {
    const allow = here.map(({ spec }) => (spec.method === "GET" ? "GET, HEAD" : spec.method)).join(", ");
    app.all(path, () => {
      throw new ApiError("METHOD_NOT_ALLOWED", `this address takes ${allow}`, {}, { allow });
    });
  }
}
