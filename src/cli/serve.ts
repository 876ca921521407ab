/** `postern serve`: the gateway, until it is told to stop. */
import type pino from "pino";
import { AuditOpenError } from "../audit/errors.ts";
import { ConfigError, formatProblem, loadConfig, type Settings } from "../config/index.ts";
import { IdentityConfigError } from "../identity/errors.ts";
import { StoreUnavailable } from "../store/errors.ts";
import { configOption, readArgs } from "./lib/args.ts";
import type { ComposedGateway } from "./lib/compose.ts";
import { openLog } from "./lib/log.ts";
import { collectAll, createTrimming, lookMs } from "./lib/memory.ts";
import { packageVersion } from "./lib/version.ts";

const usage = `Usage: postern serve [-c postern.yaml]

Runs the gateway in the foreground; its own log goes to stdout as JSON lines (level: POSTERN_LOG).

  SIGTERM, SIGINT  stop accepting, let sessions end for 30 seconds, close the audit log; a second one ends at once
  SIGHUP           read the configuration and its files again; an invalid one changes nothing

Exit codes: 0 stopped, 1 failed, 2 wrong usage or configuration.
`;

const drainMs = 30_000;
/** After this nothing more is waited for. */
const lastWordMs = 5_000;

/** Gives the exit code. Throws UsageError, ConfigError. */
export async function serve(args: string[]): Promise<number> {
  const parsed = readArgs(args, usage, configOption);
  if (parsed === null) return 0;
  const file = parsed.values.config;
  const settings = await loadConfig(file);
  const { logger, close } = openLog();
  tellWarnings(settings, logger);
  let reloadWanted = false;
  const noteReload = () => {
    reloadWanted = true;
  };
  // Whoever reloads a service that is just starting must not end it: that is what the signal does when nobody listens to it.
  process.on("SIGHUP", noteReload);
  // Only now: a wrong word on the command line must not wait for the whole gateway to be loaded.
  const { composeGateway } = await import("./lib/compose.ts");
  let running: ComposedGateway;
  try {
    running = await composeGateway(settings, logger);
  } catch (error) {
    process.off("SIGHUP", noteReload);
    await close();
    // The same as below: whatever supervises us must see that it did not start.
    setTimeout(() => process.exit(), lastWordMs).unref();
    if (error instanceof IdentityConfigError) {
      const { asConfigError } = await import("./lib/identity.ts");
      throw await asConfigError(error, file);
    }
    return tellWhyNot(error, file);
  }
  tellWhere(running, settings, logger);
  const stopped = untilStopped(running, file, logger);
  process.off("SIGHUP", noteReload);
  if (reloadWanted) process.emit("SIGHUP", "SIGHUP");
  // Starting leaves a third of the heap behind it as garbage, and V8 would let the heap grow by as much again (bin/postern.js shows it).
  collectAll();
  const trimming = setInterval(
    createTrimming({
      resident: () => process.memoryUsage.rss(),
      activity() {
        const { sessionsTotal, statements, denied, authFailures } = running.gateway.stats();
        return sessionsTotal + statements + denied + authFailures;
      },
      collect: collectAll,
    }),
    lookMs,
  ).unref();
  const code = await stopped;
  clearInterval(trimming);
  await close();
  // What keeps a handle open now is not worth staying for; whoever asked twice, or met an error, does not wait at all.
  const wait = code === 0 ? lastWordMs : 0;
  setTimeout(() => process.exit(code), wait).unref();
  return code;
}

