/**
 * Two settings decide what a text means to the server: client_encoding and standard_conforming_strings (PROTOCOL.md J1,
 * J2). It tells of a change only with ReadyForQuery, so what may change them is waited for, and a text behind it in the
 * same batch is not read. A change that nobody could see coming, with texts on their way that were read, ends the session.
 */

import type { Shape } from "./names.ts";
import { Kind } from "./queue.ts";
import type { Walk } from "./state.ts";

/** SET and RESET of a plainly written name. Whatever is not matched may be anything. */
const plainSetting =
  /^(?:set|reset)\s+(?:(?:session|local)\s+)?([a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)*)(?![^\s=;?])/i;
const harmful = /^(?:client_encoding|standard_conforming_strings|names|all|session|local)$/i;
/** A function that sets, or a name that may be one in disguise. */
const setter = /set_config|u&"/i;

const known = new WeakMap<Shape, boolean>();

/** Whether a statement of this shape may change the two settings, as far as that can be seen. */
export function unsettling(shape: Shape): boolean {
  let answer = known.get(shape);
  if (answer === undefined) {
    answer = judge(shape);
    known.set(shape, answer);
  }
  return answer;
}

function judge({ kind, command, stripped }: Shape): boolean {
  switch (kind) {
    case "unknown":
    case "do":
    case "call":
      return true;
    case "session": {
      if (command !== "SET" && command !== "RESET") return command === "DISCARD ALL";
      const name = plainSetting.exec(stripped)?.[1];
      return name === undefined || harmful.test(name);
    }
    default:
      return setter.test(stripped);
  }
}

/** The text means to the server what it means to us. */
export function settled(walk: Walk): boolean {
  return walk.utf8 && walk.conforming && walk.unsettledBatch < 0;
}

/** ParameterStatus: keeps the two settings. Ends the session when texts that were read are on their way. */
export function onSetting(walk: Walk, name: string, value: string): void {
  const before = walk.utf8 && walk.conforming;
  if (name === "client_encoding") walk.utf8 = value === "UTF8";
  else if (name === "standard_conforming_strings") walk.conforming = value === "on";
  else return;
  walk.touched = true;
  if (before && !(walk.utf8 && walk.conforming) && misread(walk))
    walk.fail(
      {
        sqlstate: "0A000",
        message: `"${name}" was changed under statements that were sent behind it; the session ends`,
        hint: "Change it with SET in a message of its own, and wait for the answer.",
      },
      `${name} changed under statements that were already read`,
    );
}

function misread(walk: Walk): boolean {
  // One that is read aside has not been sent, but what it says is being worked out.
  if (walk.stall?.until === "read") return true;
  const { items, head } = walk.queue;
  for (let i = head; i < items.length; i++) {
    const entry = items[i];
    if (entry === undefined || entry.count === 0 || entry.kind === Kind.copyEnd) continue;
    // At the head: the message that changed it, or the Sync of the batch in which one of several texts did.
    if (i > head || entry.count > 1) return true;
  }
  return false;
}
