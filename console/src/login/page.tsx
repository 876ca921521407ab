/** Sign in through one of the gateway's identity providers. */
import { useQuery } from "@tanstack/react-query";
import { Logo } from "../app/logo.tsx";
import { api, ownPath } from "../lib/api.ts";
import { useSearch } from "../lib/router.tsx";
import { useTitle } from "../lib/title.ts";
import type { LoginProvider } from "../lib/types.ts";
import { Icon } from "../ui/icons.tsx";
import { Empty, Failure, Loading } from "../ui/states.tsx";
import { Text } from "../ui/text.tsx";
import "./login.css";

/** Codes that the gateway appends when a login did not work out. */
const failures: Readonly<Record<string, string>> = {
  denied: "The identity provider refused the login.",
  agent: "Agents have no console. Their way in is PostgreSQL, MCP or the REST API.",
  expired: "The login took too long. Please start again.",
};

export default function Login() {
  useTitle("Sign in");
  const search = useSearch();
  const providers = useQuery({
    queryKey: ["login"],
    queryFn: ({ signal }) => api<{ readonly providers: readonly LoginProvider[] }>("/api/login", { signal }),
  });
  const failed = search.get("error");
  return (
    <main className="login">
      <div className="login-card">
        <Logo size={44} />
        <h1>Sign in to Postern</h1>
        <p className="faint">See what agents do, decide what waits, prove what happened.</p>
        {failed === null ? null : (
          <div className="note deny" role="alert">
            <Icon name="warning" />
            <div>{failures[failed] ?? "The login did not work. Please try again."}</div>
          </div>
        )}
        {providers.isPending ? (
          <Loading rows={2} />
        ) : providers.isError ? (
          <Failure error={providers.error} onRetry={() => void providers.refetch()} />
        ) : providers.data.providers.length === 0 ? (
          <Empty icon="lock" title="No login is set up">
            <p>
              Give a provider in postern.yaml a <code>client</code> (OpenID Connect) or use SAML, then reload
              the gateway.
            </p>
          </Empty>
        ) : (
          <ul className="login-list">
            {providers.data.providers.map((provider) => (
              <li key={provider.name}>
                <a className="button primary large" href={withReturn(provider.url, search)}>
                  <Icon name="lock" size={16} />
                  <span>
                    Continue with <Text value={provider.name} />
                  </span>
                </a>
              </li>
            ))}
          </ul>
        )}
      </div>
    </main>
  );
}

/** The provider's start, with the page to come back to. Both are paths of this origin or nothing. */
function withReturn(start: string, search: URLSearchParams): string {
  const url = new URL(ownPath(start) ?? "/login", window.location.origin);
  const back = ownPath(search.get("return"));
  if (back !== null && !back.startsWith("/login")) url.searchParams.set("return", back);
  if (search.get("step_up") === "1") url.searchParams.set("step_up", "1");
  return url.pathname + url.search;
}
