/** `postern doctor`: follows the way from here to each database, step by step, and says what to do where it ends. */
import { lookup } from "node:dns/promises";
import { isIP, type Socket } from "node:net";
import { decodeErrorFields, encodeFrontend, encodeStartup, scramClient } from "../protocol/index.ts";
import { ByteReader } from "./account/bytereader.ts";
import { CliError } from "./account/error.ts";
import { ask, clean, describeGateway, type GatewayInfo, gatewayUrl, type Place } from "./account/gateway.ts";
import { discover, type OidcPlace } from "./account/oidc.ts";
import { pgPlace } from "./account/pgfiles.ts";
import { type Account, openAccount } from "./account/tokens.ts";
import { type Me, whoIs } from "./account/who.ts";
import { dial } from "./account/wire.ts";
import { readArgs } from "./lib/args.ts";

const usage = `Usage: postern doctor [URL] [--profile NAME] [--json]

Checks the way from here to each database: name, TLS, the gateway, its identity provider, the clocks, your login, your groups, and a
login to each database. Says what to do about what does not work.

Exit code 0: all works. 1: something does not. 3: the gateway cannot be reached.
`;

interface Finding {
  readonly step: string;
  readonly ok: boolean;
  readonly what: string;
  readonly advice: string | null;
}

/** How far apart clocks may be: tokens are taken with 30 seconds of tolerance. */
const skewMs = 20_000;

/** Throws UsageError. */
export async function doctor(args: string[]): Promise<number> {
  const parsed = readArgs(
    args,
    usage,
    { profile: { type: "string" }, json: { type: "boolean" } },
    { least: 0, most: 1 },
  );
  if (parsed === null) return 0;
  const findings: Finding[] = [];
  const json = parsed.values.json === true;
  const report = (finding: Finding) => {
    findings.push(finding);
    if (json) return;
    process.stdout.write(
      `${finding.ok ? "ok  " : "FAIL"} ${finding.step.padEnd(12)} ${clean(finding.what)}\n`,
    );
    if (finding.advice !== null) process.stdout.write(`     ${" ".repeat(12)} → ${finding.advice}\n`);
  };
  const step = async <T>(
    name: string,
    work: () => Promise<{ said: string; value: T }>,
  ): Promise<T | null> => {
    try {
      const { said, value } = await work();
      report({ step: name, ok: true, what: said, advice: null });
      return value;
    } catch (error) {
      const advice = error instanceof CliError ? error.hint : null;
      report({ step: name, ok: false, what: error instanceof Error ? error.message : "failed", advice });
      return null;
    }
  };
  const unreachable = await examine(parsed.positionals[0], parsed.values.profile, step);
  if (json) process.stdout.write(`${JSON.stringify({ ok: findings.every((one) => one.ok), findings })}\n`);
  return unreachable ? 3 : findings.every((one) => one.ok) ? 0 : 1;
}

type Step = <T>(name: string, work: () => Promise<{ said: string; value: T }>) => Promise<T | null>;

/** Gives whether the gateway could not be reached at all. */
async function examine(url: string | undefined, profile: string | undefined, step: Step): Promise<boolean> {
  const account = await step("login", async () => {
    if (url !== undefined) return { said: "not looked at: an address was given", value: null };
    const found = openAccount(profile);
    return { said: `${found.profile.subject} at ${found.place.url} (${found.profile.kind})`, value: found };
  });
  const place: Place | null =
    url !== undefined ? { url: gatewayUrl(url), ca: null } : account === null ? null : account.place;
  if (place === null) return false;
  await step("name", () => resolveName(new URL(place.url).hostname));
  const info = await step("gateway", async () => {
    const found = await describeGateway(place);
    const note = found.issuer === place.url ? "" : `; it calls itself ${found.issuer}`;
    return { said: `Postern answers at ${place.url}${note}`, value: found };
  });
  if (info === null) return true;
  await step("clock", () => compareClocks(place));
  for (const provider of info.providers)
    if (provider.type === "oidc" && provider.client_id !== null) {
      const at: OidcPlace = {
        issuer: provider.issuer,
        clientId: provider.client_id,
        scopes: [],
        resource: null,
      };
      await step(`idp ${provider.name}`, async () => {
        const { server } = await discover(at);
        const device =
          server.device_authorization_endpoint === undefined ? "no device login" : "device login";
        return { said: `${provider.issuer} answers (${device})`, value: null };
      });
    }
  if (account === null) return false;
  const me = await step("token", () => tryToken(account));
  if (me === null) return false;
  await step("groups", async () => {
    if (me.groups.length === 0)
      throw new CliError(
        1,
        "your token names no groups",
        "The provider must put a groups claim into access tokens (docs/identity.md).",
      );
    if (me.databases.length === 0)
      throw new CliError(
        1,
        `none of your groups (${me.groups.join(", ")}) has a login anywhere`,
        "Ask the gateway's administrator for a group that has one.",
      );
    return { said: me.groups.join(", "), value: null };
  });
  for (const { name } of me.databases) await step(name, () => tryDatabase(account, info, name));
  return false;
}

