/** Small requests to the services that hold secrets: bounded in size and time, no redirects, no text of theirs in errors. */
import { request as plainRequest } from "node:http";
import { request as secureRequest } from "node:https";
import { SecretFault } from "../secretfault.ts";

export interface SmallRequest {
  readonly method: "GET" | "POST" | "PUT";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** PEM; absent: the system's authorities. */
  readonly ca?: string | null;
  readonly timeoutMs?: number;
}

export interface SmallResponse {
  readonly status: number;
  readonly text: string;
}

const maxBytes = 256 * 1024;
const defaultTimeoutMs = 5_000;

/** Sends it. `what` names the service in faults. Rejects with SecretFault when there is no whole answer in time. */
export function send(url: string, what: string, request: SmallRequest): Promise<SmallResponse> {
  return new Promise((done, fail) => {
    const signal = AbortSignal.timeout(request.timeoutMs ?? defaultTimeoutMs);
    const broken = (error: unknown) => {
      const code: unknown = error instanceof Error && "code" in error ? error.code : null;
      const why = signal.aborted
        ? "does not answer"
        : `cannot be reached (${typeof code === "string" && /^[A-Z0-9_]{1,60}$/.test(code) ? code : "failed"})`;
      fail(new SecretFault(`${what} ${why}`));
    };
    const secure = url.startsWith("https:");
    const { method, headers = {}, body = "", ca } = request;
    const length = method === "GET" ? {} : { "content-length": String(Buffer.byteLength(body)) };
    const options = { method, headers: { ...headers, ...length }, signal, agent: false } as const;
    const sent = secure
      ? secureRequest(url, { ...options, ...(ca == null ? {} : { ca }), minVersion: "TLSv1.2" })
      : plainRequest(url, options);
    sent.on("error", broken);
    sent.on("response", (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxBytes) response.destroy(new Error("too large"));
        else chunks.push(chunk);
      });
      response.on("error", broken);
      response.on("end", () =>
        done({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
      );
    });
    sent.end(method === "GET" ? undefined : body);
  });
}

/** A JSON object; SecretFault for anything else. */
export function readObject(text: string, what: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (isRecord(value)) return value;
  } catch {
    // Said below.
  }
  throw new SecretFault(`${what} gave an answer that is not a JSON object`);
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
