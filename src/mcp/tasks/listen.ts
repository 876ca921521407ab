/** Who wants to be told of tasks must say that it follows them (SEP-2663, "Task Status Notifications"). Nobody is told here: clients ask. */
import { CLIENT_CAPABILITIES_META_KEY } from "@modelcontextprotocol/server";
import { z } from "zod";
import { tasksExtension } from "../claimed.ts";
import { undeclared } from "./wire.ts";

const method = "subscriptions/listen";
/** Lists of what to listen to are short. */
const maxBytes = 64 * 1024;

const listening = z.object({
  id: z.union([z.string(), z.number()]),
  params: z.object({
    _meta: z.object({
      [CLIENT_CAPABILITIES_META_KEY]: z.object({ extensions: z.record(z.string(), z.unknown()).optional() }),
    }),
    notifications: z.object({ taskIds: z.array(z.unknown()) }),
  }),
});

/** The refusal of a subscription to tasks; null: it is none, or may go on. The request stays readable. */
export async function listenFault(request: Request): Promise<Response | null> {
  const length = Number(request.headers.get("content-length") ?? Number.NaN);
  if (request.headers.get("mcp-method") !== method || !(length <= maxBytes)) return null;
  const body: unknown = await request
    .clone()
    .json()
    .catch(() => null);
  const parsed = listening.safeParse(body);
  if (!parsed.success) return null;
  const { id, params } = parsed.data;
  if (params._meta[CLIENT_CAPABILITIES_META_KEY].extensions?.[tasksExtension] !== undefined) return null;
  const { code, message, data } = undeclared();
  return Response.json({ jsonrpc: "2.0", id, error: { code, message, data } }, { status: 400 });
}
