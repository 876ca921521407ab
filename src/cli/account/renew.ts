/** Keeps the sessions of a program alive for as long as the login lasts: a fresh token before the old one ends. */
import { z } from "zod";
import { ask, readOk } from "./gateway.ts";
import type { Account, TokenRequest } from "./tokens.ts";

/** Left of the token's life when it is renewed. */
const marginMs = 6 * 60_000;
const retryMs = 30_000;

const sessions = z.object({
  items: z.array(z.object({ id: z.string(), claimed: z.object({ run: z.string().optional() }) })),
  next: z.string().nullable(),
});

export interface Renewing {
  stop(): void;
}

/**
 * Renews sessions whose claimed run is `run`. What fails is tried again; when nothing helps, the sessions end with their token, as the gateway
 * tells them beforehand.
 */
export function keepRenewed(options: {
  readonly account: Account;
  readonly request: TokenRequest;
  readonly run: string;
  /** End of the token they began with, ISO 8601. */
  readonly expires: string;
  /** A fresh token, for connections to come. */
  readonly onToken: (token: string) => void;
}): Renewing {
  const { account, request, onToken } = options;
  let timer: NodeJS.Timeout;
  let stopped = false;
  const plan = (expires: string) => {
    const left = Date.parse(expires) - Date.now();
    timer = setTimeout(() => void renew(), Math.max(left - marginMs, left / 2, 1_000));
    timer.unref();
  };
  const renew = async () => {
    try {
      const { access_token: token, expires } = await account.issue(request);
      if (stopped) return;
      onToken(token);
      for (const id of await sessionsOf(options))
        await ask(account.place, `/api/sessions/${encodeURIComponent(id)}/renew`, {
          token: await account.access(),
          json: { token },
        });
      if (!stopped) plan(expires);
    } catch {
      if (stopped) return;
      timer = setTimeout(() => void renew(), retryMs);
      timer.unref();
    }
  };
  plan(options.expires);
  return {
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

/** The ids of a run's sessions: auditors are told of everybody's, page by page. */
async function sessionsOf({
  account,
  run,
}: {
  readonly account: Account;
  readonly run: string;
}): Promise<string[]> {
  const found: string[] = [];
  let after: string | null = null;
  do {
    const query = new URLSearchParams({ limit: "500" });
    if (after !== null) query.set("after", after);
    const answer = await ask(account.place, `/api/sessions?${query}`, { token: await account.access() });
    const page: z.output<typeof sessions> = readOk(answer, "no list", sessions);
    found.push(...page.items.filter(({ claimed }) => claimed.run === run).map(({ id }) => id));
    after = page.next;
  } while (after !== null);
  return found;
}
