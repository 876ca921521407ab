/** A connection of a local client, taken to the gateway: TLS is verified and the token put in on the way. */
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import {
  decodePassword,
  decodeStartupPacket,
  encodeAuthenticationCleartext,
  encodeError,
  encodeFrontend,
  encodeSslRequest,
  encodeStartup,
  scramClient,
} from "../../protocol/index.ts";
import { ByteReader, GoneError } from "./bytereader.ts";
import { readAuthority } from "./gateway.ts";

export interface WirePlace {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** PEM file; null: the system's authorities. */
  readonly ca: string | null;
}

export interface WireRules {
  readonly place: WirePlace;
  readonly database: string;
  /** What a local client must know; null: the socket's folder keeps others out. */
  readonly password: ((given: string) => boolean) | null;
  /** A token and the user that names it. Rejects when there is none. */
  token(): Promise<{ readonly token: string; readonly user: string }>;
  /** Startup options to be added, such as `-c postern.run=…`; "" for none. */
  readonly options: string;
  /** The startup user must name the token: the gateway offers SCRAM alone. */
  readonly scramOnly: boolean;
  /** Something went wrong that the person at the terminal should know. */
  tell(line: string): void;
}

const maxMessage = 65_536;
const timeoutMs = 30_000;

/** Serves one local connection. Never rejects. */
export async function serveLocal(local: Socket, rules: WireRules): Promise<void> {
  local.on("error", () => local.destroy());
  const client = new ByteReader(local);
  const timer = setTimeout(() => local.destroy(), timeoutMs);
  let remote: Socket | null = null;
  try {
    const packet = await readStartup(local, client);
    if (packet.kind === "cancel") {
      remote = await dial(rules.place);
      // The gateway closes when the cancel took effect, and so do we.
      remote.end(packet.raw);
      remote.resume();
      remote.on("close", () => local.end());
      return;
    }
    remote = await dial(rules.place);
    const held = remote;
    local.on("close", () => held.destroy());
    remote.on("close", () => local.end());
    const { token, user } = await rules.token();
    const parameters = new Map(packet.parameters);
    parameters.set("database", rules.database);
    if (rules.scramOnly) parameters.set("user", user);
    if (rules.options !== "")
      parameters.set("options", `${parameters.get("options") ?? ""} ${rules.options}`.trim());
    const startup = encodeStartup(parameters);
    startup.writeInt32BE((3 << 16) | packet.minor, 4);
    remote.write(startup);
    const server = new ByteReader(remote);
    await authenticate({ local, client, remote, server, token }, rules);
    client.handOver(local, remote);
    server.handOver(remote, local);
  } catch (error) {
    if (!(error instanceof GoneError)) {
      const message = error instanceof Error ? error.message : "failed";
      rules.tell(message);
      if (!local.destroyed)
        local.end(encodeError({ severity: "FATAL", code: "08006", message: `postern connect: ${message}` }));
    } else local.end();
    remote?.destroy();
  } finally {
    clearTimeout(timer);
  }
}

type Local =
  | { readonly kind: "cancel"; readonly raw: Buffer }
  | { readonly kind: "startup"; readonly minor: number; readonly parameters: ReadonlyMap<string, string> };

/** The packet behind any SSLRequest and GSSENCRequest, which are answered "N": nothing leaves the machine here. */
async function readStartup(local: Socket, client: ByteReader): Promise<Local> {
  for (let asked = 0; asked < 3; asked++) {
    const head = await client.take(4);
    const length = head.readInt32BE(0);
    if (length < 8 || length > 10_004) throw new Error("the client sent no startup packet");
    const body = await client.take(length - 4);
    const packet = decodeStartupPacket(body);
    switch (packet.kind) {
      case "ssl":
      case "gssenc":
        local.write("N");
        break;
      case "cancel":
        return { kind: "cancel", raw: Buffer.concat([head, body]) };
      case "startup":
        return packet;
    }
  }
  throw new Error("the client sent no startup packet");
}

