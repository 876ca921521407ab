/** The webhook anchor: each checkpoint is POSTed to a URL of somebody who keeps it. */
import { createHmac } from "node:crypto";
import type { SecretSource } from "../../facts/secret.ts";
import { type Anchor, AnchorError } from "./types.ts";

/**
 * The value of the `postern-signature` header: `t=<seconds>,v1=<hex HMAC-SHA-256(secret, "<seconds>." ‖ body)>`. The time
 * is under the MAC so that an old request cannot be sent again unseen.
 */
export function webhookSignature(secret: string, seconds: number, body: string): string {
  const mac = createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex");
  return `t=${seconds},v1=${mac}`;
}

/** `url`: https, or http on loopback. Any 2xx answer means kept; redirects are not followed. */
export function webhookAnchor(url: string, secret: SecretSource | null): Anchor {
  return {
    name: `webhook:${new URL(url).host}`,
    async put({ origin, size, note }, signal) {
      const body = JSON.stringify({ type: "postern-checkpoint", origin, size, checkpoint: note });
      const headers: Record<string, string> = {
        "content-type": "application/json",
        "user-agent": "postern",
        "idempotency-key": `${origin}/${size}`,
      };
      if (secret !== null)
        headers["postern-signature"] = webhookSignature(
          await secret.read(),
          Math.floor(Date.now() / 1000),
          body,
        );
      const answer = await fetch(url, { method: "POST", headers, body, signal, redirect: "error" });
      // Nothing that it says is of interest, however long it is.
      await answer.body?.cancel();
      if (!answer.ok) throw new AnchorError(`answered ${answer.status}`);
    },
    recent: null,
    async close() {},
  };
}
