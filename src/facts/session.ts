/** What is known of a session. `claimed` is what the caller says of itself; everything else the gateway saw. */

export type Via = "wire" | "mcp" | "api";

/** Provenance as the caller claims it: start-up options `postern.*`, sqlcommenter comments, MCP `_meta`. */
export interface Claimed {
  readonly agent?: string;
  readonly model?: string;
  readonly run?: string;
  readonly intent?: string;
  readonly traceparent?: string;
  /** Labels whose masks it would like lifted, separated by commas; whether they are is the policy's and people's to say. */
  readonly unmask?: string;
}

export interface ClientFacts {
  readonly ip: string;
  readonly port: number;
  /** TLS version towards the client, e.g. "TLSv1.3"; null on a plain connection. */
  readonly tls: string | null;
  /** application_name as the client sent it. */
  readonly application: string | null;
  /** The user of the startup packet: free text, never trusted. */
  readonly user: string;
  readonly via: Via;
}

export interface DatabaseFacts {
  /** The name clients ask for (postern.yaml `databases[].name`). */
  readonly name: string;
  /** The upstream login chosen for this session. */
  readonly login: string;
  /** The upstream backend's process id, null before it is connected. */
  readonly backend: number | null;
  readonly server_version: string | null;
}
