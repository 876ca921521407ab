/** Makes a used connection fit for the next session with the same login and start-up settings. */
import {
  decodeCommandComplete,
  decodeDataRow,
  decodeReadyForQuery,
  encodeQuery,
} from "../../protocol/index.ts";
import { attempt } from "./attempt.ts";
import type { OpenConnection } from "./connect.ts";
import { type Conversation, converse, decoded } from "./conversation.ts";
import type { Failures } from "./errors.ts";

/** Messages that may come unasked during a reset: settings going back, notifications still on their way. */
const maxUnasked = 1000;

/**
 * Runs DISCARD ALL (temporary tables, prepared statements, portals, session settings, advisory locks, LISTEN, sequence
 * caches) and checks that every reported setting has its start-up value again: an ALTER ROLE or a reload in between may
 * have changed what RESET goes back to. Resolves when the connection is as after its start-up, paused.
 * Rejects with UpstreamError when it is not, or after `timeoutMs` milliseconds; then it is closed.
 */
export function resetConnection(
  connection: OpenConnection,
  errors: Failures,
  timeoutMs: number,
): Promise<void> {
  return attempt(errors, { timeoutMs }, async (current) => {
    current.hold(connection.socket);
    const talk = converse(connection.socket, errors);
    const names = [...connection.parameters.keys()];
    // Names come from the server and go into SQL.
    if (!names.every((name) => /^[A-Za-z_][A-Za-z0-9_.]{0,62}$/.test(name))) {
      throw errors.protocol("a setting with a strange name");
    }
    talk.send(encodeQuery("DISCARD ALL"));
    const discarded = await run(talk, errors);
    if (discarded.tag !== "DISCARD ALL") throw errors.protocol("DISCARD ALL failed");
    const wanted = names.map((name) => `pg_catalog.current_setting('${name}')`);
    talk.send(encodeQuery(`SELECT ${wanted.join(", ")}`));
    const shown = await run(talk, errors);
    const before = [...connection.parameters.values()];
    const same = shown.tag === "SELECT 1" && shown.row?.length === names.length;
    if (!same || before.some((value, at) => shown.row?.[at] !== value)) {
      throw errors.protocol("settings differ after DISCARD ALL");
    }
    if (talk.end() > 0) throw errors.protocol("data behind ReadyForQuery");
  });
}

/** One simple Query up to its ReadyForQuery, which must say that no transaction is open. */
async function run(
  talk: Conversation,
  errors: Failures,
): Promise<{ tag: string; row: (string | null)[] | null }> {
  let tag: string | null = null;
  let row: (string | null)[] | null = null;
  for (let unasked = 0; unasked < maxUnasked; ) {
    const { type, body } = await talk.next();
    switch (String.fromCharCode(type)) {
      case "S":
      case "N":
      case "A":
        unasked++;
        break;
      case "T":
        break;
      case "D":
        if (row !== null) throw errors.protocol("more than one row");
        row = decoded(errors, () => decodeDataRow(body)).values.map(
          (value) => value?.toString("utf8") ?? null,
        );
        break;
      case "C":
        if (tag !== null) throw errors.protocol("more than one result");
        ({ tag } = decoded(errors, () => decodeCommandComplete(body)));
        break;
      case "Z":
        if (tag === null || decoded(errors, () => decodeReadyForQuery(body)).status !== "I") {
          throw errors.protocol("not idle after a reset");
        }
        return { tag, row };
      default:
        // ErrorResponse is among them.
        throw errors.protocol("unexpected answer during a reset");
    }
  }
  throw errors.protocol("too many messages during a reset");
}
