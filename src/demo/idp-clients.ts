/** The clients of the demo's OIDC provider. */
import { people } from "./people.ts";
import type { DemoState } from "./state.ts";

/** Postern itself, for the console's login. */
export const consoleClient = "postern-console";
/** `postern login`: a native app without a secret (RFC 8252). */
export const cliClient = "postern-cli";

/** `consoles`: origins of http listeners that people log in from. */
export function clientsOf(state: DemoState, consoles: readonly string[]): Record<string, unknown>[] {
  const scripted = people.map((person) => ({
    client_id: person.client,
    client_secret: state.secret(`client-${person.client}`).value,
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
  }));
  return [
    ...scripted,
    {
      client_id: consoleClient,
      client_name: "Postern's console",
      client_secret: state.secret(`client-${consoleClient}`).value,
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      redirect_uris: consoles.map((origin) => `${origin}/login/callback`),
      post_logout_redirect_uris: consoles.map((origin) => `${origin}/`),
    },
    {
      client_id: cliClient,
      client_name: "postern login",
      application_type: "native",
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
      response_types: ["code"],
      // RFC 8252 section 7.3: on loopback any port is as good.
      redirect_uris: ["http://127.0.0.1/callback", "http://[::1]/callback", "http://localhost/callback"],
    },
  ];
}
