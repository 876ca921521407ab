/** Connect: ready-made lines for every database, with a fresh short-lived token. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useMe } from "../app/me.ts";
import { api } from "../lib/api.ts";
import { useNow } from "../lib/clock.ts";
import { at, span } from "../lib/time.ts";
import type { ConnectDatabase, Page } from "../lib/types.ts";
import { Button, ButtonLink } from "../ui/button.tsx";
import { CopyButton } from "../ui/copy.tsx";
import { Field } from "../ui/form.tsx";
import { Icon } from "../ui/icons.tsx";
import { PageFrame } from "../ui/page.tsx";
import { Empty, Failure, Loading } from "../ui/states.tsx";
import { Text } from "../ui/text.tsx";
import { Countdown } from "../ui/time.tsx";
import { Lines } from "./lines.tsx";
import { groupsOf, languages, mcpClients } from "./names.ts";
import "./connect.css";

const lives = [900, 3600, 28_800];

interface Token {
  readonly token: string;
  readonly expires: string;
}

export default function Connect() {
  const connect = useQuery({
    queryKey: ["connect"],
    queryFn: ({ signal }) => api<Page<ConnectDatabase>>("/api/connect", { signal }),
    staleTime: 60_000,
  });
  const me = useMe();
  return (
    <PageFrame title="Connect" lead="Lines to paste: for people, programs and agents">
      {connect.isPending ? (
        <Loading label="Loading databases" />
      ) : connect.isError ? (
        <Failure error={connect.error} onRetry={() => void connect.refetch()} />
      ) : connect.data.items.length === 0 ? (
        <Empty
          icon="database"
          title="No database is open to you"
          action={me.offers.length === 0 ? undefined : <ButtonLink to="/access">Ask for access</ButtonLink>}
        >
          <p>
            {me.offers.length === 0
              ? "None of your groups has a login to a database. Whoever runs this gateway gives groups one, in databases[].logins of postern.yaml."
              : "None of your groups has a login to a database. You can ask for a group for a while."}
          </p>
        </Empty>
      ) : (
        <Databases databases={connect.data.items} />
      )}
    </PageFrame>
  );
}

function Databases({ databases }: { readonly databases: readonly ConnectDatabase[] }) {
  const [name, setName] = useState(databases[0]?.name ?? "");
  const [token, setToken] = useState<(Token & { readonly database: string }) | null>(null);
  const database = databases.find((each) => each.name === name) ?? databases[0];
  if (database === undefined) return null;
  const usable = token?.database === database.name ? token : null;
  return (
    <div className="connect">
      <TokenCard
        databases={databases}
        database={database}
        token={usable}
        onDatabase={setName}
        onToken={(made) => setToken({ ...made, database: database.name })}
      />
      <Lines
        title="psql"
        lines={[{ key: "psql", name: "psql", text: database.psql }]}
        token={usable?.token ?? null}
      />
      <Lines title="Programs" lines={groupsOf(database.urls, languages)} token={usable?.token ?? null} />
      <Lines
        title="Agents, over MCP"
        lines={groupsOf(database.mcp, mcpClients)}
        token={usable?.token ?? null}
        note="Programs that speak OAuth (ChatGPT, Claude) need only the address where the identity provider, or the gateway's façade (mcp.facade), lets them register themselves; others take the token."
      />
    </div>
  );
}

interface TokenCardProps {
  readonly databases: readonly ConnectDatabase[];
  readonly database: ConnectDatabase;
  readonly token: Token | null;
  onDatabase(name: string): void;
  onToken(token: Token): void;
}

function TokenCard({ databases, database, token, onDatabase, onToken }: TokenCardProps) {
  const [seconds, setSeconds] = useState(lives[0] ?? 900);
  const [shown, setShown] = useState(false);
  const now = useNow();
  const make = useMutation({
    mutationFn: () =>
      api<Token>("/api/connect/token", { method: "POST", body: { database: database.name, seconds } }),
    onSuccess: (made) => {
      setShown(false);
      onToken(made);
    },
  });
  const alive = token !== null && at(token.expires) > now;
  return (
    <section className="card token-card" aria-labelledby="token-title">
      <header className="card-head">
        <h2 id="token-title">Token</h2>
        {alive ? <Countdown iso={token.expires} /> : null}
      </header>
      <div className="card-body token-body">
        <div className="token-form">
          <Field label="Database">
            {(wiring) => (
              <select
                {...wiring}
                className="input"
                value={database.name}
                onChange={(event) => onDatabase(event.target.value)}
              >
                {databases.map((each) => (
                  <option key={each.name} value={each.name}>
                    {each.name}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <Field label="Good for">
            {(wiring) => (
              <select
                {...wiring}
                className="input"
                value={seconds}
                onChange={(event) => setSeconds(Number(event.target.value))}
              >
                {lives.map((each) => (
                  <option key={each} value={each}>
                    {span(each)}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <Button look="primary" icon="lock" busy={make.isPending} onClick={() => make.mutate()}>
            {token === null ? "Make a token" : "Make a new one"}
          </Button>
        </div>
        <div aria-live="polite">
          {token === null ? (
            <p className="faint">
              The lines below hold a placeholder until you make a token. It acts as you, on this database
              only, and ends by itself.
            </p>
          ) : (
            <div className={`token${alive ? "" : " over"}`}>
              <Icon name="lock" size={16} />
              <code className="mono token-text">
                {shown ? <Text value={token.token} /> : `${token.token.slice(0, 8)}${"•".repeat(16)}`}
              </code>
              <Button look="quiet" aria-pressed={shown} onClick={() => setShown(!shown)}>
                {shown ? "Hide" : "Show"}
              </Button>
              <CopyButton text={token.token} what="token" />
            </div>
          )}
          {token !== null && !alive ? <p className="field-error">It has ended. Make a new one.</p> : null}
          {token !== null && alive ? (
            <p className="faint">
              It is in the lines below when you copy them. It is shown here only, and kept nowhere.
            </p>
          ) : null}
        </div>
      </div>
    </section>
  );
}
