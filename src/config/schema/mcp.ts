/** `mcp:` of postern.yaml. */
import { z } from "zod";
import { isSafeUrl } from "../units.ts";
import { duration, flag, size, text, whole } from "./scalars.ts";

const origin = z
  .string({ error: "an origin such as https://agents.example.com" })
  .refine((value) => isSafeUrl(value) && new URL(value).origin === value, {
    error: "an origin such as https://agents.example.com",
  });

const issuer = z
  .string({ error: "an https URL" })
  .refine(isSafeUrl, { error: "an https URL (http only on loopback)" });

export const mcp = z
  .strictObject({
    enabled: flag.default(true).meta({ description: "Serve `POST /mcp` on the http listener (agents.md)." }),
    rows: whole(1, 10_000)
      .default(100)
      .meta({ description: "Rows of a result unless the agent asks for more or fewer." }),
    max_rows: whole(1, 10_000).default(1000).meta({ description: "The most it may ask for." }),
    result_size: size(1024, 1024 * 1024)
      .prefault("48KiB")
      .meta({ description: "Longest result, about: it becomes part of a model's context." }),
    timeout: duration(1, 55).prefault("45s").meta({
      description: "Longest time of one tool call; agents give up after a minute.",
    }),
    audience: z.array(text("an audience")).max(16).default([]).meta({
      description:
        "One of these must be in a JWT's `aud`, beside the provider's own `audience`. Default: any token that the provider's settings accept.",
    }),
    scopes: z
      .array(z.string({ error: "a scope" }).regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/, { error: "a scope" }))
      .max(16)
      .default([])
      .meta({ description: "All of these must be in a token's `scope` or `scp`." }),
    origins: z.array(origin).max(100).default([]).meta({
      description: "Web pages that may call, by origin, beside the gateway's own.",
    }),
    authorization_servers: z.array(issuer).max(8).default([]).meta({
      description: "Issuers that clients are sent to for tokens. Default: the OpenID Connect providers.",
    }),
    facade: z
      .strictObject({
        enabled: flag.default(false).meta({
          description:
            "Be the authorization server for MCP clients that must register themselves (agents.md).",
        }),
        provider: text("the name of one of identity.providers", 63).optional().meta({
          description: "Where people log in. Default: the first provider with a `client`.",
        }),
        token: duration(300, 86_400).prefault("1h").meta({
          description: "How long a token lives; bounded by the tokens' own limits.",
        }),
        registration: flag.default(true).meta({ description: "Let clients register themselves (RFC 7591)." }),
        documents: flag.default(true).meta({
          description: "Take clients that are the https address of their metadata document.",
        }),
      })
      .prefault({})
      .meta({ description: "A minimal authorization server; logins stay with the identity provider." }),
  })
  .prefault({})
  .meta({ description: "The Model Context Protocol endpoint." });
