/** `approvals:` and `store:` of postern.yaml. */
import { z } from "zod";
import { duration, secret, text, whole } from "./scalars.ts";

const storeExpected = "sqlite:PATH, a postgres:// URL, or where such a URL is read: { env: NAME } …";
export const store = z
  .union(
    [
      z
        .string()
        .regex(/^(sqlite:.+|postgres(ql)?:\/\/.+)$/, { error: storeExpected })
        .meta({ title: "sqlite:PATH or postgres://…" }),
      secret,
    ],
    { error: storeExpected },
  )
  .default("sqlite:./data/postern.db")
  .meta({
    description:
      "Where approvals and what else nodes share are kept: an SQLite file for one node, a PostgreSQL database for several. A URL with a password is better read from somewhere: `{ env: STORE_URL }`.",
  });

const minute = 60;
const hour = 3600;
const day = 86_400;
const groups = z.array(text("a group, or provider:group", 512)).min(1).max(50);

export const accessOffer = z.strictObject({
  groups: groups.meta({ description: "Groups that can be asked for." }),
  databases: z
    .array(text('a database of this file, or "*"', 63))
    .min(1)
    .default(["*"])
    .meta({ description: "On which databases; `*`: on all." }),
  approvers: z
    .strictObject({
      groups: groups.meta({ description: "Groups whose members decide." }),
      count: whole(1, 20).default(1).meta({ description: "How many have to agree." }),
      within: duration(minute, 30 * day)
        .prefault("8h")
        .meta({ description: "How long the request stays open." }),
    })
    .meta({ description: "Who decides." }),
  max: duration(minute, 30 * day)
    .prefault("4h")
    .meta({ description: "The longest time that can be asked for." }),
  requesters: groups.optional().meta({ description: "Groups whose members may ask. Default: everybody." }),
});

export const webhook = z.strictObject({
  url: z.union([text("an https URL", 2048), secret], { error: "an https URL, or where it is read" }).meta({
    description:
      "Where messages are POSTed to; http only on loopback. Slack's and Teams' URLs are secrets: `{ env: SLACK_URL }`.",
  }),
  secret: secret.optional().meta({ description: "Keys the `postern-signature` header." }),
  shape: z.enum(["generic", "slack", "teams"]).default("generic").meta({
    description: "JSON of Postern's own, Slack's Block Kit, or an adaptive card of Microsoft Teams.",
  }),
  events: z
    .array(z.enum(["requested", "decided", "expired", "break_glass", "access", "revoked"]))
    .min(1)
    .default(["requested", "decided", "break_glass", "access", "revoked"])
    .meta({ description: "What is told." }),
});

export const approvals = z
  .strictObject({
    step_up: duration(minute, day)
      .prefault("10m")
      .meta({ description: "How old the interactive login of whoever decides may be." }),
    max_pending_per_principal: whole(1, 1000)
      .default(5)
      .meta({ description: "Requests of one principal that may wait at a time; more are refused." }),
    requests_per_minute: whole(1, 10_000)
      .default(30)
      .meta({ description: "Requests of one principal in a minute; more are refused." }),
    denials: whole(0, 100).default(3).meta({
      description:
        "After so many denials of statements of one shape within `denial_window` nobody is asked again for as long. 0: always ask.",
    }),
    denial_window: duration(minute, day).prefault("10m").meta({ description: "See `denials`." }),
    shape: z
      .strictObject({
        max_uses: whole(1, 100_000).default(100).meta({ description: "How often." }),
        max_time: duration(minute, 30 * day)
          .prefault("8h")
          .meta({ description: "How long." }),
      })
      .prefault({})
      .meta({ description: "How far an approval for all statements of one shape may reach." }),
    keep: duration(hour, 3650 * day)
      .prefault("90d")
      .meta({ description: "How long decided approvals are listed. The audit log keeps what happened." }),
    access: z.array(accessOffer).max(200).default([]).meta({
      description: "Groups that can be had for a while, after approval (`postern access request`).",
    }),
    webhooks: z.array(webhook).max(16).default([]).meta({
      description: "Who is told. Messages hold no values and no SQL literals, and links ask for a login.",
    }),
  })
  .prefault({})
  .meta({ description: "What waits for a person (docs/approvals.md)." });
