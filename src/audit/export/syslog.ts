/**
 * Syslog (RFC 5424) over TLS (RFC 5425), TCP (octet counting, RFC 6587 section 3.4.1) or UDP (RFC 5426). Syslog has no
 * acknowledgement: over TLS and TCP, records count as taken when they were handed to the connection and it then stayed up for a while.
 */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { text } from "../read/leaves.ts";
import { encodeOne } from "./encode.ts";
import { type Ending, type ExportRecord, ending, type Product } from "./record.ts";
import type { StreamTarget } from "./settings.ts";
import { type Sink, SinkError } from "./sink.ts";

/** "log audit" (RFC 5424 section 6.2.1). */
const facility = 13;
const severities: Readonly<Record<Ending, number>> = {
  allowed: 6,
  ok: 6,
  note: 5,
  held: 5,
  failed: 5,
  cut: 5,
  denied: 4,
  unknown: 4,
};
/** What fits an IPv4 datagram. */
const maxDatagram = 65_507;
/** How long a connection must stay up behind the records for them to count as taken. */
const settleMs = 200;

function field(value: string | null, limit: number): string {
  const clean = (value ?? "").replace(/[^\x21-\x7e]/g, "_").slice(0, limit);
  return clean === "" ? "-" : clean;
}

/** One message without its framing. The body is UTF-8 without a mark at its beginning (MSG-ANY), which parsers of JSON and CEF expect. */
export function syslogMessage(
  record: ExportRecord,
  format: StreamTarget["format"],
  product: Product,
): string {
  const { leaf } = record;
  const priority = facility * 8 + severities[ending(record)];
  const time = text(leaf, "time");
  const stamp = time !== null && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/.test(time) ? time : "-";
  const head = [
    `<${priority}>1`,
    stamp,
    field(text(leaf, "node"), 255),
    "postern",
    "-",
    field(text(leaf, "type"), 32),
    `[meta sequenceId="${(record.index % 2_147_483_647) + 1}"]`,
  ];
  return `${head.join(" ")} ${encodeOne(record, format, product)}`;
}

export class SyslogSink implements Sink {
  readonly rejected = 0;
  private readonly target: StreamTarget;
  private readonly product: Product;
  private readonly timeoutMs: number;
  private readonly host: string;
  private readonly port: number;
  private readonly transport: "tls" | "tcp" | "udp";
  private socket: Socket | null = null;
  private udp: UdpSocket | null = null;

  constructor(target: StreamTarget, product: Product, timeoutMs: number) {
    this.target = target;
    this.product = product;
    this.timeoutMs = timeoutMs;
    const url = new URL(target.url);
    this.transport = url.protocol === "tls:" ? "tls" : url.protocol === "tcp:" ? "tcp" : "udp";
    this.host = url.hostname.replace(/^\[|\]$/g, "");
    this.port = Number(url.port === "" ? (this.transport === "tls" ? 6514 : 514) : url.port);
  }

  async send(records: readonly ExportRecord[]): Promise<void> {
    const messages = records.map((r) =>
      Buffer.from(syslogMessage(r, this.target.format, this.product), "utf8"),
    );
    try {
      if (this.transport === "udp") await this.datagrams(messages, records);
      else await this.stream(messages);
    } catch (error) {
      this.close();
      if (error instanceof SinkError) throw error;
      const code = error instanceof Error && "code" in error ? String(error.code) : "error";
      throw new SinkError(`the receiver cannot be reached (${code})`);
    }
  }

  private async stream(messages: readonly Buffer[]): Promise<void> {
    const socket = this.socket ?? (await this.connect());
    this.socket = socket;
    const framed = Buffer.concat(messages.flatMap((m) => [Buffer.from(`${m.length} `, "latin1"), m]));
    const ended = "the receiver ended the connection";
    const { promise: gone, reject: lost } = Promise.withResolvers<never>();
    gone.catch(() => {});
    const over = () => lost(new SinkError(ended));
    socket.on("error", lost).on("close", over).on("end", over);
    const written = new Promise<void>((resolve, reject) => {
      socket.write(framed, (error) => (error ? reject(error) : resolve()));
    });
    const timer = setTimeout(() => lost(new SinkError("the receiver takes nothing")), this.timeoutMs);
    try {
      if (socket.destroyed || socket.readableEnded) throw new SinkError(ended);
      await Promise.race([written, gone]);
      await Promise.race([sleep(settleMs), gone]);
    } finally {
      clearTimeout(timer);
      written.catch(() => {});
      socket.off("error", lost).off("close", over).off("end", over);
    }
  }

  private connect(): Promise<Socket> {
    const { host, port, target } = this;
    return new Promise((resolve, reject) => {
      const socket: Socket =
        this.transport === "tls"
          ? connectTls({
              host,
              port,
              ...(isIP(host) === 0 ? { servername: host } : {}),
              ...(target.ca === null ? {} : { ca: target.ca }),
            })
          : connectTcp({ host, port });
      const timer = setTimeout(
        () => socket.destroy(new SinkError("the receiver does not answer")),
        this.timeoutMs,
      );
      socket.once(this.transport === "tls" ? "secureConnect" : "connect", () => {
        clearTimeout(timer);
        // What a receiver says is not asked for; unread it would hold up the connection's end.
        socket.resume();
        resolve(socket);
      });
      socket.on("error", (error) => {
        clearTimeout(timer);
        reject(error);
      });
    });
  }

  private async datagrams(messages: readonly Buffer[], records: readonly ExportRecord[]): Promise<void> {
    const udp = this.udp ?? createSocket((await lookup(this.host)).family === 6 ? "udp6" : "udp4");
    this.udp = udp;
    for (const [i, message] of messages.entries()) {
      const record = records[i];
      if (record === undefined) continue;
      const fits = message.length <= maxDatagram ? message : Buffer.from(this.stub(record), "utf8");
      await new Promise<void>((resolve, reject) => {
        // Where the socket cannot be bound, the message has no answer of its own.
        udp.once("error", reject);
        udp.send(fits, this.port, this.host, (error) => {
          udp.off("error", reject);
          if (error) reject(error);
          else resolve();
        });
      });
    }
  }

  /** For a record that no datagram holds: where it stands. */
  private stub(record: ExportRecord): string {
    const short = {
      id: record.leaf.id,
      type: record.leaf.type,
      time: record.leaf.time,
      node: record.leaf.node,
    };
    const stored = JSON.stringify({ ...short, too_long: record.stored.length, sha256: record.hash });
    return syslogMessage({ ...record, leaf: short, intent: null, stored }, this.target.format, this.product);
  }

  close(): void {
    this.socket?.destroy();
    this.socket = null;
    this.udp?.close();
    this.udp = null;
  }
}
