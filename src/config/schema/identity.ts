/** `identity:` of postern.yaml. */
import { z } from "zod";
import { duration, oneOrMore, secret, text } from "./scalars.ts";

/** Asymmetric JWS algorithms (RFC 7518 section 3.1, RFC 8037). `none` and HMAC are not acceptable from anyone. */
const algorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
] as const;

const name = z
  .string({ error: "a name of letters, digits, - and _" })
  .regex(/^[A-Za-z0-9][\w-]{0,62}$/, { error: "a name of 1 to 63 letters, digits, - and _" });

const claimPath = text("the name of a claim, or a dotted path to it", 256);

const claims = z
  .strictObject({
    subject: claimPath.default("sub").meta({ description: "Who it is." }),
    groups: claimPath.default("groups").meta({ description: "Groups; a list of texts." }),
    email: claimPath.default("email").meta({ description: "Mail address." }),
    agent: claimPath.default("client_id").meta({ description: "Which agent (client) acts." }),
  })
  .prefault({})
  .meta({
    description: "Where in the token each fact stands. Dotted paths are followed (`realm_access.roles`).",
  });

const kind = z.strictObject({
  kind: z.enum(["human", "agent", "service"]),
  when: text("a CEL condition over `claims`", 4096).meta({
    description: 'CEL condition, e.g. `"employees" in claims.groups`.',
  }),
});

const client = z.strictObject({
  id: text("the client id that the provider gave Postern").meta({
    description: "Client id. Its redirect URI at the provider: `listen.public_url` and `/login/callback`.",
  }),
  secret: secret
    .optional()
    .meta({ description: "Client secret. Default: none, a public client held by PKCE alone." }),
  cli: text("the client id that the provider gave Postern's command line").optional().meta({
    description: "Public client of `postern login`, without a secret. Default: `id`, if that one has none.",
  }),
  scopes: z
    .array(text("a scope such as email", 256))
    .max(32)
    .default(["openid", "profile", "email"])
    .meta({ description: "Scopes asked for at login; `openid` always is." }),
  resource: text("the URI of a resource that the provider knows", 1024)
    .optional()
    .meta({ description: "RFC 8707 `resource` that the access token is for. Default: the provider's own." }),
});

const oidc = z
  .strictObject({
    name: name.meta({ description: "Your name for the provider; used in `provider:group`." }),
    type: z.literal("oidc"),
    issuer: text("the `iss` of the provider's tokens, e.g. https://idp.example.com").meta({
      description: "Exactly the `iss` of its tokens. https (or http on loopback) unless `jwks` is given.",
    }),
    audience: oneOrMore("an audience").meta({ description: "One of these must be in the token's `aud`." }),
    jwks: text("an https URL or file:PATH of a JSON Web Key Set")
      .optional()
      .meta({ description: "URL or `file:PATH` of the key set. Default: by discovery from `issuer`." }),
    algorithms: z
      .array(z.enum(algorithms))
      .min(1)
      .default(["RS256", "ES256", "EdDSA"])
      .meta({ description: "Accepted signature algorithms; never `none`, never HMAC." }),
    token_types: z
      .array(text("a `typ` header value"))
      .min(1)
      .default(["at+jwt", "JWT"])
      .meta({ description: "Accepted `typ` headers." }),
    claims,
    kinds: z.array(kind).max(100).default([]).meta({
      description: "First match says what kind of principal it is; no match: agent, the most restricted.",
    }),
    client: client.optional().meta({ description: "For console and command-line login." }),
    max_token_age: duration(1, 31_536_000)
      .optional()
      .meta({ description: "Longest accepted time since `iat`. Default: only `exp` bounds it." }),
  })
  .meta({ title: "OpenID Connect" });

const saml = z
  .strictObject({
    name,
    type: z.literal("saml"),
    metadata: text("a file or https URL"),
    audience: oneOrMore("an audience"),
    attributes: z.record(z.string(), z.string({ error: "the name of an attribute" })).optional(),
    kinds: z.array(kind).max(100).default([]),
  })
  .meta({ title: "SAML 2.0 (not in this version)" });

export const provider = z.discriminatedUnion("type", [oidc, saml], { error: "oidc or saml" });
export type OidcInput = z.output<typeof oidc>;

export const identity = z.strictObject({
  providers: z
    .array(provider)
    .min(1)
    .max(32)
    .meta({ description: "Who issues the tokens that Postern accepts." }),
});
