/** Whom no rule lets change anything, now or later: their transactions are READ ONLY. */
import { expect, test, vi } from "vitest";
import { readsOnly } from "../../src/gateway/readonly.ts";
import { principal, rules, session } from "../policy/support.ts";

const reads = "r: allow statement.effects == ['read']";
const reading = (...more: readonly string[]) => readsOnly(rules(reads, ...more), principal(), session());

test.each<[string, boolean, readonly string[]]>([
  ["reads alone", true, []],
  ["writes", false, ["w: allow 'write' in statement.effects"]],
  ["writes by others", true, ["w: allow principal.kind == 'human' && 'write' in statement.effects"]],
  [
    "writes that are denied",
    true,
    ["w: allow 'write' in statement.effects", "d: deny principal.kind == 'agent'"],
  ],
  ["writes that people agree to", false, ["w: approve 'write' in statement.effects"]],
  ["writes in office hours", false, ["w: allow now.getHours() >= 8 && 'write' in statement.effects"]],
  [
    "writes that are denied at night",
    false,
    ["w: allow 'write' in statement.effects", "d: deny now.getHours() < 8"],
  ],
  ["reads in office hours", true, ["w: allow now.getHours() >= 8 && statement.effects == ['read']"]],
  ["cheap writes", false, ["w: allow estimate.cost < 5.0 && 'write' in statement.effects"]],
])("%s: %s", (_what, expected, more) => {
  // The session begins at night, and lasts.
  vi.useFakeTimers({ now: new Date("2026-11-23T03:00:00Z"), toFake: ["Date"] });
  try {
    expect(reading(...more)).toBe(expected);
  } finally {
    vi.useRealTimers();
  }
});