async function resolveName(host: string): Promise<{ said: string; value: null }> {
  const bare = host.replace(/^\[|\]$/g, "");
  if (isIP(bare) !== 0) return { said: `${bare} is an address`, value: null };
  try {
    const found = await lookup(bare, { all: true });
    return { said: `${bare} is ${found.map((one) => one.address).join(", ")}`, value: null };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CliError(
      3,
      `${bare} cannot be resolved (${code ?? "?"})`,
      "Check the address, your network and VPN.",
    );
  }
}

async function compareClocks(place: Place): Promise<{ said: string; value: null }> {
  const before = Date.now();
  const { date } = await ask(place, "/healthz");
  if (date === null) return { said: "the gateway does not tell its time", value: null };
  // The header counts whole seconds.
  const off = date + 500 - (before + Date.now()) / 2;
  if (Math.abs(off) > skewMs)
    throw new CliError(
      1,
      `this clock is ${Math.round(Math.abs(off) / 1000)} s ${off > 0 ? "behind" : "ahead of"} the gateway's`,
      "Set it (NTP): tokens are refused from 30 s on.",
    );
  return { said: "as the gateway's", value: null };
}

async function tryToken(account: Account): Promise<{ said: string; value: Me }> {
  const issued = await account.issue({ seconds: 300 });
  const me = await whoIs(account.place, issued.access_token);
  return { said: `exchanged; you are ${me.subject} (${me.kind}) until ${issued.expires}`, value: me };
}

/** Logs in as a client would, up to ReadyForQuery. */
async function tryDatabase(
  account: Account,
  info: GatewayInfo,
  database: string,
): Promise<{ said: string; value: null }> {
  const place = pgPlace(info);
  const { access_token: token, user } = await account.issue({ audience: "wire", database, seconds: 300 });
  const started = performance.now();
  let socket: Socket;
  try {
    socket = await dial({ ...place, ca: account.place.ca });
  } catch (error) {
    const message = error instanceof Error ? error.message : "failed";
    throw new CliError(
      1,
      message,
      /certificate/.test(message)
        ? "Log in with --ca FILE, the authority's PEM file."
        : "Is the port open from here (firewall, VPN)?",
    );
  }
  const timer = setTimeout(() => socket.destroy(), 20_000);
  try {
    await logIn(socket, { user, database, token });
    socket.end(encodeFrontend({ type: "terminate" }));
    return {
      said: `logged in at ${place.host}:${place.port} in ${Math.round(performance.now() - started)} ms`,
      value: null,
    };
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

async function logIn(socket: Socket, as: { user: string; database: string; token: string }): Promise<void> {
  const reader = new ByteReader(socket);
  socket.write(
    encodeStartup(
      new Map([
        ["user", as.user],
        ["database", as.database],
        ["application_name", "postern doctor"],
      ]),
    ),
  );
  const scram = scramClient({ password: as.token, channelBinding: "none" });
  for (;;) {
    const head = await reader.take(5);
    const body = await reader.take(Math.max(head.readInt32BE(1) - 4, 0));
    const type = String.fromCharCode(head[0] ?? 0);
    if (type === "Z") return;
    if (type === "E") {
      const fields = decodeErrorFields(body);
      throw new CliError(1, fields.get("M") ?? "refused", fields.get("H") ?? advice(fields.get("C")));
    }
    if (type !== "R") continue;
    switch (body.readInt32BE(0)) {
      case 3:
        socket.write(encodeFrontend({ type: "password", password: as.token }));
        break;
      case 10:
        socket.write(
          body.includes("OAUTHBEARER")
            ? encodeFrontend({
                type: "saslInitialResponse",
                mechanism: "OAUTHBEARER",
                data: Buffer.from(`n,,\x01auth=Bearer ${as.token}\x01\x01`),
              })
            : encodeFrontend({
                type: "saslInitialResponse",
                mechanism: "SCRAM-SHA-256",
                data: scram.first(),
              }),
        );
        break;
      case 11:
        socket.write(encodeFrontend({ type: "saslResponse", data: await scram.final(body.subarray(4)) }));
        break;
      case 12:
        scram.verify(body.subarray(4));
        break;
    }
  }
}

function advice(sqlstate: string | undefined): string | null {
  switch (sqlstate) {
    case "28P01":
    case "28000":
      return "The gateway's audit log holds the cause: ask its administrator.";
    case "53300":
      return "Too many connections: close some, or try later.";
    case "58030":
      return "The gateway's audit log cannot be written: tell its administrator.";
    default:
      return null;
  }
}