function untilStopped(running: ComposedGateway, file: string, logger: pino.Logger): Promise<number> {
  return new Promise((done) => {
    let stopping = false;
    const fail = (error: unknown, origin: string) => {
      logger.fatal({ err: error, origin }, "unexpected error: ending");
      // Nothing is forwarded once the log is closed; what PostgreSQL has open it rolls back when we are gone.
      void bounded(running.audit.close()).finally(() => done(leave(1)));
    };
    const stop = (signal: NodeJS.Signals) => {
      if (stopping) {
        logger.warn({ signal }, "second signal: ending at once");
        void bounded(running.audit.close()).finally(() => done(leave(1)));
        return;
      }
      stopping = true;
      logger.info(
        { signal, sessions: running.gateway.sessions.size },
        "stopping: no new sessions, open ones may end",
      );
      running.stop(drainMs).then(
        () => {
          logger.info("stopped");
          done(leave(0));
        },
        (error) => {
          logger.fatal({ err: error }, "the gateway did not stop cleanly");
          done(leave(1));
        },
      );
    };
    const reloads = oneAtATime(() => reload(running, file, logger));
    const handlers = {
      SIGTERM: stop,
      SIGINT: stop,
      SIGHUP: () => {
        if (!stopping) reloads();
      },
      uncaughtException: (error: Error) => fail(error, "uncaughtException"),
      unhandledRejection: (reason: unknown) => fail(reason, "unhandledRejection"),
    };
    for (const [name, handler] of Object.entries(handlers)) process.on(name, handler);
    const leave = (code: number) => {
      for (const [name, handler] of Object.entries(handlers)) process.off(name, handler);
      return code;
    };
  });
}

/** An invalid configuration keeps the old one in force, and says so. Never throws. */
async function reload(running: ComposedGateway, file: string, logger: pino.Logger): Promise<void> {
  try {
    const settings = await loadConfig(file);
    tellWarnings(settings, logger);
    const { applied, waiting } = await running.reload(settings);
    logger.info({ digest: settings.digest, applied }, "configuration reloaded");
    if (waiting.length > 0)
      logger.warn({ waiting }, `restart Postern to bring changes of ${waiting.join(", ")} into force`);
  } catch (caught) {
    const { asConfigError } = await import("./lib/identity.ts");
    const error = caught instanceof IdentityConfigError ? await asConfigError(caught, file) : caught;
    if (error instanceof ConfigError)
      for (const problem of error.problems) logger.error(formatProblem(problem));
    else logger.error({ err: error }, "the new configuration cannot be used");
    logger.error("the configuration was NOT reloaded: the old one stays in force");
  }
}

/** Calls during a run lead to one more run after it. */
function oneAtATime(work: () => Promise<void>): () => void {
  let state: "idle" | "running" | "again" = "idle";
  const run = async () => {
    do {
      state = "running";
      await work();
    } while ((state as string) === "again");
    state = "idle";
  };
  return () => {
    if (state === "idle") void run();
    else state = "again";
  };
}

function bounded(work: Promise<unknown>): Promise<unknown> {
  const timer = new Promise((done) => setTimeout(done, lastWordMs));
  return Promise.race([work.catch(() => {}), timer]);
}

function tellWarnings(settings: Settings, logger: pino.Logger): void {
  for (const warning of settings.warnings) logger.warn(formatProblem(warning));
}

function tellWhere(running: ComposedGateway, settings: Settings, logger: pino.Logger): void {
  const { gateway, http, audit } = running;
  logger.info(
    { version: packageVersion(), config: settings.file, digest: settings.digest, audit: audit.origin },
    "Postern is up",
  );
  for (const address of gateway.addresses)
    logger.info({ address: showAddress(address) }, "listening for PostgreSQL clients");
  if (http !== null) logger.info({ address: showAddress(http.address) }, "listening for HTTP");
}

export function showAddress(address: { host: string; port: number } | { path: string }): string {
  if ("path" in address) return `unix:${address.path}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** Why the gateway does not start, on stderr. Gives the exit code. Throws what is none of the known reasons. */
function tellWhyNot(error: unknown, file: string): number {
  const say = (text: string, code: number) => {
    process.stderr.write(`postern serve: ${text}\n`);
    return code;
  };
  if (error instanceof StoreUnavailable) return say(error.message, 1);
  if (error instanceof AuditOpenError)
    return say(`the audit log does not open (${error.code}): ${error.message}`, 1);
  const { code, syscall, address, port } = error as NodeJS.ErrnoException & {
    address?: string;
    port?: number;
  };
  if (syscall === "listen" || syscall === "bind")
    return say(
      `cannot listen on ${address ?? "an address"}${port === undefined || port < 0 ? "" : `:${port}`} (${code})`,
      1,
    );
  if (code === "LISTENER_SETTINGS" && error instanceof Error) return say(`${file}: ${error.message}`, 2);
  throw error;
}
