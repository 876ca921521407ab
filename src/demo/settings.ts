/** The demo's postern.yaml: written out and loaded like anybody's, so that it can be read, copied and changed. */
import { shopDatabase } from "./database.ts";
import { audience } from "./idp.ts";
import { cliClient, consoleClient } from "./idp-clients.ts";

export interface DemoPorts {
  /** Port of the gateway for PostgreSQL clients. */
  readonly gateway: number;
  readonly http: number;
  /** Port of the demo's PostgreSQL. */
  readonly postgres: number;
}

/** The demo's policy: the built-in one, and what must stay hidden in the shop. */
export function demoPolicy(): string {
  return `# Written by "postern demo" at each start: change a copy, not this file. docs/policy.md explains it.
version: 1
extends: agent-safe # agents: reads with limits, writes need a person, no DDL, no unbounded writes
labels:
  - label: pii.email
    columns: ["${shopDatabase}.public.customers.email"]
    mask: partial
  - label: pii.person
    columns: ["${shopDatabase}.public.customers.phone", "${shopDatabase}.public.customers.ssn"]
    mask: redact
  - label: payment.card
    columns: ["${shopDatabase}.public.payments.card_number"]
    mask: { keep: { first: 0, last: 4 } }
  - label: secret
    columns: ["${shopDatabase}.public.customers.password_hash"]
    access: none # never read, by nobody
rules:
  - name: stewards-see-persons
    when: '"data-stewards" in principal.groups'
    then: unmask
    labels: [pii.email, pii.person]
`;
}

/** The text of the file. Paths in it are relative to the state folder it lies in. */
export function demoConfig(ports: DemoPorts, issuer: string): string {
  return `# Written by "postern demo" at each start: change a copy, not this file.
version: 1
listen:
  postgres: 127.0.0.1:${ports.gateway}
  http: 127.0.0.1:${ports.http}
identity:
  providers:
    - name: demo
      type: oidc
      issuer: ${issuer}
      audience: ${audience}
      algorithms: [ES256]
      token_types: [at+jwt]
      kinds: # first match; none: agent
        - { kind: agent, when: 'claims.client_id.startsWith("agent-")' }
        - { kind: human, when: '"employees" in claims.groups' }
      client: { id: ${consoleClient}, secret: { file: secrets/client-${consoleClient} }, cli: ${cliClient} } # logins: console, postern login
databases:
  - name: ${shopDatabase}
    server: { host: 127.0.0.1, port: ${ports.postgres}, dbname: ${shopDatabase}, tls: { mode: disable } }
    logins: # first match by group; none: refused
      - { groups: [dba], user: shop_admin, password: { file: secrets/shop_admin } }
      - { groups: [support], user: shop_writer, password: { file: secrets/shop_writer } }
      - { groups: [agents, data-stewards], user: shop_reader, password: { file: secrets/shop_reader } }
policy: policy.yaml
mcp: { enabled: true } # POST /mcp on the http listener
admin: { admins: [security], auditors: [audit], approvers: [data-stewards] }
approvals:
  access: # what people may ask for on the console's page Access, or by "postern access request"
    - { groups: [dba, support], requesters: [employees], approvers: { groups: [data-stewards] }, max: 4h }
audit:
  dir: audit
  node: demo
  durability: disk
`;
}
