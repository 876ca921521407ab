/** `postern demo`: the demo with everything it needs, on this machine alone. */
import { AuditOpenError } from "../audit/index.ts";
import { DemoError, runDemo } from "../demo/index.ts";
import { readArgs } from "./lib/args.ts";

const usage = `Usage: postern demo [--once]

Starts a PostgreSQL with sample data, a small OIDC provider and Postern in front of it, all on 127.0.0.1, and runs two
scripted agents. Prints connection lines and stays up until Ctrl-C. Keeps its files in ./.postern-demo.

  --once   end after the script
`;

/** Gives 0, or 1 when a step went wrong or the demo cannot run here. Throws UsageError. */
export async function demo(args: string[]): Promise<number> {
  const parsed = readArgs(args, usage, { once: { type: "boolean", default: false } });
  if (parsed === null) return 0;
  const { signal, release } = stopSignal();
  try {
    const out = (line: string) => void process.stdout.write(`${line}\n`);
    return await runDemo({
      base: process.cwd(),
      once: parsed.values.once,
      out,
      width: process.stdout.columns ?? 220,
      signal,
    });
  } catch (error) {
    // Stopped in the middle of starting: whatever failed, failed for that.
    if (signal.aborted) return 130;
    const listening = error instanceof Error && "syscall" in error && error.syscall === "listen";
    if (!(error instanceof DemoError || error instanceof AuditOpenError || listening)) throw error;
    process.stderr.write(`postern demo: ${error.message}\n`);
    return 1;
  } finally {
    release();
  }
}

/** Aborted at the first Ctrl-C, SIGTERM or hang-up. A later one, when the user has lost patience, ends the process at once. */
function stopSignal(): { signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  let first: number | null = null;
  const stop = () => {
    // npm passes on a Ctrl-C that the terminal has sent already: that echo is not impatience.
    if (first !== null && performance.now() - first > 1000) process.exit(130);
    first ??= performance.now();
    controller.abort();
  };
  const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const name of names) process.on(name, stop);
  return {
    signal: controller.signal,
    release() {
      for (const name of names) process.off(name, stop);
    },
  };
}
