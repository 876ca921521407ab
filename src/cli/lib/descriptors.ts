/**
 * File descriptors: a gateway that has none left cannot write its audit log, and all sessions end. So connections are bounded by
 * what the system lets it open, whatever the configuration allows.
 */
import { readFileSync } from "node:fs";
import type pino from "pino";
import type { GatewaySettings } from "../../gateway/settings.ts";

/** For the log, the store, the listeners, analysis, HTTP and Node itself. */
const reserved = 64;
/** Of each connection that is allowed: a session's two sides, one that has not shown a token, and one that is being turned away. */
const each = 4;

/** Connections that fit into so many file descriptors; at least one. */
export function connectionsWithin(descriptors: number): number {
  return Math.max(1, Math.floor((descriptors - reserved) / each));
}

/** The limit in force as /proc/self/limits tells it (proc_pid_limits(5)); null: unlimited, or it does not tell. */
export function descriptorLimit(limits: string): number | null {
  const soft = /^Max open files\s+(\d+)\s/m.exec(limits)?.[1];
  return soft === undefined ? null : Number(soft);
}

function read(): number | null {
  try {
    return descriptorLimit(readFileSync("/proc/self/limits", "utf8"));
  } catch {
    // Not Linux.
    return null;
  }
}

/** The settings, with no more connections than file descriptors allow. */
export function withinDescriptors(settings: GatewaySettings, logger: pino.Logger): GatewaySettings {
  const descriptors = read();
  if (descriptors === null) return settings;
  const most = connectionsWithin(descriptors);
  const { connections } = settings.limits;
  if (connections <= most) return settings;
  logger.warn(
    { descriptors, connections: most },
    `limits.connections is ${connections}, but this process may open ${descriptors} files only: ${most} connections are allowed (ulimit -n, LimitNOFILE)`,
  );
  return { ...settings, limits: { ...settings.limits, connections: most } };
}
