/** GET /api/events. */
import type { Hub, ReplayFrom } from "../live/hub.ts";
import { type Route, route } from "../routing.ts";
import { getEvents } from "../schema/events.ts";

export function eventRoutes(hub: Hub): Route[] {
  return [
    route(getEvents, ({ caller, context, query }) => {
      // Whether the caller still is who they were is asked of the same request's cookie or token.
      const { again } = context.var;
      const reader = hub.open(
        caller,
        async () => {
          try {
            await again();
            return true;
          } catch {
            return false;
          }
        },
        replayFrom(context.req.header("last-event-id"), query.recent),
      );
      return new Response(reader.stream, {
        headers: {
          "content-type": "text/event-stream; charset=utf-8",
          "cache-control": "no-store",
          // Proxies such as nginx would keep events back to fill a buffer.
          "x-accel-buffering": "no",
        },
      });
    }),
  ];
}

/** Last-Event-ID (WHATWG HTML, section 9.2.4) is what we gave, or nothing that we understand. */
function replayFrom(lastId: string | undefined, recent: number): ReplayFrom {
  if (lastId !== undefined && /^\d{1,15}$/.test(lastId)) return { kind: "after", index: Number(lastId) };
  return recent > 0 ? { kind: "recent", count: recent } : { kind: "now" };
}
