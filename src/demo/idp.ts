/**
 * A small OIDC provider for the demo, on loopback. Its clients get JWT access tokens (RFC 9068) by the client credentials
 * grant (RFC 6749 section 4.4). For development only: it knows no people who log in and keeps nothing but its keys.
 */
import { generateKeyPairSync } from "node:crypto";
import { createServer, type Server } from "node:http";
import { loadOidcProvider } from "./packages.ts";
import { people } from "./people.ts";
import type { DemoState } from "./state.ts";

/** The audience of the tokens, as postern.yaml expects it. */
export const audience = "postern";
const resource = "urn:postern";
export const tokenSeconds = 8 * 3600;

export interface DemoIdp {
  readonly issuer: string;
  /** A fresh access token of a client. Throws an Error with the provider's error code when it refuses. */
  token(client: string): Promise<string>;
  stop(): Promise<void>;
}

/** Starts the provider on 127.0.0.1:`port`. Keys and client secrets are kept in the state folder, so tokens outlive a restart. */
export async function startIdp(state: DemoState, port: number): Promise<DemoIdp> {
  const Provider = await loadOidcProvider();
  const issuer = `http://127.0.0.1:${port}`;
  const provider = quietly(
    () =>
      new Provider(issuer, {
        jwks: { keys: [signingKey(state)] },
        cookies: { keys: [state.secret("idp-cookies").value] },
        clients: people.map((person) => ({
          client_id: person.client,
          client_secret: state.secret(`client-${person.client}`).value,
          grant_types: ["client_credentials"],
          redirect_uris: [],
          response_types: [],
        })),
        // ES256 keeps a token near 600 bytes; RS256 adds 256.
        ttl: { ClientCredentials: tokenSeconds },
        clientDefaults: { id_token_signed_response_alg: "ES256" },
        features: {
          devInteractions: { enabled: false },
          clientCredentials: { enabled: true },
          resourceIndicators: {
            enabled: true,
            defaultResource: () => resource,
            useGrantedResource: () => true,
            getResourceServerInfo: () => ({
              scope: "",
              audience,
              accessTokenFormat: "jwt",
              accessTokenTTL: tokenSeconds,
              jwt: { sign: { alg: "ES256" } },
            }),
          },
        },
        extraTokenClaims(_ctx, token) {
          const person = people.find(({ client }) => client === token.clientId);
          return person === undefined ? undefined : { groups: person.groups, email: person.email };
        },
        formats: {
          customizers: {
            // The grant has no end user, so `sub` would be the client's id; the demo's people have a name of their own.
            jwt(_ctx, token, parts) {
              const person = people.find(({ client }) => client === token.clientId);
              if (person !== undefined) parts.payload.sub = person.subject;
              return parts;
            },
          },
        },
      }),
  );
  const handle = provider.callback();
  const server = createServer((request, response) => {
    // No connection is kept that a stop would have to break.
    response.setHeader("connection", "close");
    void handle(request, response);
  });
  await listen(server, port);
  return {
    issuer,
    async token(client) {
      const secret = state.secret(`client-${client}`).value;
      const response = await fetch(`${issuer}/token`, {
        method: "POST",
        headers: { authorization: `Basic ${Buffer.from(`${client}:${secret}`).toString("base64")}` },
        body: new URLSearchParams({ grant_type: "client_credentials", resource }),
      });
      const answer = (await response.json()) as { access_token?: unknown; error?: unknown };
      if (typeof answer.access_token !== "string")
        throw new Error(`the demo's OIDC provider refused ${client}: ${String(answer.error)}`);
      return answer.access_token;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The provider's private ES256 key as a JWK, made at the first start. */
function signingKey(state: DemoState): Record<string, unknown> {
  const kept = state.read("secrets/idp-key.json");
  if (kept !== null) return JSON.parse(kept) as Record<string, unknown>;
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const key = {
    ...privateKey.export({ format: "jwk" }),
    use: "sig",
    alg: "ES256",
    kid: `demo-${Date.now().toString(36)}`,
  };
  state.write("secrets/idp-key.json", JSON.stringify(key));
  return key;
}

/** Runs `make` without the provider's notes on its in-memory adapter and the like, which are right but belong to no demo. */
function quietly<T>(make: () => T): T {
  const { info, warn } = console;
  console.info = () => {};
  console.warn = () => {};
  try {
    return make();
  } finally {
    console.info = info;
    console.warn = warn;
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve());
  });
}
