/** What stands where data is not: nothing yet, loading, or an error with what to do. */
import type { ReactNode } from "react";
import { ApiError } from "../lib/api.ts";
import { Button } from "./button.tsx";
import { Icon, type IconName } from "./icons.tsx";
import { Text } from "./text.tsx";

interface EmptyProps {
  readonly icon?: IconName;
  readonly title: string;
  /** What to do, or why nothing is here. */
  readonly children?: ReactNode;
  readonly action?: ReactNode;
}

export function Empty({ icon = "info", title, children, action }: EmptyProps) {
  return (
    <div className="empty">
      <span className="empty-icon">
        <Icon name={icon} size={28} />
      </span>
      <p className="empty-title">{title}</p>
      {children === undefined ? null : <div className="empty-body">{children}</div>}
      {action}
    </div>
  );
}

export function Loading({
  label = "Loading",
  rows = 4,
}: {
  readonly label?: string;
  readonly rows?: number;
}) {
  return (
    <div className="loading" role="status">
      <span className="visually-hidden">{label}…</span>
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: bars without identity
        <span key={row} className="skeleton" aria-hidden="true" />
      ))}
    </div>
  );
}

interface FailureProps {
  readonly error: unknown;
  readonly onRetry?: () => void;
  readonly title?: string;
}

/** An error of the API as a person needs it: what happened, what to do next. */
export function Failure({ error, onRetry, title }: FailureProps) {
  const known = error instanceof ApiError ? error : null;
  return (
    <div className="empty failure" role="alert">
      <span className="empty-icon">
        <Icon name="warning" size={28} />
      </span>
      <p className="empty-title">{title ?? headline(known)}</p>
      <div className="empty-body">
        <p>
          <Text value={known?.message ?? "The console met an error of its own."} />
        </p>
        {known?.hint == null ? null : (
          <p>
            <Text value={known.hint} />
          </p>
        )}
        {known === null ? null : <p className="faint mono">{known.code}</p>}
      </div>
      {onRetry === undefined ? null : (
        <Button icon="refresh" onClick={onRetry}>
          Try again
        </Button>
      )}
    </div>
  );
}

function headline(error: ApiError | null): string {
  switch (error?.status) {
    case 0:
      return "The gateway does not answer";
    case 403:
      return "This is not for your role";
    case 404:
      return "Not found";
    case undefined:
      return "Something went wrong";
    default:
      return "That did not work";
  }
}
