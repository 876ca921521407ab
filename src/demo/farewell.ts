/** What the user gets to go on with: connection lines, addresses, commands. */
import { existsSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { databaseUrlLine, type Endpoint, envFile, psqlLine } from "./connect.ts";
import { tokenSeconds } from "./idp.ts";
import { approver, engineer, type Person, supportAgent } from "./people.ts";
import type { DemoState } from "./state.ts";

/** Connection lines for an agent, an engineer and an approver, also as files that a shell or a tool reads. */
export async function printConnections(
  state: DemoState,
  endpoint: Endpoint,
  token: (person: Person) => Promise<string>,
  out: (line: string) => void,
): Promise<void> {
  out("");
  out(
    `Connect yourself. The password is the token; it is good for ${tokenSeconds / 3600} hours, a new start gives new ones.`,
  );
  for (const person of [supportAgent, engineer, approver]) {
    const fresh = await token(person);
    const file = state.write(
      `${person.client.replace(/^agent-.*/, "agent")}.env`,
      envFile(person, endpoint, fresh),
    );
    out("");
    out(`# ${person.role}: ${person.subject}, groups ${person.groups.join(", ")} (also in ${near(file)})`);
    out(psqlLine(person, endpoint, fresh));
    out(databaseUrlLine(person, endpoint, fresh));
  }
}

export function printPlaces(state: DemoState, http: number, out: (line: string) => void): void {
  const config = near(join(state.dir, "postern.yaml"));
  const postern = command();
  out("");
  out(
    `Console              http://127.0.0.1:${http}/   (log in as sam@example.com to see all, as ada@example.com to approve)`,
  );
  out(
    `MCP                  http://127.0.0.1:${http}/mcp   (bearer token: PGPASSWORD of ${near(join(state.dir, "agent.env"))})`,
  );
  out(`Health and metrics   http://127.0.0.1:${http}/healthz  http://127.0.0.1:${http}/metrics`);
  out(`Settings             ${config}`);
  out(`The trail            ${near(join(state.dir, "audit"))}`);
  out(`  follow it          ${postern} audit tail -f -c ${config}`);
  out(`  search it          ${postern} audit search --subject agent-reports -c ${config}`);
  out(`  verify it          ${postern} audit verify -c ${config}`);
}

/** A path as one would type it in the working folder. */
function near(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith("..") ? path : short;
}

/** How to call Postern from here. In a checkout the system's own node may be too old; npx finds the one that npm installed. */
function command(): string {
  const script = process.argv[1] ?? "";
  if (!existsSync(script) || !script.endsWith("postern.js")) return "postern";
  const local = join(process.cwd(), "node_modules") + sep;
  const foreign = process.execPath.includes(`${sep}node_modules${sep}`);
  const node = process.execPath.startsWith(local) ? "npx node" : foreign ? process.execPath : "node";
  return `${node} ${near(script)}`;
}
