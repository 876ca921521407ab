/** Times on the page; all follow one clock. */
import { useNow } from "../lib/clock.ts";
import { at, clock, relative, shortTime } from "../lib/time.ts";

/** "3 min ago"; the exact time is its title. */
export function RelativeTime({ iso }: { readonly iso: string }) {
  const now = useNow();
  return (
    <time dateTime={iso} title={exact(iso)}>
      {relative(at(iso), now)}
    </time>
  );
}

/** "14:03:22", with the day when it is not today. Does not tick. */
export function Time({ iso }: { readonly iso: string }) {
  return (
    <time dateTime={iso} title={exact(iso)} className="tabular">
      {shortTime(at(iso), Date.now())}
    </time>
  );
}

/** Time left until `iso`, ticking; urgent under a minute. */
export function Countdown({ iso, from }: { readonly iso: string; readonly from?: string }) {
  const now = useNow();
  const left = at(iso) - now;
  const whole = from === undefined ? null : Math.max(1, at(iso) - at(from));
  return (
    <span className={`countdown tabular${left < 60_000 ? " urgent" : ""}`} role="timer" title={exact(iso)}>
      {whole === null ? null : (
        <svg className="countdown-ring" viewBox="0 0 20 20" width="16" height="16" aria-hidden="true">
          <circle cx="10" cy="10" r="8" className="track" />
          <circle
            cx="10"
            cy="10"
            r="8"
            className="left"
            pathLength="100"
            strokeDasharray={`${Math.max(0, Math.min(100, (left / whole) * 100))} 100`}
          />
        </svg>
      )}
      {left <= 0 ? "over" : `${clock(left)} left`}
    </span>
  );
}

function exact(iso: string): string {
  const then = at(iso);
  return Number.isNaN(then) ? "" : new Date(then).toISOString();
}
