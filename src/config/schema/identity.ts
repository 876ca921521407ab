/** `identity:` of postern.yaml. */
import { z } from "zod";
import { presetNames } from "../presets.ts";
import { duration, flag, oneOrMore, path, secret, text, whole } from "./scalars.ts";

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

const celText = text("a CEL expression over `claims` and `groups`", 4096);
const groupFrom = z.union(
  [
    z
      .strictObject({
        group: text("the name of a group", 512),
        when: celText.meta({ description: "CEL condition: who has it." }),
      })
      .meta({ title: "a named group" }),
    z
      .strictObject({
        value: celText.meta({
          description: 'CEL expression for one or more groups, e.g. `"repo/" + claims.repository`.',
        }),
        when: celText.optional(),
      })
      .meta({ title: "groups made from claims" }),
  ],
  { error: "{ group: NAME, when: CEL } or { value: CEL }" },
);

const rules = {
  kinds: z.array(kind).max(100).default([]).meta({
    description: "First match says what kind of principal it is; no match: agent, the most restricted.",
  }),
  groups_from: z
    .array(groupFrom)
    .max(100)
    .default([])
    .meta({ description: "Groups that follow from other claims." }),
  require: z
    .array(celText)
    .max(100)
    .default([])
    .meta({ description: "CEL conditions that must all be true, or the token is refused." }),
};

const client = z.strictObject({
  id: text("the client id that the provider gave Postern").meta({
    description: "Client id. Its redirect URI at the provider: `listen.public_url` and `/login/callback`.",
  }),
  secret: secret
    .optional()
    .meta({ description: "Client secret. Default: none, a public client held by PKCE alone." }),
  cli: text("the client id that the provider gave Postern's command line").optional().meta({
    description:
      "Public client of `postern login`, without a secret; its redirect URI at the provider: `http://127.0.0.1/callback` with any port. Default: `id`, if that one has none.",
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
    preset: z.enum(presetNames).optional().meta({
      description: "Defaults for a known issuer: its address, claims, groups and kinds (identity.md).",
    }),
    issuer: text("the `iss` of the provider's tokens, e.g. https://idp.example.com").optional().meta({
      description:
        "Exactly the `iss` of its tokens. https (or http on loopback) unless `jwks` is given. Needed, unless the preset knows it.",
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
    ...rules,
    id_jag: flag
      .default(false)
      .meta({ description: "Take this provider's identity assertion grants (ID-JAG) at /oauth/token." }),
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
    metadata: text("a file or https URL", 4096).meta({
      description:
        "The identity provider's metadata: a file (read again when it changes) or a URL (every hour).",
    }),
    entity_id: text("the entityID of the identity provider", 1024)
      .optional()
      .meta({ description: "Which provider in the metadata is meant. Default: the only one." }),
    audience: oneOrMore("an audience").meta({
      description: "Postern's entityID, first of the list; one of them must be the assertion's audience.",
    }),
    attributes: z
      .strictObject({
        subject: text("the name of an attribute").optional().meta({ description: "Default: the NameID." }),
        groups: text("the name of an attribute").default("groups"),
        email: text("the name of an attribute").default("email"),
      })
      .prefault({})
      .meta({ description: "Names of the attributes that hold each fact." }),
    ...rules,
    signed: z.enum(["assertion", "response"]).default("assertion").meta({
      description: "`response`: a signature on the response around the assertion is enough.",
    }),
    session: duration(60, 2_592_000)
      .prefault("1h")
      .meta({ description: "Longest session; SessionNotOnOrAfter may end it earlier." }),
    signing: z
      .strictObject({
        cert: path.meta({ description: "PEM file of a certificate with an RSA key." }),
        key: z
          .union([path, secret], { error: "the path of a PEM file, or a secret" })
          .meta({ description: "Its private key: a PEM file, or a secret." }),
      })
      .optional()
      .meta({
        description: "Signs the requests of logins, for providers that ask for that. Default: not signed.",
      }),
    acs: text("the URL of /saml/acs as browsers reach it", 2048)
      .optional()
      .meta({ description: "Where responses are delivered. Default: /saml/acs under the public URL." }),
  })
  .meta({ title: "SAML 2.0" });

const mtls = z
  .strictObject({
    name,
    type: z.literal("mtls"),
    subject: z.enum(["spiffe", "dns", "email", "cn"]).default("spiffe").meta({
      description: "Which name of the certificate says who it is.",
    }),
    domains: z.array(text("a trust domain or domain", 255)).max(100).default([]).meta({
      description:
        "SPIFFE trust domains (or DNS or mail domains) accepted. Default: any that `tls.client_ca` vouches for.",
    }),
    ...rules,
  })
  .meta({ title: "client certificates (SPIFFE X.509-SVID and others)" });

export const provider = z.discriminatedUnion("type", [oidc, saml, mtls], { error: "oidc, saml or mtls" });
export type OidcInput = z.output<typeof oidc>;
export type SamlInput = z.output<typeof saml>;
export type MtlsInput = z.output<typeof mtls>;
export type RulesInput = Pick<OidcInput, "kinds" | "groups_from" | "require">;

export const maxDelegationDepth = whole(0, 16)
  .default(4)
  .meta({ description: "Longest chain of actors (`act`) in a token; longer ones are refused." });

export const lockout = z
  .strictObject({
    enabled: flag.default(true),
    per_ip: whole(1, 100_000)
      .default(150)
      .meta({ description: "Failed logins from one address within `window` before it has to wait." }),
    per_principal: whole(1, 100_000)
      .default(30)
      .meta({ description: "Failed logins in one principal's name from one address within `window`." }),
    window: duration(1, 86_400).prefault("5m"),
    first: duration(1, 86_400)
      .prefault("10s")
      .meta({ description: "The first wait; each further one is twice as long." }),
    longest: duration(1, 86_400).prefault("15m"),
  })
  .prefault({})
  .meta({ description: "Waits after failed logins." });

export const tokens = z
  .strictObject({
    lifetime: duration(300, 3600)
      .prefault("30m")
      .meta({ description: "How long a `pgt_` token lives when nothing else is asked for." }),
    longest: duration(300, 3600).prefault("60m").meta({
      description: "The longest lifetime that may be asked for. None outlives the token it comes from.",
    }),
    per_principal: whole(1, 900).default(100).meta({ description: "Living tokens of one principal." }),
  })
  .prefault({})
  .meta({ description: "Postern's own short-lived tokens (identity.md)." });

export const identity = z.strictObject({
  tokens,
  providers: z
    .array(provider)
    .min(1)
    .max(32)
    .meta({ description: "Who issues the tokens that Postern accepts." }),
  max_delegation_depth: maxDelegationDepth,
  lockout,
});
