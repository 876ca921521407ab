/** When a session's time is over. */
import { expect, test } from "vitest";
import type { Principal } from "../../src/facts/principal.ts";
import type { AuthenticatedClient } from "../../src/gateway/ports.ts";
import { deadlineOf } from "../../src/gateway/session/deadline.ts";
import type { Limits } from "../../src/gateway/settings.ts";

/** The deadline of a session that began at 1,000. */
function deadline(expires: number, accepted = 1_000, certificate?: number, most?: number) {
  return deadlineOf(
    { token: { expires } } as Principal,
    (certificate === undefined ? {} : { certificateExpires: certificate }) as AuthenticatedClient,
    (most === undefined ? {} : { sessionSeconds: most }) as Limits,
    { began: 1_000, accepted },
  );
}

test("the first end counts: of the token, of the certificate, of the longest session", () => {
  expect(deadline(1_300)).toEqual({ at: 1_300, cause: "token" });
  expect(deadline(1_300, 1_000, 1_200)).toEqual({ at: 1_200, cause: "certificate" });
  expect(deadline(1_300, 1_000, 1_200, 100)).toEqual({ at: 1_100, cause: "limit" });
});

test("a token that had ended within the tolerance for clocks lasts to the end of that, when it begins and when it is renewed", () => {
  expect(deadline(990)).toEqual({ at: 1_020, cause: "token" });
  expect(deadline(1_000)).toEqual({ at: 1_030, cause: "token" });
  expect(deadline(1_490, 1_500)).toEqual({ at: 1_520, cause: "token" });
  expect(deadline(1_510, 1_500)).toEqual({ at: 1_510, cause: "token" });
});
