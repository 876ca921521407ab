/**
 * Differences between a direct run of the regression suite and one through Postern that are meant: all of them come of
 * connections that are used again (docs/conformance.md), and are gone with `pool: { reset: close }`.
 */
export interface KnownDifference {
  readonly why: string;
  /** Takes what differs out of an output; the rest must be the same. */
  readonly normalise: (output: string) => string;
}

/** By the names of suite and test. */
export const known: Readonly<Record<string, KnownDifference>> = {
  "regress: guc": {
    why: "plpgsql stays loaded in a connection that is used again, and refuses an unknown plpgsql.… setting at once",
    normalise: (output) =>
      output
        .replaceAll(/^ERROR: {2}invalid configuration parameter name "plpgsql\.\w+"\nDETAIL: .*\n/gm, "")
        .replaceAll(
          /^WARNING: {2}invalid configuration parameter name "plpgsql\.\w+", removing it\nDETAIL: .*\n/gm,
          "",
        ),
  },
  "regress: temp": {
    why: "a connection that is used again has its temporary schema already",
    normalise: (output) =>
      output.replace(
        /^ERROR: {2}cannot PREPARE a transaction that has operated on temporary objects\n/gm,
        "",
      ),
  },
  "regress: stats": {
    why: "reconnecting through Postern begins no new session on the server",
    normalise: (output) => output.replace(/^(SELECT sessions > .*\n.*\n-+\n) [tf]$/m, "$1 ?"),
  },
};
