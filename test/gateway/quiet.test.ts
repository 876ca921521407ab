import { expect, test } from "vitest";
import { createQuiet } from "../../src/gateway/quiet.ts";

const failure = (code: string, ip = "192.0.2.1") => ({
  code,
  cause: "why",
  ip,
  port: 1,
  tls: null,
  user: null,
  database: null,
  application: null,
  tokenSha256: null,
});

test("of connections that show nothing only some are recorded, and how many were not", () => {
  let time = 0;
  const quiet = createQuiet(() => time);
  const recorded = (count: number, code: string, ip?: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => quiet(failure(code, ip?.(i)))).filter((one) => one !== null)
      .length;
  expect(recorded(500, "PROTOCOL")).toBe(60);
  // Others' are recorded all the same, up to a bound for all.
  expect(quiet(failure("TLS_REQUIRED", "192.0.2.2"))?.cause).toBe(
    "why (before it 440 refused connections were not recorded)",
  );
  expect(quiet(failure("TLS_REQUIRED", "192.0.2.2"))?.cause).toBe("why");
  expect(recorded(5_000, "STARTUP_TIMEOUT", (i) => `10.0.${i >> 8}.${i & 255}`)).toBe(938);
  // What says something of a token is always recorded: failed logins have waits of their own.
  for (const code of ["TOKEN_EXPIRED", "TOKEN_PROOF", "LOCKED_OUT", "CERTIFICATE_REFUSED", "TOKEN_MISSING"])
    expect(recorded(200, code)).toBe(200);
  time = 60_000;
  expect(quiet(failure("PROTOCOL"))?.cause).toContain("4062 refused connections");
  expect(recorded(100, "PROTOCOL")).toBe(59);
});
