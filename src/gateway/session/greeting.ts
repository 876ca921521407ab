/** The first bytes of a session. */
import {
  encodeAuthenticationOk,
  encodeBackendKeyData,
  encodeParameterStatus,
  encodeReadyForQuery,
} from "../../protocol/index.ts";
import type { AuthenticatedClient, UpstreamConnection } from "../ports.ts";

/** What the client gets when its session begins: PostgreSQL manual, "Start-up". */
export function greeting(
  client: AuthenticatedClient,
  upstream: UpstreamConnection,
  pid: number,
  key: Buffer,
): Buffer {
  const messages: Buffer[] = [encodeAuthenticationOk()];
  for (const [name, value] of upstream.parameters) {
    // Upstream the name is the gateway's; the client sees the one it gave.
    messages.push(
      encodeParameterStatus(name, name === "application_name" ? (client.application ?? "") : value),
    );
  }
  messages.push(encodeBackendKeyData(pid, key), ...upstream.notices, encodeReadyForQuery("I"));
  return Buffer.concat(messages);
}
