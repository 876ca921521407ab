/** The real analyser: the gateway's own reading of statements, over the databases of a configuration. */
import { pino } from "pino";
import { createOffline, type Offline } from "../../gateway/analyst/offline.ts";
import type { DatabaseSettings } from "../../gateway/settings.ts";
import type { OpenAnalyser } from "./analyser.ts";

/** Connects to a database when it is first asked about. */
export const openAnalyser: OpenAnalyser = async (settings) => openOffline(settings.gateway.databases);

/** What goes wrong is told by the verbs themselves: nothing is logged. */
export function openOffline(databases: readonly DatabaseSettings[]): Offline {
  return createOffline(databases, pino({ level: "silent" }));
}
