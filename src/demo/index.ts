/** `postern demo`: everything Postern needs around it, on this machine alone, and a story to watch. */
import { once as event } from "node:events";
import { join } from "node:path";
import pino from "pino";
import { composeGateway } from "../cli/lib/compose.ts";
import { loadConfig } from "../config/index.ts";
import { prepareShop, shopDatabase } from "./database.ts";
import { printConnections, printPlaces } from "./farewell.ts";
import { startIdp } from "./idp.ts";
import { tellMcpStory } from "./mcpagent.ts";
import { DemoError } from "./packages.ts";
import { approver, supportAgent } from "./people.ts";
import { logIn } from "./person-login.ts";
import { startPostgres } from "./postgres.ts";
import { type Held, shopScript } from "./script.ts";
import { demoConfig, demoPolicy } from "./settings.ts";
import { type DemoState, freePort, openState } from "./state.ts";
import { tellStory } from "./story.ts";
import { printTrail, printVerification } from "./trail.ts";

export { DemoError } from "./packages.ts";

export interface DemoOptions {
  /** The folder in which `.postern-demo/` lies. */
  readonly base: string;
  /** End after the story instead of staying up. */
  readonly once: boolean;
  /** Takes each line of output. */
  readonly out: (line: string) => void;
  /** Characters a line of the story may have. */
  readonly width: number;
  /** Aborted when the user wants out. */
  readonly signal: AbortSignal;
}

/**
 * Starts PostgreSQL, the OIDC provider and the gateway, tells the story, shows the trail, and stays until the signal.
 * Gives the exit code: 0, or 1 when something went otherwise than the script expects. Everything is stopped when it
 * returns. Throws DemoError when the demo cannot run here.
 */
export async function runDemo({ base, once, out, width, signal }: DemoOptions): Promise<number> {
  const began = performance.now();
  const progress = (text: string) =>
    out(`[${((performance.now() - began) / 1000).toFixed(1).padStart(4)} s] ${text}`);
  await using running = new AsyncDisposableStack();
  const state = openState(base);
  running.defer(() => state.close());
  const goOn = () => {
    if (signal.aborted) throw new DemoError("stopped while starting");
  };

  progress(`demo folder ${state.dir}`);
  const postgres = await startPostgres(state, progress);
  running.defer(() => postgres.stop());
  goOn();
  const password = (role: string) => state.secret(role).value;
  const passwords = {
    shop_reader: password("shop_reader"),
    shop_writer: password("shop_writer"),
    shop_admin: password("shop_admin"),
  };
  await prepareShop(postgres, passwords, progress);
  progress(`PostgreSQL ${postgres.version} on 127.0.0.1:${postgres.port}, database ${shopDatabase}`);
  goOn();
  const ports = {
    gateway: await choosePort(6432, "gateway", out),
    http: await choosePort(8432, "HTTP", out),
    postgres: postgres.port,
  };
  const idp = await startIdp(state, await choosePort(9432, "OIDC provider", out), [
    `http://127.0.0.1:${ports.http}`,
  ]);
  running.defer(() => idp.stop());
  progress(`OIDC provider on ${idp.issuer}`);
  goOn();
  state.write("policy.yaml", demoPolicy(), 0o644);
  const config = await loadConfig(state.write("postern.yaml", demoConfig(ports, idp.issuer), 0o644));
  const gateway = await composeGateway(config, openGatewayLog(state));
  running.defer(() => gateway.stop(once ? 0 : 3000));
  progress(`gateway on 127.0.0.1:${ports.gateway}`);
  goOn();

  const endpoint = { host: "127.0.0.1", port: ports.gateway, database: shopDatabase };
  out("");
  out(
    "Two scripted agents, an engineer and an approver work in the shop, each with a token of their own, through the gateway.",
  );
  out("Its policy is agent-safe with labels on personal data: e-mail addresses come back masked.");
  // Who decides must have logged in as a person, just now: the token that a script holds carries no right to it.
  const decide = async ({ by, verdict, reason }: Held, approval: string): Promise<void> => {
    const token = await logIn(idp.issuer, by);
    const response = await fetch(`http://127.0.0.1:${ports.http}/api/approvals/${approval}/${verdict}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ reason }),
    });
    if (!response.ok) throw new Error(`the gateway did not take the decision (${response.status})`);
  };
  const told = await tellStory(
    shopScript(),
    {
      ...endpoint,
      width,
      token: (person) => idp.token(person.client),
      decide,
    },
    out,
  );
  const agentsTold = await tellMcpStory(
    {
      url: `http://127.0.0.1:${ports.http}/mcp`,
      database: shopDatabase,
      agent: supportAgent,
      token: (person) => idp.token(person.client),
      approve: (id) => decide({ by: approver, verdict: "approve", reason: "asked for by the customer" }, id),
    },
    out,
  );
  const surprises = told + agentsTold;
  await gateway.audit.settle();
  out("");
  out(
    "The same statements in the audit trail, literals stripped (texts and parameters lie sealed beside them):",
  );
  const place = {
    log: join(config.audit.dir, ...gateway.audit.origin.split("/").slice(1)),
    key: join(config.audit.keys, "log.vkey"),
  };
  printTrail(place, 8, width, out);
  const intact = printVerification(place, out);
  const code = surprises === 0 && intact ? 0 : 1;
  if (surprises > 0)
    out(`${surprises} step${surprises === 1 ? "" : "s"} of the story went otherwise than expected.`);
  if (!once && !signal.aborted) {
    await printConnections(state, endpoint, (person) => idp.token(person.client), out);
    printPlaces(state, ports.http, out);
    out("");
    out("Everything is up. Ctrl-C stops it.");
    await Promise.race([signal.aborted ? null : event(signal, "abort"), postgres.gone]);
    if (!signal.aborted) throw new DemoError(`PostgreSQL has ended; see ${join(state.dir, "postgres.log")}`);
    out("Stopping ...");
  }
  return code;
}

/** The gateway's own log goes to a file: the terminal tells the story. */
function openGatewayLog(state: DemoState): pino.Logger {
  return pino(
    pino.destination({ dest: join(state.dir, "gateway.log"), sync: true, append: false, mode: 0o600 }),
  );
}

async function choosePort(wanted: number, what: string, out: (line: string) => void): Promise<number> {
  const port = await freePort(wanted);
  if (port !== wanted) out(`         port ${wanted} is taken: the ${what} uses ${port} this time`);
  return port;
}
