import type { AnchorSettings } from "../settings.ts";
import { fileAnchor } from "./file.ts";
import { postgresAnchor } from "./postgres.ts";
import type { Anchor } from "./types.ts";
import { webhookAnchor } from "./webhook.ts";

/** The anchors that the settings name; `log` gets each checkpoint that is to go to the gateway's own log. */
export function makeAnchors(
  settings: readonly AnchorSettings[],
  log: (checkpoint: string, size: number) => void,
): Anchor[] {
  return settings.map((anchor) => makeAnchor(anchor, log));
}

function makeAnchor(anchor: AnchorSettings, log: (checkpoint: string, size: number) => void): Anchor {
  switch (anchor.kind) {
    case "log":
      return {
        name: "log",
        put: async ({ note, size }) => log(note, size),
        recent: null,
        close: async () => {},
      };
    case "file":
      return fileAnchor(anchor.dir);
    case "webhook":
      return webhookAnchor(anchor.url, anchor.secret);
    case "postgres":
      return postgresAnchor(anchor.url);
  }
}
