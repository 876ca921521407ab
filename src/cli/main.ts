/** `postern VERB …`: finds the verb and turns what it throws into an exit code (SPEC.md section 8). */
import { ConfigError, formatProblem } from "../config/problem.ts";
import { CliError } from "./account/error.ts";
import { UsageError } from "./lib/args.ts";

interface Verb {
  readonly summary: string;
  /** Loaded when it is asked for: `postern version` must not wait for the SQL parser. */
  load(): Promise<(args: string[]) => Promise<number>>;
}

const verbs: Readonly<Record<string, Verb>> = {
  serve: { summary: "run the gateway", load: async () => (await import("./serve.ts")).serve },
  check: {
    summary: "check a configuration and what its logins may do",
    load: async () => (await import("./check.ts")).check,
  },
  demo: {
    summary: "try it: PostgreSQL, an identity provider and an agent, all here",
    load: async () => (await import("./demo.ts")).demo,
  },
  scan: {
    summary: "sample a database's columns and propose labels for them",
    load: async () => (await import("./scan.ts")).scan,
  },
  audit: {
    summary: "search, show, follow and verify the audit trail",
    load: async () => (await import("./audit.ts")).audit,
  },
  policy: {
    summary: "check, test, explain and replay policies, list what they protect",
    load: async () => {
      const { policy } = await import("./policy.ts");
      const { openAnalyser } = await import("./policy/open.ts");
      return (args) => policy(args, openAnalyser);
    },
  },
  login: { summary: "log in at a gateway", load: async () => (await import("./login.ts")).login },
  logout: { summary: "end that login", load: async () => (await import("./login.ts")).logout },
  whoami: {
    summary: "say who the gateway takes you for",
    load: async () => (await import("./login.ts")).whoami,
  },
  token: {
    summary: "print a short-lived token, or write it into service and pass files",
    load: async () => (await import("./token.ts")).token,
  },
  psql: {
    summary: "run psql on a database behind the gateway",
    load: async () => (await import("./psql.ts")).psql,
  },
  connect: {
    summary: "a local address for programs that know nothing of tokens",
    load: async () => (await import("./connect.ts")).connect,
  },
  doctor: {
    summary: "check the way from here to each database, and say what to do",
    load: async () => (await import("./doctor.ts")).doctor,
  },
  sessions: {
    summary: "list open sessions and end them",
    load: async () => (await import("./sessions.ts")).sessions,
  },
  revoke: {
    summary: "end sessions and refuse tokens on every node, at once",
    load: async () => (await import("./sessions.ts")).revoke,
  },
  approvals: {
    summary: "list, show, approve and deny what waits for a person",
    load: async () => (await import("./approvals.ts")).approvals,
  },
  access: {
    summary: "ask for a group for a while, list and revoke grants",
    load: async () => (await import("./access.ts")).access,
  },
  keys: {
    summary: "make, show and rotate the keys of the audit log",
    load: async () => (await import("./keys.ts")).keys,
  },
  mcp: {
    summary: "MCP on standard input and output, handed on to the gateway",
    load: async () => (await import("./mcp.ts")).mcp,
  },
  version: { summary: "print the version", load: async () => (await import("./version.ts")).version },
};

/** Runs the command line (without program and script). Gives the exit code: 0 done, 1 a finding, 2 usage or configuration, 3 unreachable. */
export async function main(args: string[]): Promise<number> {
  endQuietlyWhenNobodyReads();
  const [name, ...rest] = args;
  if (name === undefined) {
    process.stderr.write(usage());
    return 2;
  }
  if (name === "--help" || name === "-h" || name === "help") {
    process.stdout.write(usage());
    return 0;
  }
  if (name === "--version" || name === "-v") return run("version", rest);
  return run(name, rest);
}

async function run(name: string, args: string[]): Promise<number> {
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (verb === undefined) {
    process.stderr.write(`postern: there is no verb ${JSON.stringify(name)}\n\n${usage()}`);
    return 2;
  }
  try {
    return await (await verb.load())(args);
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`postern ${name}: ${error.message}\n\n${error.usage}`);
      return 2;
    }
    if (error instanceof CliError) {
      process.stderr.write(`postern ${name}: ${harmless(error.message)}\n`);
      if (error.hint !== null) process.stderr.write(`  ${harmless(error.hint)}\n`);
      return error.exitCode;
    }
    if (error instanceof ConfigError) {
      for (const problem of error.problems) process.stderr.write(`${formatProblem(problem)}\n`);
      return 2;
    }
    if (isFileFault(error)) {
      process.stderr.write(`postern ${name}: ${harmless(error.message)}\n`);
      return 2;
    }
    throw error;
  }
}

/** What the operating system says of a file or folder that the user has named, or of one in their own folder. */
function isFileFault(error: unknown): error is NodeJS.ErrnoException {
  if (!(error instanceof Error)) return false;
  const { code, syscall, path }: NodeJS.ErrnoException = error;
  return code !== undefined && syscall !== undefined && path !== undefined;
}

function usage(): string {
  const width = Math.max(...Object.keys(verbs).map((name) => name.length));
  const list = Object.entries(verbs).map(([name, verb]) => `  ${name.padEnd(width)}  ${verb.summary}\n`);
  return `Usage: postern VERB [options]\n\n${list.join("")}\npostern VERB --help says more.\n`;
}

/** `postern … | head` closes our output: that is no error. */
function endQuietlyWhenNobodyReads(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
}

/** Names and texts of servers may stand in a message: they move no cursor, and reorder nothing. */
function harmless(text: string): string {
  return text.replaceAll(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, (found) => (found === "\n" ? found : " "));
}
