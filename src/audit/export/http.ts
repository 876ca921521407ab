/** Webhooks and OTLP over HTTP: one POST a batch; 2xx is the acknowledgement. Redirects are not followed. */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { number, text } from "../read/leaves.ts";
import { encodeMany } from "./encode.ts";
import type { ExportRecord, Product } from "./record.ts";
import type { StreamTarget } from "./settings.ts";
import { type Sink, SinkError } from "./sink.ts";

/** What is read of an answer's body: its status alone decides. */
const maxAnswer = 64 * 1024;
const answerMs = 5_000;
const longestWaitMs = 300_000;

interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly body: string;
}

export class HttpSink implements Sink {
  rejected = 0;
  private readonly target: StreamTarget;
  private readonly product: Product;
  private readonly timeoutMs: number;
  private readonly url: URL;
  private readonly agent: HttpAgent | HttpsAgent;

  constructor(target: StreamTarget, product: Product, timeoutMs: number) {
    this.target = target;
    this.product = product;
    this.timeoutMs = timeoutMs;
    this.url = new URL(target.url);
    const options = { keepAlive: true, maxSockets: 1 };
    this.agent =
      this.url.protocol === "https:"
        ? new HttpsAgent({ ...options, ...(target.ca === null ? {} : { ca: target.ca }) })
        : new HttpAgent(options);
  }

  async send(records: readonly ExportRecord[]): Promise<void> {
    const first = records[0];
    const last = records.at(-1);
    if (first === undefined || last === undefined) return;
    const { type, body } = encodeMany(
      records,
      this.target.kind === "otlp" ? "otlp" : this.target.format,
      this.product,
    );
    const headers: Record<string, string> = {
      "content-type": type,
      "user-agent": `postern/${this.product.version}`,
      "postern-log": first.log,
      "postern-first": String(first.index),
      "postern-last": String(last.index),
      // The same records again have the same key.
      "idempotency-key": `${first.hash.slice(0, 32)}-${records.length}`,
    };
    if (this.target.authorization !== null) headers.authorization = this.target.authorization;
    const answer = await this.post(Buffer.from(body, "utf8"), headers);
    const { status } = answer;
    if (isTaken(status)) {
      if (this.target.kind === "otlp") this.partial(answer.body);
      return;
    }
    throw new SinkError(
      `the receiver answered ${status}`,
      waitOf(answer.retryAfter),
      status === 413 && records.length > 1,
    );
  }

  /** OTLP: records that the collector refuses for good are not to be sent again. */
  private partial(body: string): void {
    try {
      const answer: unknown = JSON.parse(body);
      const count =
        number(answer, "partialSuccess.rejectedLogRecords") ??
        Number(text(answer, "partialSuccess.rejectedLogRecords") ?? 0);
      if (Number.isSafeInteger(count) && count > 0) this.rejected += count;
    } catch {
      // An answer without content is a plain success.
    }
  }

  private post(body: Buffer, headers: Readonly<Record<string, string>>): Promise<Answer> {
    const send = this.url.protocol === "https:" ? httpsRequest : httpRequest;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const request = send(this.url, {
      method: "POST",
      agent: this.agent,
      headers: { ...headers, "content-length": body.length },
    });
    const late = new SinkError("the receiver did not answer in time");
    const timer = setTimeout(() => request.destroy(late), this.timeoutMs);
    let status: number | null = null;
    let answered: Answer | null = null;
    const done = (): void => {
      if (status === null) return;
      // Whoever says "taken" before the last byte has left, and is gone then, has not taken it.
      if (isTaken(status) && !request.writableFinished) return;
      clearTimeout(timer);
      if (answered !== null) resolve(answered);
    };
    request.on("response", (answer) => {
      const heard = answer.statusCode ?? 0;
      const retryAfter = answer.headers["retry-after"];
      status = heard;
      done();
      read(answer, Math.min(answerMs, this.timeoutMs)).then((text) => {
        answered = { status: heard, retryAfter, body: text };
        done();
      }, reject);
    });
    request.on("finish", done);
    request.on("upgrade", (answer, socket) => {
      socket.destroy();
      reject(new SinkError(`the receiver answered ${answer.statusCode ?? 0}`));
    });
    // Behind an answer an error says no more than that the connection cannot be used again.
    request.on("error", (error: NodeJS.ErrnoException) => {
      if (error instanceof SinkError) reject(error);
      else if (status === null)
        reject(new SinkError(`the receiver cannot be reached (${error.code ?? "error"})`));
    });
    request.on("close", () => {
      if (status === null) reject(new SinkError("the receiver did not answer"));
      else if (isTaken(status) && !request.writableFinished)
        reject(new SinkError("the receiver ended the connection"));
    });
    request.end(body);
    return promise.finally(() => clearTimeout(timer));
  }

  close(): void {
    this.agent.destroy();
  }
}

const isTaken = (status: number): boolean => status >= 200 && status < 300;

/** The beginning of an answer's body. One that is too long, too slow or cut ends there, and its connection with it. */
function read(answer: IncomingMessage, ms: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks).toString("utf8"));
    };
    const timer = setTimeout(() => answer.destroy(), ms);
    answer.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maxAnswer) chunks.push(chunk);
      else answer.destroy();
    });
    answer.on("error", () => {});
    answer.on("end", end);
    answer.on("close", end);
  });
}

/** Retry-After (RFC 9110 section 10.2.3): seconds, or a date. */
function waitOf(value: string | undefined): number | null {
  if (value === undefined) return null;
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? null : Math.min(Math.max(ms, 0), longestWaitMs);
}
