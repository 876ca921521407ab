/** Durations in microseconds as people read them. */

/** "850 µs", "1.2 ms", "3.40 s", "2 min 5 s"; "" for none. */
export function took(us: number | null): string {
  if (us === null || !Number.isFinite(us) || us < 0) return "";
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 1_000_000) return `${(us / 1000).toFixed(us < 100_000 ? 1 : 0)} ms`;
  if (us < 60_000_000) return `${(us / 1_000_000).toFixed(us < 10_000_000 ? 2 : 1)} s`;
  const seconds = Math.floor(us / 1_000_000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
