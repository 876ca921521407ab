/** The exports of a running gateway: one worker thread each, of low priority. */
import { startBackground } from "../background.ts";
import type { ExportSettings, StreamSettings, StreamTarget } from "./settings.ts";
import type { StreamState } from "./stream.ts";

export interface ExportStream {
  readonly name: string;
  readonly state: StreamState;
  /** Ends within 5 seconds; what was not acknowledged is sent again by the next run. */
  close(): Promise<void>;
}

/** The settings of an export with its secret read. Rejects with what the secret's source says. */
export async function readTarget(settings: ExportSettings): Promise<StreamTarget> {
  return { ...settings, authorization: (await settings.authorization?.read()) ?? null };
}

type News = { readonly state: StreamState } | { readonly problem: string };

/** Starts streaming the log to `settings.target`; what goes wrong shows in `state`, is told once, and is tried again for ever. */
export function startExport(
  settings: StreamSettings,
  onProblem: (text: string) => void = () => {},
): ExportStream {
  let state: StreamState = { next: 0, sent: 0, caughtUpMs: null, problem: null, lost: 0, rejected: 0 };
  const problem = (text: string): void => {
    if (state.problem !== text) onProblem(text);
    state = { ...state, problem: text };
  };
  const background = startBackground<News>({
    file: "./stream-worker",
    base: import.meta.url,
    name: `audit-export-${settings.target.name}`,
    data: settings,
    onMessage: (news) => {
      if ("problem" in news) {
        problem(news.problem);
        return;
      }
      if (news.state.problem !== null && news.state.problem !== state.problem) onProblem(news.state.problem);
      state = news.state;
    },
    onProblem: problem,
  });
  return {
    name: settings.target.name,
    get state() {
      return state;
    },
    close: () => background.close("end"),
  };
}
