/** When a session's time is over. */
import type { Principal } from "../../facts/principal.ts";
import type { AuthenticatedClient } from "../ports.ts";
import type { Limits } from "../settings.ts";
import type { Deadline } from "./types.ts";

/** The first of: its token's end, its certificate's, and the longest time a session may last. `beganAt`: seconds since the epoch. */
export function deadlineOf(
  principal: Principal,
  { certificateExpires = null }: AuthenticatedClient,
  { sessionSeconds = null }: Limits,
  beganAt: number,
): Deadline {
  let earliest: Deadline = { at: principal.token.expires, cause: "token" };
  if (certificateExpires !== null && certificateExpires < earliest.at)
    earliest = { at: certificateExpires, cause: "certificate" };
  if (sessionSeconds !== null && beganAt + sessionSeconds < earliest.at)
    earliest = { at: beganAt + sessionSeconds, cause: "limit" };
  return earliest;
}
