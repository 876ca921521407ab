/**
 * A Query whose effect may have to be taken back goes to the server as messages of the extended protocol, of the same bytes:
 * before their Sync nothing is committed. Under names of the gateway's own: the client's unnamed statement stays what it was.
 */
import { encodeClose, encodeDescribe, encodeFrontend, flush } from "../../protocol/index.ts";
import type { Judgement } from "./judgement.ts";

const name = "postern_query";

/** Gives up the names again; sent in front, too, as a statement that failed could not. */
export const reissueEnd: readonly Buffer[] = [encodeClose("portal", name), encodeClose("statement", name)];

/** Whether a limit may be found to be broken only when the rows are changed. */
export function mustTakeBack({ decision, facts, outputs }: Judgement): boolean {
  if (decision === null || !facts.effects.includes("write") || facts.kind === "copy") return false;
  const { affectedRows, rows, bytes } = decision.limits;
  return affectedRows !== null || ((rows !== null || bytes !== null) && outputs !== null);
}

/** The messages, without the Sync that commits. */
export function reissue(bytes: Buffer): readonly Buffer[] {
  return [
    ...reissueEnd,
    encodeFrontend({ type: "parse", name, text: bytes.toString("utf8"), bytes, parameterTypes: [] }),
    encodeFrontend({
      type: "bind",
      portal: name,
      statement: name,
      parameterFormats: [],
      parameters: [],
      resultFormats: [],
    }),
    encodeDescribe("portal", name),
    encodeFrontend({ type: "execute", portal: name, maxRows: 0 }),
    flush,
  ];
}
