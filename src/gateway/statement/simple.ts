/** The simple Query message: one text, any number of statements (PostgreSQL manual, "Simple Query"). */
import { uuidv7 } from "../../audit/index.ts";
import type { StatementProtocol } from "../../facts/audit.ts";
import type { MessageText } from "../../sql/index.ts";
import {
  contextOf,
  emptyShape,
  innerStatement,
  intent,
  prepare,
  readable,
  resolved,
  run,
  sealedWhole,
} from "./intend.ts";
import { getPortal, type PreparedStatement } from "./names.ts";
import { expected, Kind, type Part, push } from "./queue.ts";
import type { Verdict } from "./receive.ts";
import { badText, refuseQuery, refuseUnrecorded, tooLarge } from "./refuse.ts";
import type { Walk } from "./state.ts";

/** Texts above this are parsed beside the event loop. */
export const inlineBytes = 64 * 1024;

export function refuseLargeQuery(walk: Walk): readonly Buffer[] {
  return refuseQuery(walk, tooLarge(walk.limits.statementBytes));
}

/** What a simple Query holds: nothing executed yet. */
export function onQuery(walk: Walk, body: Buffer): Verdict {
  if (body.length === 0 || body.indexOf(0) !== body.length - 1) return refuseQuery(walk, badText);
  const bytes = body.subarray(0, body.length - 1);
  const text = readable(walk, bytes);
  if (text !== null && bytes.length > inlineBytes) {
    // The message waits here, and everything behind it; its copy must outlive the chunk.
    const whole = Buffer.from(body);
    aside(walk, text, (message) => forwardQuery(walk, whole, message));
    return [];
  }
  return intendQuery(walk, text === null ? sealedWhole(bytes) : walk.reader.read(text), bytes);
}

function forwardQuery(walk: Walk, body: Buffer, message: MessageText): readonly Buffer[] {
  const verdict = intendQuery(walk, message, body.subarray(0, body.length - 1));
  if (typeof verdict !== "string") return verdict;
  const header = Buffer.allocUnsafe(5);
  header[0] = 0x51;
  header.writeInt32BE(body.length + 4, 1);
  return [header, body];
}

/** Reads a large text in a worker while the client's stream stands still, then sends what `then` gives. */
export function aside(walk: Walk, text: string, then: (message: MessageText) => readonly Buffer[]): void {
  const stall = { until: "read" } as const;
  walk.stall = stall;
  walk.reader.readLarge(text).then(
    (message) => {
      if (walk.stall !== stall) return;
      walk.stall = null;
      // An error that came meanwhile may have made the server skip to Sync.
      if (!walk.skipping) walk.toServer.write(then(message), walk.durability);
      walk.resume();
    },
    () =>
      walk.fail({ sqlstate: "58000", message: "internal error while reading a statement" }, "reader failed"),
  );
}

function intendQuery(walk: Walk, message: MessageText, bytes: Buffer): Verdict {
  const request = uuidv7();
  const { statements } = message;
  const parts: Part[] = [];
  let changes = false;
  let prepared: Map<string, PreparedStatement> | null = null;
  try {
    if (statements.length === 0) {
      const context = contextOf(walk, emptyShape);
      parts.push({
        intent: intent(walk, request, context, "simple", 0, "", "", '{"sql":""}', "[]"),
        statement: null,
      });
    }
    for (let index = 0; index < statements.length; index++) {
      const part = statements[index] as MessageText["statements"][number];
      const statement = prepare(walk, part.text, part.shape, message.parsed ? null : bytes);
      const { names } = part.shape;
      let sealed = statement.sealed;
      let name = "";
      let protocol: StatementProtocol = part.shape.copy === null ? "simple" : "copy";
      for (const effect of names) {
        if (effect.kind === "execute" && effect.name !== null) {
          protocol = "sql-execute";
          name = effect.name;
          sealed += resolved(prepared?.get(name) ?? walk.names.statements.get(name));
        } else if (effect.kind === "fetch" || effect.kind === "close") {
          protocol = "cursor";
          name = effect.name ?? "";
          sealed += resolved(getPortal(walk.names, name)?.statement);
        } else {
          changes = true;
          if (effect.kind === "prepare" && effect.name !== null) {
            prepared ??= new Map();
            prepared.set(effect.name, innerStatement(walk, effect.text ?? "", part.shape.secret));
          }
        }
      }
      parts.push({
        intent: intent(walk, request, statement.context, protocol, index, name, "", `${sealed}}`, "[]"),
        statement: names.length === 0 && part.shape.copy === null ? null : statement,
      });
    }
  } catch (error) {
    return refuseUnrecorded(walk, error, true);
  }
  walk.counters.statements += parts.length;
  const entry = expected(Kind.query, walk.batch++, run(request, parts), null, null);
  push(walk.queue, entry);
  // What comes behind may use names that only the server's answer makes certain.
  if (changes) walk.stall = { until: "answered", entry };
  return "forward";
}
