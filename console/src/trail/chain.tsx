/** From the person to the row: on whose behalf, who acted, through which session, as which login. */
import type { ReactNode } from "react";
import { KindIcon } from "../ui/badge.tsx";
import { CopyButton } from "../ui/copy.tsx";
import { Icon } from "../ui/icons.tsx";
import { Text } from "../ui/text.tsx";
import { claimedOf, kindOf } from "./fromRecord.ts";
import { list, number, objects, text } from "./record.ts";
import type { Json } from "./types.ts";

interface ChainProps {
  readonly intent: Json;
  readonly email: string | null;
  /** The claimed prompt, where its seal was opened. */
  readonly prompt: string | null;
}

export function Chain({ intent, email, prompt }: ChainProps) {
  const subject = text(intent, "principal.subject") ?? "somebody";
  const kind = kindOf(text(intent, "principal.kind"));
  const actors = objects(intent, "principal.actor").map((one) => text(one, "subject") ?? "?");
  const claimed = claimedOf(intent);
  const groups = list(intent, "principal.groups") ?? [];
  const says = [claimed.agent, claimed.model].filter((one) => one !== undefined).join(", ");
  return (
    <section className="card" aria-label="Who">
      <header className="card-head">
        <h2>Who</h2>
        <span className="badge" title="What the token proved, not what anybody claimed">
          verified
        </span>
      </header>
      <ol className="chain">
        <Station
          icon={<KindIcon kind={actors.length > 0 ? "human" : kind} />}
          part={actors.length > 0 ? "on whose behalf" : kind}
        >
          <strong>
            <Text value={email ?? subject} />
          </strong>
          {email === null || email === subject ? null : (
            <span className="faint">
              <Text value={subject} />
            </span>
          )}
          <span className="faint">
            <Text
              value={`${text(intent, "principal.provider") ?? "?"} · ${text(intent, "principal.issuer") ?? "?"}`}
            />
          </span>
          {groups.length === 0 ? null : (
            <span className="badges">
              {groups.slice(0, 12).map((group) => (
                <span key={group} className="badge">
                  <Text value={group} />
                </span>
              ))}
              {groups.length > 12 ? <span className="badge">{groups.length - 12} more</span> : null}
            </span>
          )}
        </Station>
        {[...actors].reverse().map((actor, at) => (
          <Station
            key={actor}
            icon={<KindIcon kind="agent" />}
            part={at === actors.length - 1 ? "acted" : "through"}
          >
            <strong>
              <Text value={actor} />
            </strong>
          </Station>
        ))}
        {says === "" && claimed.run === undefined && claimed.intent === undefined ? null : (
          <Station icon={<Icon name="info" size={16} />} part="claims" claimed>
            {says === "" ? null : (
              <span>
                to be <Text value={says} />
              </span>
            )}
            {claimed.run === undefined ? null : (
              <span>
                run <Text value={claimed.run} />
              </span>
            )}
            {claimed.intent === undefined ? null : (
              <span>
                prompt:{" "}
                {prompt === null && claimed.intent === "(sealed)" ? (
                  "sealed"
                ) : (
                  <Text value={(prompt ?? claimed.intent).slice(0, 2000)} />
                )}
              </span>
            )}
          </Station>
        )}
        <Station icon={<Icon name="connect" size={16} />} part="session">
          <span>
            <Text value={text(intent, "client.application") ?? "no application name"} /> from{" "}
            <Text value={`${text(intent, "client.ip") ?? "?"}:${number(intent, "client.port") ?? "?"}`} />
          </span>
          <span className="faint">
            <Text
              value={[text(intent, "client.via") ?? "wire", text(intent, "client.tls") ?? "no TLS"].join(
                " · ",
              )}
            />
          </span>
        </Station>
        <Station icon={<Icon name="database" size={16} />} part="database">
          <span>
            <strong>
              <Text value={text(intent, "database.name") ?? "?"} />
            </strong>{" "}
            as <Text value={text(intent, "database.login") ?? "?"} />
          </span>
          <span className="faint">
            <Text
              value={`backend ${number(intent, "database.backend") ?? "?"} · PostgreSQL ${text(intent, "database.server_version") ?? "?"}`}
            />
          </span>
        </Station>
      </ol>
      <details className="chain-token">
        <summary>Token</summary>
        <dl className="facts">
          <Fact name="Issued" value={text(intent, "principal.token.issued")} />
          <Fact name="Expires" value={text(intent, "principal.token.expires")} />
          <Fact name="Id (jti)" value={text(intent, "principal.token.jti")} />
          <Fact name="SHA-256" value={text(intent, "principal.token.sha256")} copy />
        </dl>
      </details>
    </section>
  );
}

interface StationProps {
  readonly icon: ReactNode;
  readonly part: string;
  readonly claimed?: boolean;
  readonly children: ReactNode;
}

function Station({ icon, part, claimed = false, children }: StationProps) {
  return (
    <li className={`chain-link${claimed ? " claimed" : ""}`}>
      <span className="chain-icon">{icon}</span>
      <div className="chain-text">
        <span className="chain-role">{part}</span>
        {children}
      </div>
    </li>
  );
}

interface FactProps {
  readonly name: string;
  readonly value: string | null;
  readonly copy?: boolean;
}

export function Fact({ name, value, copy = false }: FactProps) {
  if (value === null) return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd className={copy ? "mono fact-copy" : undefined}>
        <Text value={value} />
        {copy ? <CopyButton text={value} what={name} /> : null}
      </dd>
    </div>
  );
}
