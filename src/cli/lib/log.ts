/** The gateway's own log: JSON lines on stdout, or readable lines on a terminal. Not the audit trail. */
import pino from "pino";

export interface OpenLog {
  readonly logger: pino.Logger;
  /** Resolves when all lines are written, in their order, or nobody reads them any more; later lines are dropped. */
  close(): Promise<void>;
}

const levels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];
/** A reader that stalls costs log lines, not the gateway. */
const maxQueuedBytes = 8 * 1024 * 1024;

/** Level by the environment variable POSTERN_LOG, default info. */
export function openLog(env: NodeJS.ProcessEnv = process.env, terminal = process.stdout.isTTY): OpenLog {
  const wanted = env.POSTERN_LOG?.toLowerCase() ?? "info";
  const options: pino.LoggerOptions = {
    level: levels.includes(wanted) ? wanted : "info",
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level) => ({ level }) },
    serializers: { err: describeError },
  };
  const { stream, close } = terminal
    ? { stream: { write: writePretty }, close: async () => {} }
    : openStdout();
  const logger = pino(options, stream);
  if (!levels.includes(wanted)) logger.warn(`POSTERN_LOG must be one of ${levels.join(", ")}; using info`);
  return { logger, close };
}

const closeMs = 1_000;

/** Name, code and message; of system errors the message stays out, as it holds addresses ("connect ECONNREFUSED 10.0.0.1:5432"). */
export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error };
  const { code, syscall } = error as NodeJS.ErrnoException;
  const system =
    syscall !== undefined || "address" in error || "hostname" in error || error instanceof AggregateError;
  if (system) return { type: error.name, code, syscall };
  return { type: error.name, code, message: error.message, stack: error.stack };
}

function openStdout(): { stream: pino.DestinationStream; close(): Promise<void> } {
  const destination = pino.destination({ dest: 1, sync: false, maxLength: maxQueuedBytes });
  const gone = Promise.withResolvers<void>();
  let open = true;
  // Whoever read the log may have gone: the gateway's work goes on.
  destination.on("error", () => gone.resolve());
  destination.on("close", () => gone.resolve());
  return {
    stream: {
      write(line) {
        if (open) destination.write(line);
      },
    },
    async close() {
      if (open) destination.end();
      open = false;
      const timer = setTimeout(() => gone.resolve(), closeMs);
      await gone.promise;
      clearTimeout(timer);
    },
  };
}

function writePretty(line: string): void {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line);
  } catch {
    process.stdout.write(line);
    return;
  }
  const { level, time, msg, ...rest } = entry;
  const clock = typeof time === "string" ? time.slice(11, 19) : "";
  const facts = Object.entries(rest).map(
    ([key, value]) => ` ${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  const text = `${clock} ${String(level).padEnd(5)} ${String(msg ?? "")}${facts.join("")}`;
  process.stdout.write(`${text.replace(/\p{Cc}/gu, " ")}\n`);
}
