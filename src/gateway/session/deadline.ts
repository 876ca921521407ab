/** When a session's time is over. */
import type { Principal } from "../../facts/principal.ts";
import { clockTolerance } from "../../identity/clock.ts";
import type { AuthenticatedClient } from "../ports.ts";
import type { Limits } from "../settings.ts";
import type { Deadline } from "./types.ts";

/** Seconds since the epoch. */
interface Times {
  /** When the session began. */
  readonly began: number;
  /** When its token was accepted: at the beginning, or when it was renewed. */
  readonly accepted: number;
}

/**
 * The first of: its token's end, its certificate's, and the longest time a session may last. A token that was accepted although it had
 * ended, because clocks differ, lets the session last until it would no longer be accepted.
 */
export function deadlineOf(
  principal: Principal,
  { certificateExpires = null }: AuthenticatedClient,
  { sessionSeconds = null }: Limits,
  { began, accepted }: Times,
): Deadline {
  const { expires } = principal.token;
  let earliest: Deadline = { at: expires > accepted ? expires : expires + clockTolerance, cause: "token" };
  if (certificateExpires !== null && certificateExpires < earliest.at)
    earliest = { at: certificateExpires, cause: "certificate" };
  if (sessionSeconds !== null && began + sessionSeconds < earliest.at)
    earliest = { at: began + sessionSeconds, cause: "limit" };
  return earliest;
}
