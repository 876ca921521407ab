/** Telling the outside of approvals. Many requests of one principal become few messages, so that nobody learns to look away. */
import type { Approval } from "../../facts/approval.ts";
import { requesterKey } from "../binding.ts";
import type { WebhookEvent, WebhookSettings } from "../settings.ts";
import { createDelivery, type DeliverOptions, type Delivery } from "./deliver.ts";
import type { Message } from "./shapes.ts";
import { type Summary, summaryOf } from "./words.ts";

export interface Webhooks {
  /** Never throws, never waits. */
  tell(event: WebhookEvent, approval: Approval): void;
  readonly stats: readonly { readonly name: string; readonly delivered: number; readonly lost: number }[];
  /** Tries what waits once more, for a few seconds. */
  close(): Promise<void>;
}

const groupMs = 30_000;
const listed = 10;
const closeMs = 3_000;
const maxGroups = 1_000;

interface Group {
  readonly event: WebhookEvent;
  timer: NodeJS.Timeout;
  waiting: Summary[];
  more: number;
}

/** `groupMs`: what one principal asks for within this time behind a first message waits for one message. */
export function createWebhooks(
  hooks: readonly WebhookSettings[],
  options: DeliverOptions & { readonly groupMs?: number },
): Webhooks {
  const windowMs = options.groupMs ?? groupMs;
  const deliveries = hooks.map((hook): [WebhookSettings, Delivery] => [hook, createDelivery(hook, options)]);
  const groups = new Map<string, Group>();

  function send(message: Message): void {
    for (const [hook, delivery] of deliveries)
      if (hook.events.includes(message.event)) delivery.offer(message);
  }

  function flush(key: string, group: Group): void {
    const [first, ...others] = group.waiting;
    if (first === undefined) {
      groups.delete(key);
      return;
    }
    send({ event: group.event, approvals: [first, ...others], more: group.more });
    group.waiting = [];
    group.more = 0;
    group.timer = setTimeout(() => flush(key, group), windowMs).unref();
  }

  return {
    tell(event, approval) {
      if (deliveries.length === 0) return;
      const summary = summaryOf(approval);
      // Requests come, and go, as often as a program likes; decisions are people's.
      const often = event === "requested" || event === "expired" || event === "access";
      if (!often || (event === "access" && approval.state !== "pending")) {
        send({ event, approvals: [summary], more: 0 });
        return;
      }
      const key = `${event} ${requesterKey(approval.requester)}`;
      const group = groups.get(key);
      if (group !== undefined) {
        if (group.waiting.length < listed) group.waiting.push(summary);
        else group.more++;
        return;
      }
      send({ event, approvals: [summary], more: 0 });
      if (groups.size >= maxGroups) return;
      const fresh: Group = { event, waiting: [], more: 0, timer: setTimeout(() => {}, 0) };
      clearTimeout(fresh.timer);
      fresh.timer = setTimeout(() => flush(key, fresh), windowMs).unref();
      groups.set(key, fresh);
    },
    get stats() {
      return deliveries.map(([{ name }, { delivered, lost }]) => ({ name, delivered, lost }));
    },
    async close() {
      for (const [key, group] of groups) {
        clearTimeout(group.timer);
        flush(key, group);
        clearTimeout(group.timer);
      }
      groups.clear();
      await Promise.all(deliveries.map(([, delivery]) => delivery.close(closeMs)));
    },
  };
}
