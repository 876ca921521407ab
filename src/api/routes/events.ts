/** GET /api/events. */
import type { Hub } from "../live/hub.ts";
import { type Route, route } from "../routing.ts";
import { getEvents } from "../schema/events.ts";

export function eventRoutes(hub: Hub): Route[] {
  return [
    route(getEvents, ({ caller, context }) => {
      // Whether the caller still is who they were is asked of the same request's cookie or token.
      const { again } = context.var;
      const reader = hub.open(caller, async () => {
        try {
          await again();
          return true;
        } catch {
          return false;
        }
      });
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
