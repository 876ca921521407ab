/** `postern connect DB`: a local address for programs that know nothing of tokens. */
import { randomBytes, randomUUID, timingSafeEqual } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { CliError } from "./account/error.ts";
import { describeGateway, type Issued } from "./account/gateway.ts";
import { accountHome, privateFolder } from "./account/home.ts";
import { pgPlace } from "./account/pgfiles.ts";
import { keepRenewed } from "./account/renew.ts";
import { openAccount } from "./account/tokens.ts";
import { serveLocal } from "./account/wire.ts";
import { readArgs, UsageError } from "./lib/args.ts";

const usage = `Usage: postern connect DB [--port N] [--agent NAME] [--profile NAME] [--json]

Listens for local programs and takes their connections to a database behind the gateway, with your login and verified TLS.
Runs until Ctrl-C. By default it listens on a Unix socket in a folder that only you can enter.

      --port N       listen on 127.0.0.1 at this port instead (0: any), with a password that is made up now
      --agent NAME   for an agent of yours: it acts as an agent in your name, and the record names it
      --json         print the address as JSON, in one line
`;

const most = 100;
/** A token with less than this left is not given to new connections. */
const enoughMs = 10 * 60_000;

/** Gives 0 when it was stopped. Throws UsageError, CliError. */
export async function connect(args: string[]): Promise<number> {
  const parsed = readArgs(
    args,
    usage,
    {
      port: { type: "string" },
      agent: { type: "string" },
      profile: { type: "string" },
      json: { type: "boolean" },
    },
    { least: 1, most: 1 },
  );
  if (parsed === null) return 0;
  const [database = ""] = parsed.positionals;
  const { agent } = parsed.values;
  const port = readPort(parsed.values.port);
  const account = openAccount(parsed.values.profile);
  const info = await describeGateway(account.place);
  const place = { ...pgPlace(info), ca: account.place.ca };
  const auth = info.postgres.find((one) => one.host === place.host && one.port === place.port)?.auth ?? [];
  const request = { audience: "wire", database, seconds: 3600, ...(agent === undefined ? {} : { agent }) };
  const run = randomUUID();
  let issued: Issued = await account.issue(request);
  let renewing: Promise<Issued> | null = null;
  const renewer = keepRenewed({
    account,
    request,
    run,
    expires: issued.expires,
    onToken: () => {},
  });
  const token = async () => {
    if (Date.parse(issued.expires) - Date.now() < enoughMs) {
      renewing ??= account.issue(request).finally(() => {
        renewing = null;
      });
      issued = await renewing;
    }
    return { token: issued.access_token, user: issued.user };
  };
  const password = port === null ? null : randomBytes(24).toString("base64url");
  const folder = port === null ? mkdtempSync(join(privateFolder(join(accountHome(), "run")), "s-")) : null;
  const rules = {
    place,
    database,
    password: password === null ? null : (given: string) => same(given, password),
    token,
    options: `-c postern.run=${run}`,
    scramOnly: auth.every((way) => way === "scram"),
    tell: (line: string) => void process.stderr.write(`postern connect: ${line}\n`),
  };
  const open = new Set<Socket>();
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    void serveLocal(socket, rules);
  });
  server.maxConnections = most;
  try {
    const at = await listen(
      server,
      folder === null ? { port: port ?? 0 } : { path: join(folder, ".s.PGSQL.5432") },
    );
    const url =
      folder === null
        ? `postgresql://postern:${password}@127.0.0.1:${at}/${encodeURIComponent(database)}?sslmode=disable`
        : `postgresql:///${encodeURIComponent(database)}?host=${encodeURIComponent(folder)}&user=postern`;
    if (parsed.values.json === true)
      process.stdout.write(
        `${JSON.stringify({ url, host: folder ?? "127.0.0.1", port: folder === null ? at : 5432, database, user: "postern", password })}\n`,
      );
    else {
      process.stdout.write(`${url}\n`);
      process.stderr.write(`Connections to it reach ${database} as you (until Ctrl-C).\n`);
      if (folder !== null) process.stderr.write(`  psql -h ${folder} -U postern ${database}\n`);
    }
    await untilStopped();
    return 0;
  } finally {
    renewer.stop();
    server.close();
    for (const socket of open) socket.destroy();
    if (folder !== null) rmSync(folder, { recursive: true, force: true });
  }
}

function readPort(text: string | undefined): number | null {
  if (text === undefined) return null;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new UsageError("--port is a port's number", usage);
  return port;
}

function listen(
  server: ReturnType<typeof createServer>,
  at: { path: string } | { port: number },
): Promise<number> {
  return new Promise((done, fail) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      fail(new CliError(1, `cannot listen (${error.code ?? "?"})`)),
    );
    const listening = () => {
      const address = server.address();
      done(typeof address === "object" && address !== null ? address.port : 0);
    };
    if ("path" in at) server.listen(at.path, listening);
    else server.listen(at.port, "127.0.0.1", listening);
  });
}

function same(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function untilStopped(): Promise<void> {
  return new Promise((done) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => done());
  });
}
