/** The demo's agent by MCP does its task, and notices when the gateway does not do its own. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type McpTarget, tellMcpStory } from "../../src/demo/mcpagent.ts";
import { supportAgent } from "../../src/demo/people.ts";
import { type McpHouse, startHouse } from "../mcp/support.ts";

const schema = `
create table customers(id int primary key, full_name text, email text, password_hash text);
insert into customers values (1, 'Ann Ames', 'ann@example.com', 'x');
create table orders(id int primary key, customer_id int references customers, status text, ordered_at timestamptz);
insert into orders values (7, 1, 'shipped', '2026-01-01');
create table support_tickets(id int generated always as identity, customer_id int, order_id int, subject text, body text,
  opened_by text default current_setting('postern.subject', true));
`;
const rules = (write: string) => `
version: 1
labels:
  - { label: pii, columns: ["*.*.customers.email"], mask: partial }
  - { label: secret, columns: ["*.*.customers.password_hash"], access: none }
rules:
  - { name: reads, when: 'statement.effects == ["read"]', then: allow }
  - { name: writes, when: '"write" in statement.effects', ${write} }
`;

let house: McpHouse;
let loose: McpHouse;
beforeAll(async () => {
  const kinds = [{ kind: "human" as const, when: '"data-stewards" in claims.groups' }];
  house = await startHouse({
    schema,
    policy: rules("then: approve, approvers: { groups: [data-stewards], count: 1 }"),
    approvals: true,
    kinds,
  });
  loose = await startHouse({ schema, policy: rules("then: allow") });
});
afterAll(async () => {
  await house?.stop();
  await loose?.stop();
});

function target(of: McpHouse): McpTarget {
  return {
    url: `${of.url}/mcp`,
    database: "shop",
    agent: supportAgent,
    token: ({ subject }) => of.postern.token({ sub: subject, client_id: supportAgent.client }),
    async approve(id) {
      const token = await of.postern.token({ sub: "ada", groups: ["data-stewards", "testers"] });
      const principal = await of.postern.identity.authenticate(token);
      await of.postern.approvals.decide(
        id,
        { principal, authTime: Math.floor(Date.now() / 1000) },
        "approve",
      );
    },
  };
}

describe("the agent by MCP", () => {
  it("explores, is masked, is refused, asks, and finishes", async () => {
    const lines: string[] = [];
    expect(await tellMcpStory(target(house), (line) => lines.push(line)), lines.join("\n")).toBe(0);
    const said = lines.join("\n");
    expect(said).toContain("(masked: email)");
    expect(said).not.toContain("ann@example.com");
    expect(said).toContain("opened by agent-support");
    const rows = await house.cluster.query(house.dbname, "select order_id, opened_by from support_tickets");
    expect(rows).toEqual([{ order_id: 7, opened_by: "agent-support" }]);
  });

  it("counts what went otherwise", async () => {
    const lines: string[] = [];
    expect(await tellMcpStory(target(loose), (line) => lines.push(line))).toBeGreaterThan(1);
    expect(lines.join("\n")).toContain("UNEXPECTED");
  });
});
