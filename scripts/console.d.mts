/** Builds the console when its build is missing or older than its sources; `always`: in any case. */
export function buildConsole(options?: { always?: boolean }): void;
