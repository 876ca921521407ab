/** A small router on the History API. */
import {
  type AnchorHTMLAttributes,
  type MouseEvent,
  useCallback,
  useMemo,
  useSyncExternalStore,
} from "react";

const listeners = new Set<() => void>();

function notify(): void {
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("popstate", listener);
  };
}

/** Goes to a path of the console. `replace`: the page before is not kept in the history. */
export function navigate(to: string, options: { readonly replace?: boolean } = {}): void {
  if (to === window.location.pathname + window.location.search) return;
  if (options.replace === true) window.history.replaceState(null, "", to);
  else window.history.pushState(null, "", to);
  notify();
}

/** The path of the page, without search and hash. */
export function usePath(): string {
  return useSyncExternalStore(subscribe, () => window.location.pathname);
}

/** The search part of the address, as parameters. */
export function useSearch(): URLSearchParams {
  const search = useSyncExternalStore(subscribe, () => window.location.search);
  return useMemo(() => new URLSearchParams(search), [search]);
}

/**
 * One parameter of the address as state; empty means absent. Writing it replaces the address (no new history entry), so
 * that a filtered view can be kept as a bookmark and sent to others.
 */
export function useSearchParam(name: string): readonly [string, (value: string) => void] {
  const value = useSearch().get(name) ?? "";
  const set = useCallback(
    (next: string) => {
      const search = new URLSearchParams(window.location.search);
      if (next === "") search.delete(name);
      else search.set(name, next);
      const text = search.toString();
      navigate(window.location.pathname + (text === "" ? "" : `?${text}`), { replace: true });
    },
    [name],
  );
  return [value, set];
}

/** A link to a page of the console; with a modifier key it is an ordinary link. */
export function Link({
  to,
  onClick,
  ...rest
}: { readonly to: string } & AnchorHTMLAttributes<HTMLAnchorElement>) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || rest.target === "_blank") return;
    event.preventDefault();
    navigate(to);
  };
  return <a {...rest} href={to} onClick={follow} />;
}