/** A connection to the gateway; under TLS with its certificate and name verified. Rejects with an Error for the user. */
export async function dial(place: WirePlace): Promise<Socket> {
  const ca = place.tls && place.ca !== null ? readAuthority(place.ca) : null;
  const socket = connect({ host: place.host, port: place.port, noDelay: true, timeout: timeoutMs });
  socket.on("timeout", () => socket.destroy(new Error("no answer in time")));
  await once(socket, "connect", `${place.host}:${place.port} cannot be reached`);
  socket.setTimeout(0);
  socket.setKeepAlive(true, 30_000);
  if (!place.tls) {
    socket.on("error", () => socket.destroy());
    return socket;
  }
  socket.write(encodeSslRequest());
  const reader = new ByteReader(socket);
  const answer = await reader.take(1);
  // Bytes behind the answer, before TLS, would be somebody else's (CVE-2021-23222).
  if (answer[0] !== 0x53 || reader.buffered > 0) {
    socket.destroy();
    throw new Error("the gateway offers no TLS");
  }
  reader.release();
  const secure = connectTls({
    socket,
    minVersion: "TLSv1.2",
    ALPNProtocols: ["postgresql"],
    // RFC 6066 section 3: no address as a server name; it is checked against the certificate all the same.
    ...(isIP(place.host) === 0 ? { servername: place.host } : { host: place.host }),
    ...(ca === null ? {} : { ca }),
  });
  await once(secure, "secureConnect", "the gateway's certificate was not accepted");
  secure.on("error", () => secure.destroy());
  return secure;
}

function once(socket: Socket, event: string, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) =>
      reject(new Error(`${what} (${error.code ?? error.message})`));
    socket.once("error", fail);
    socket.once(event, () => {
      socket.off("error", fail);
      resolve();
    });
  });
}

interface Ends {
  readonly local: Socket;
  readonly client: ByteReader;
  readonly remote: Socket;
  readonly server: ByteReader;
  readonly token: string;
}

/** Until AuthenticationOk, which is passed on, as is what comes before it. Throws when the gateway asks for what we do not know. */
async function authenticate(ends: Ends, rules: WireRules): Promise<void> {
  const { local, remote, server, token } = ends;
  let welcome = rules.password === null;
  let exchange: ReturnType<typeof scramClient> | null = null;
  for (;;) {
    const head = await server.take(5);
    const length = head.readInt32BE(1);
    if (length < 4 || length > maxMessage) throw new Error("the gateway's answer cannot be read");
    const body = await server.take(length - 4);
    const type = String.fromCharCode(head[0] ?? 0);
    if (type === "v") {
      local.write(Buffer.concat([head, body]));
      continue;
    }
    if (type !== "R") {
      // Its refusal, in its own words.
      local.end(Buffer.concat([head, body]));
      throw new GoneError();
    }
    if (!welcome) {
      welcome = true;
      await askLocally(ends, rules);
    }
    switch (body.readInt32BE(0)) {
      case 0:
        if (exchange !== null && !exchange.verified)
          throw new Error("the gateway did not prove that it knows the token");
        local.write(Buffer.concat([head, body]));
        return;
      case 3:
        remote.write(encodeFrontend({ type: "password", password: token }));
        break;
      case 10: {
        const mechanisms = body.subarray(4).toString("latin1").split("\0");
        if (mechanisms.includes("OAUTHBEARER"))
          remote.write(
            encodeFrontend({
              type: "saslInitialResponse",
              mechanism: "OAUTHBEARER",
              data: Buffer.from(`n,,\x01auth=Bearer ${token}\x01\x01`),
            }),
          );
        else if (mechanisms.includes("SCRAM-SHA-256")) {
          exchange = scramClient({ password: token, channelBinding: "none" });
          remote.write(
            encodeFrontend({
              type: "saslInitialResponse",
              mechanism: "SCRAM-SHA-256",
              data: exchange.first(),
            }),
          );
        } else throw new Error("the gateway asks for an authentication that is not known here");
        break;
      }
      case 11:
        // Of OAUTHBEARER: why it failed (RFC 7628 section 3.2.3); its ErrorResponse follows.
        remote.write(
          encodeFrontend({
            type: "saslResponse",
            data: exchange === null ? Buffer.from([1]) : await exchange.final(body.subarray(4)),
          }),
        );
        break;
      case 12:
        if (exchange === null) throw new Error("the gateway's answer cannot be read");
        exchange.verify(body.subarray(4));
        break;
      default:
        throw new Error("the gateway asks for an authentication that is not known here");
    }
  }
}

/** The local client's own password. Throws GoneError when it is wrong: the client has been told. */
async function askLocally({ local, client }: Ends, rules: WireRules): Promise<void> {
  local.write(encodeAuthenticationCleartext());
  const head = await client.take(5);
  const length = head.readInt32BE(1);
  if (head[0] !== 0x70 || length < 5 || length > maxMessage) throw new Error("the client sent no password");
  const { password } = decodePassword(await client.take(length - 4));
  if (rules.password?.(password) === true) return;
  local.end(
    encodeError({
      severity: "FATAL",
      code: "28P01",
      message: "the password of this local address is wrong",
      hint: "postern connect has shown it.",
    }),
  );
  throw new GoneError();
}
