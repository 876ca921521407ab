/** Who appears in the demo: OAuth clients of its OIDC provider, and what their tokens say. */
export interface Person {
  /** OAuth client id, and the token's `client_id`. */
  readonly client: string;
  /** The token's `sub`. */
  readonly subject: string;
  readonly email: string;
  readonly groups: readonly string[];
  /** For the reader of the demo. */
  readonly role: string;
  /** What it claims to be about (`postern.intent`); people claim nothing. */
  readonly intent?: string;
}

/** Reads, and answers customers: login shop_writer. */
export const supportAgent: Person = {
  client: "agent-support",
  subject: "agent-support",
  email: "agent-support@example.com",
  groups: ["agents", "support"],
  role: "agent",
  intent: "open a ticket for a late parcel",
};

/** Reads only: login shop_reader. */
export const reportAgent: Person = {
  client: "agent-reports",
  subject: "agent-reports",
  email: "agent-reports@example.com",
  groups: ["agents"],
  role: "reporting agent",
  intent: "weekly sales report",
};

export const engineer: Person = {
  client: "engineer",
  subject: "erin@example.com",
  email: "erin@example.com",
  groups: ["employees", "engineers", "dba"],
  role: "engineer",
};

export const approver: Person = {
  client: "approver",
  subject: "ada@example.com",
  email: "ada@example.com",
  groups: ["employees", "data-stewards", "audit"],
  role: "approver",
};

export const security: Person = {
  client: "security",
  subject: "sam@example.com",
  email: "sam@example.com",
  groups: ["employees", "security", "audit"],
  role: "security engineer",
};

export const people: readonly Person[] = [supportAgent, reportAgent, engineer, approver, security];

/** Those who can log in with a browser: agents have no hands. */
export const humans: readonly Person[] = people.filter(({ groups }) => groups.includes("employees"));
