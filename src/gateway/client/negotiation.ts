/** From the first byte to a startup packet or a cancel request (PROTOCOL.md A1-A5; backend_startup.c). */
import { decodeStartupPacket, maxStartupLength, type StartupPacket } from "../../protocol/index.ts";
import type { Line } from "./line.ts";
import { Over, protocolRefusal, Refusal } from "./refusal.ts";
import { alpnName, HandshakeError, peerCertificate, type TlsFront } from "./secure.ts";

/** First byte of a TLS record that holds a handshake message (RFC 8446 section 5.1). */
const tlsHandshake = 0x16;

/** What the first four bytes of a Terminate message ('X', then its length, 4) read as for a startup packet's length, less 4. */
const terminated = 0x58_00_00_00 - 4;

export type Opening = Extract<StartupPacket, { kind: "startup" | "cancel" }>;

/**
 * Answers SSLRequest and GSSENCRequest (each once, in either order, neither again behind TLS), takes up direct TLS, and
 * gives the packet that follows. `line.socket` is the TLS socket afterwards if there is TLS.
 * @param front null when no certificate is configured.
 * Throws Refusal, ProtocolError, or Over when the client leaves between two packets.
 */
export async function open(line: Line, front: () => TlsFront | null): Promise<Opening> {
  let ssl = false;
  let gss = false;
  for (let first = true; ; first = false) {
    const lead = await line.take(1);
    // Nothing, or nothing more: a health check, a port scan, a client that wanted TLS or GSS and is told "N".
    if (lead === null) throw new Over();
    if (first && lead[0] === tlsHandshake) {
      await directTls(line, front(), lead);
      continue;
    }
    const packet = decodeStartupPacket(await packetBody(line, lead));
    switch (packet.kind) {
      case "startup":
      case "cancel":
        return packet;
      case "ssl": {
        if (ssl) throw protocolRefusal("a second SSL request, or one inside TLS");
        ssl = true;
        const usable = line.tls === null && !line.unix ? front() : null;
        requestStandsAlone(line, "SSL");
        if (usable === null) {
          line.write(Buffer.from("N"));
        } else {
          gss = true;
          line.write(Buffer.from("S"));
          await handshake(line, usable);
        }
        break;
      }
      case "gssenc":
        if (gss) throw protocolRefusal("a second GSSAPI encryption request, or one inside TLS");
        gss = true;
        requestStandsAlone(line, "GSSAPI encryption");
        line.write(Buffer.from("N"));
        break;
    }
  }
}

async function packetBody(line: Line, lead: Buffer): Promise<Buffer> {
  const tail = await line.take(3);
  if (tail === null) throw cut();
  const length = Buffer.concat([lead, tail]).readInt32BE(0) - 4;
  // Terminate instead of a startup packet: a driver whose caller hung up at once (node-postgres' connect() and end()).
  if (length === terminated && (await line.take(1))?.[0] === 4) throw new Over();
  if (length < 4 || length > maxStartupLength) throw protocolRefusal("invalid length of startup packet");
  const body = await line.take(length);
  if (body === null) throw cut();
  return body;
}

/**
 * Bytes behind the request, before it is answered, were written by somebody who does not wait for TLS: taken for part of
 * the encrypted stream they would be an attacker's words in the client's mouth (CVE-2021-23214).
 */
function requestStandsAlone(line: Line, what: string): void {
  if (line.inbox.buffered > 0) throw protocolRefusal(`received unencrypted data after ${what} request`);
}

async function directTls(line: Line, front: TlsFront | null, lead: Buffer): Promise<void> {
  if (front === null || line.unix)
    throw new Refusal({ code: "TLS", cause: "direct TLS, but this listener has no TLS", answer: null });
  const hello = Buffer.concat([lead, line.inbox.detach()]);
  line.socket.unshift(hello);
  const protocol = await handshake(line, front);
  if (protocol !== alpnName)
    throw new Refusal({
      code: "TLS",
      cause: `direct TLS without ALPN "${alpnName}"`,
      answer: {
        sqlstate: "08P01",
        message: "received direct SSL connection request without ALPN protocol negotiation extension",
      },
    });
}

/** @returns the ALPN protocol agreed on, if any. */
async function handshake(line: Line, front: TlsFront): Promise<string | null> {
  line.beginHandshake();
  try {
    const socket = await line.until(front.upgrade(line.raw));
    line.endHandshake(socket, socket.getProtocol() ?? "unknown", peerCertificate(socket));
    return socket.alpnProtocol || null;
  } catch (error) {
    if (error instanceof HandshakeError)
      throw new Refusal({ code: "TLS", cause: `TLS handshake failed: ${error.message}`, answer: null });
    throw error;
  }
}

function cut(): Refusal {
  return protocolRefusal("the connection was closed in the middle of the startup packet");
}
