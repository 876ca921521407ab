/** How the verbs come by an analyser: the gateway's own reading of statements, opened over the configured databases. */
import type { Settings } from "../../config/index.ts";
import type { Analyse } from "../../policy/lab/analyser.ts";

export interface OpenedAnalyser {
  readonly analyse: Analyse;
  close(): Promise<void>;
}

export type OpenAnalyser = (settings: Settings) => Promise<OpenedAnalyser>;
