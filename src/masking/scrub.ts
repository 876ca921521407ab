/**
 * Texts of the server that may hold protected values: "invalid input syntax for type integer: …", "Key (email)=(…) already
 * exists", RAISE NOTICE. What is kept says what went wrong, never with which value.
 */
import { decodeErrorFields, ProtocolError } from "../protocol/index.ts";
import { Writer } from "../protocol/writer.ts";

/** Names of things: schema, table, column, data type, constraint. */
export type NameField = "s" | "t" | "c" | "d" | "n";
const nameFields: readonly NameField[] = ["s", "t", "c", "d", "n"];
/** NAMEDATALEN - 1. */
const maxName = 63;

const errorSeverities = ["ERROR", "FATAL", "PANIC"];
const noticeSeverities = ["WARNING", "NOTICE", "DEBUG", "INFO", "LOG"];

/** SQLSTATE classes (manual, appendix A) in words. */
const classes: Readonly<Record<string, string>> = {
  "00": "a message",
  "01": "a warning",
  "02": "no data",
  "08": "a connection exception",
  "09": "a triggered action exception",
  "0A": "a feature that is not supported",
  "0B": "an invalid transaction initiation",
  "0L": "an invalid grantor",
  "0P": "an invalid role",
  "0Z": "a diagnostics exception",
  "20": "a case that was not found",
  "21": "a cardinality violation",
  "22": "a data exception",
  "23": "an integrity constraint violation",
  "24": "an invalid cursor state",
  "25": "an invalid transaction state",
  "26": "an invalid statement name",
  "27": "a triggered data change violation",
  "28": "an invalid authorization",
  "2B": "dependent privileges",
  "2D": "an invalid transaction termination",
  "2F": "an exception of an SQL function",
  "34": "an invalid cursor name",
  "38": "an external routine exception",
  "39": "an external routine invocation exception",
  "3B": "a savepoint exception",
  "3D": "an invalid database name",
  "3F": "an invalid schema name",
  "40": "a transaction rollback",
  "42": "a syntax error or access rule violation",
  "44": "a WITH CHECK OPTION violation",
  "53": "insufficient resources",
  "54": "a program limit that was exceeded",
  "55": "an object that is not in the needed state",
  "57": "an operator's intervention",
  "58": "a system error",
  F0: "a configuration file error",
  HV: "a foreign data wrapper error",
  P0: "an exception of a PL/pgSQL function",
  XX: "an internal error",
};

/** States that are worth their own words. */
const states: Readonly<Record<string, string>> = {
  "22003": "a numeric value that is out of range",
  "22007": "an invalid date or time",
  "22012": "a division by zero",
  "22P02": "a value that is no valid input of its type",
  "23502": "a NULL in a column that must not hold one",
  "23503": "a foreign key violation",
  "23505": "a unique violation",
  "23514": "a check violation",
  "23P01": "an exclusion violation",
  "40001": "a serialization failure; the transaction may be tried again",
  "40P01": "a deadlock; the transaction may be tried again",
  "42501": "insufficient privilege",
  "55P03": "a lock that is not available",
  "57014": "a cancelled or timed-out statement",
};

/**
 * Replaces the texts of an ErrorResponse. Severity, SQLSTATE and names of schema, table, column, type and constraint stay;
 * message, detail, hint, context, internal query, positions and source lines go.
 * @param body of the message. One that cannot be read becomes an error of SQLSTATE XX000.
 * @param request what the record of the statement can be found by.
 * @param isName tells whether a name is one of the catalog: a function may put a value there (RAISE … USING TABLE). Left
 *   out: names of 63 bytes or less pass where PostgreSQL itself sets them.
 * @returns the whole message. Never throws.
 */
export function scrubError(
  body: Buffer,
  request: string,
  isName: (field: NameField, name: string) => boolean = anyName,
): Buffer {
  return scrub("E", body, request, errorSeverities, isName);
}

/** The same for a NoticeResponse. */
export function scrubNotice(
  body: Buffer,
  request: string,
  isName: (field: NameField, name: string) => boolean = anyName,
): Buffer {
  return scrub("N", body, request, noticeSeverities, isName);
}

function anyName(): boolean {
  return true;
}

function scrub(
  type: "E" | "N",
  body: Buffer,
  request: string,
  severities: readonly string[],
  isName: (field: NameField, name: string) => boolean,
): Buffer {
  const fields = fieldsOf(body);
  // S may be in the server's language; V is not, but is left out by servers before 9.6.
  const given = fields.get("V") ?? fields.get("S") ?? "";
  const severity = severities.includes(given) ? given : (severities[0] as string);
  const stated = fields.get("C") ?? "";
  const known = classes[stated.slice(0, 2)] !== undefined;
  // A function may raise a state of its own making, five characters of a value: only PostgreSQL's classes pass.
  const code = known && /^[0-9A-Z]{5}$/.test(stated) ? stated : type === "E" ? "XX000" : "01000";
  const what = states[code] ?? classes[code.slice(0, 2)] ?? "an error";
  const said = type === "E" ? "error" : "notice";
  const w = new Writer(type.charCodeAt(0), 256);
  const put = (field: string, text: string): void => {
    w.byte(field.charCodeAt(0)).string(text.replaceAll("\0", ""));
  };
  put("S", severity);
  put("V", severity);
  put("C", code);
  put("M", `${what} (the server's ${said} text is withheld: it may hold protected values)`);
  if (request !== "") put("H", `The audit log has this statement under ${request}.`);
  // PostgreSQL names things in integrity violations and type errors; elsewhere only a function of the user does.
  if (/^(?:22|23|42)/.test(code))
    for (const field of nameFields) {
      const name = fields.get(field);
      if (name !== undefined && Buffer.byteLength(name) <= maxName && isName(field, name)) put(field, name);
    }
  return w.byte(0).finish();
}

function fieldsOf(body: Buffer): ReadonlyMap<string, string> {
  try {
    return decodeErrorFields(body);
  } catch (error) {
    if (error instanceof ProtocolError) return new Map();
    throw error;
  }
}
