/** One webhook at work: its messages in order, one under way at a time, tried again while it is worth it. */
import { randomUUID } from "node:crypto";
import type { WebhookSettings } from "../settings.ts";
import { bodyOf, type Message } from "./shapes.ts";

/** The value of the `postern-signature` header for a body, at a time in seconds since the epoch. */
export type Sign = (secret: string, seconds: number, body: string) => string;

export interface DeliverOptions {
  readonly sign: Sign;
  /** `lost`: nobody tries again. `why` holds no address and no secret. */
  readonly failed: (name: string, why: string, lost: boolean) => void;
  /** Milliseconds before the first attempt after a failure; doubled each time. */
  readonly firstWaitMs?: number;
}

export interface Delivery {
  offer(message: Message): void;
  readonly delivered: number;
  readonly lost: number;
  /** What waits is tried once more, for at most `ms`. */
  close(ms: number): Promise<void>;
}

const maxQueued = 500;
const attempts = 7;
const timeoutMs = 10_000;
const longestWaitMs = 60_000;

/** What an attempt failed with; `again`: another one may do better, after `afterMs` at least. */
class Refusal extends Error {
  readonly again: boolean;
  readonly afterMs: number;
  constructor(message: string, again: boolean, afterMs = 0) {
    super(message);
    this.again = again;
    this.afterMs = afterMs;
  }
}

export function createDelivery(
  hook: WebhookSettings,
  { sign, failed, firstWaitMs = 1_000 }: DeliverOptions,
): Delivery {
  const queue: { readonly message: Message; readonly id: string; readonly time: string }[] = [];
  const stop = new AbortController();
  let delivered = 0;
  let lost = 0;
  let working: Promise<void> | null = null;
  let closing = false;
  let wake: (() => void) | null = null;

  async function post(body: string, id: string): Promise<void> {
    const url = await hook.url.read();
    if (!isSafe(url)) throw new Refusal("its URL is not https", false);
    const headers: Record<string, string> = {
      "content-type": "application/json",
      "user-agent": "postern",
      "idempotency-key": id,
    };
    if (hook.secret !== null)
      headers["postern-signature"] = sign(await hook.secret.read(), Math.floor(Date.now() / 1000), body);
    const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), stop.signal]);
    // Where it leads instead is nowhere that the operator has named: a redirect is an answer like any other that is no success.
    const answer = await fetch(url, { method: "POST", headers, body, signal, redirect: "manual" });
    // Nothing that it says is of interest, however long it is.
    await answer.body?.cancel();
    if (answer.ok) return;
    const seconds = Number(answer.headers.get("retry-after") ?? "0");
    const afterMs = Number.isFinite(seconds) ? Math.min(longestWaitMs, Math.max(0, seconds * 1000)) : 0;
    const again = answer.status >= 500 || answer.status === 429 || answer.status === 408;
    throw new Refusal(`answered ${answer.status}`, again, afterMs);
  }

  async function deliver({ message, id, time }: (typeof queue)[number]): Promise<void> {
    const body = bodyOf(hook.shape, message, id, time);
    for (let attempt = 1; ; attempt++) {
      try {
        await post(body, id);
        delivered++;
        return;
      } catch (error) {
        const refusal = error instanceof Refusal ? error : new Refusal(why(error), true);
        const over = !refusal.again || attempt >= attempts || closing;
        failed(hook.name, refusal.message, over);
        if (over) {
          lost++;
          return;
        }
        const wait = Math.min(longestWaitMs, firstWaitMs * 2 ** (attempt - 1)) * (0.8 + Math.random() * 0.4);
        await new Promise<void>((done) => {
          const timer = setTimeout(done, Math.max(wait, refusal.afterMs));
          wake = () => {
            clearTimeout(timer);
            done();
          };
        });
        wake = null;
      }
    }
  }

  async function work(): Promise<void> {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await deliver(next);
  }

  return {
    offer(message) {
      if (closing) return;
      if (queue.length >= maxQueued) {
        queue.shift();
        lost++;
        failed(hook.name, "too many messages wait", true);
      }
      queue.push({ message, id: randomUUID(), time: new Date().toISOString() });
      working ??= work().finally(() => {
        working = null;
      });
    },
    get delivered() {
      return delivered;
    },
    get lost() {
      return lost;
    },
    async close(ms) {
      closing = true;
      wake?.();
      const timer = setTimeout(() => stop.abort(), ms);
      await working;
      clearTimeout(timer);
    },
  };
}

/** https, or http to this machine; no user and password (RFC 3986 section 3.2.1 deprecates them). */
function isSafe(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.username !== "" || url.password !== "") return false;
  if (url.protocol === "https:") return true;
  return url.protocol === "http:" && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
}

/** The words for a failure that tell no address. */
function why(error: unknown): string {
  if (!(error instanceof Error)) return "failed";
  if (error.name === "TimeoutError" || error.name === "AbortError") return "no answer in time";
  if ("code" in error && typeof error.code === "string") return error.code;
  if (error.cause !== undefined) return why(error.cause);
  return "failed";
}
