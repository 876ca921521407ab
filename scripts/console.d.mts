/** Builds dist/console when it is missing or older than its sources; `always`: in any case. Throws when vite fails. */
export function buildConsole(options?: { readonly always?: boolean }): void;
