/** Everything else that is bound or good to know. */
import type { ReactNode } from "react";
import { Link } from "../lib/router.tsx";
import { bytes, count, plural } from "../lib/text.ts";
import { duration } from "../lib/time.ts";
import type { Approval } from "../lib/types.ts";
import { Badge, KindIcon } from "../ui/badge.tsx";
import { CopyButton } from "../ui/copy.tsx";
import { Text } from "../ui/text.tsx";

export function Context({ approval }: { readonly approval: Approval }) {
  const { requester, statements, limits, transaction } = approval;
  const all = (pick: (statement: Approval["statements"][number]) => readonly string[]) => [
    ...new Set(statements.flatMap(pick)),
  ];
  const bounds = [
    limits.affectedRows === null ? null : `at most ${plural(limits.affectedRows, "affected row")}`,
    limits.rows === null ? null : `at most ${plural(limits.rows, "row")}`,
    limits.bytes === null ? null : `at most ${bytes(limits.bytes)}`,
    limits.timeoutMs === null ? null : `at most ${duration(limits.timeoutMs)}`,
  ].filter((bound) => bound !== null);
  return (
    <section className="approval-part" aria-labelledby="context-title">
      <h3 id="context-title">Context</h3>
      <dl className="facts">
        <Fact name="Caller">
          <span className="identity">
            <KindIcon kind={requester.kind} /> <Text value={requester.subject} />
            <span className="faint">
              {" by "}
              <Text value={requester.provider ?? requester.issuer ?? "unknown"} />
            </span>
          </span>
          {requester.actor.map((actor, index) => (
            <p key={`${actor.issuer} ${actor.subject}`} className="identity-actor">
              {index === 0 ? "used by " : "through "}
              <Text value={actor.subject} />
            </p>
          ))}
        </Fact>
        <Names name="Groups" names={requester.groups ?? []} />
        <Names name="Writes" names={all((statement) => statement.writes)} />
        <Names name="Reads" names={all((statement) => statement.reads)} />
        <Names name="Columns" names={all((statement) => statement.columns)} />
        <Names name="Functions" names={all((statement) => statement.functions)} />
        <Names name="Labels" names={all((statement) => statement.labels)} />
        <Names name="Masked" names={all((statement) => statement.masked)} />
        {approval.estimate === null ? null : (
          <Fact name="Estimate">
            about {plural(Math.round(approval.estimate.rows), "row")}, cost{" "}
            {count(Math.round(approval.estimate.cost))}
          </Fact>
        )}
        {bounds.length === 0 ? null : <Fact name="Limits">{bounds.join(", ")}; over that it is stopped</Fact>}
        {transaction === null ? null : (
          <Fact name="Transaction">
            {transaction.open ? `open for ${duration(transaction.ageMs)}` : "none open"}
            {transaction.locks.map((lock) => (
              <p key={lock} className="faint">
                holds <Text value={lock} />
              </p>
            ))}
          </Fact>
        )}
        <Fact name="Database">
          <Text value={approval.database} />
          {approval.login === "" ? null : (
            <>
              {" as "}
              <Text value={approval.login} />
            </>
          )}
        </Fact>
        {approval.role === undefined ? null : (
          <Fact name="Role">
            <Text value={approval.role} />
          </Fact>
        )}
        {approval.searchPath === null ? null : (
          <Fact name="search_path">
            <span className="mono">
              <Text value={approval.searchPath} />
            </span>
          </Fact>
        )}
        <Fact name="Client">
          <span className="mono">
            <Text value={approval.ip} />
          </span>{" "}
          <Text value={approval.application ?? ""} /> <Badge>{approval.via}</Badge>
        </Fact>
        {approval.request === null ? null : (
          <Fact name="Trail">
            <Link to={`/trail/${encodeURIComponent(approval.request)}`}>its record</Link>
          </Fact>
        )}
        <Digest name="Policy" value={approval.policy} />
        <Digest name="Bound to" value={approval.binding} />
      </dl>
    </section>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Names({ name, names }: { readonly name: string; readonly names: readonly string[] }) {
  if (names.length === 0) return null;
  return (
    <Fact name={name}>
      <ul className="names">
        {names.map((each) => (
          <li key={each}>
            <Text value={each} />
          </li>
        ))}
      </ul>
    </Fact>
  );
}

function Digest({ name, value }: { readonly name: string; readonly value: string }) {
  if (value === "") return null;
  const short = value.replace(/^sha256:/, "").slice(0, 16);
  return (
    <Fact name={name}>
      <span className="digest mono">
        <Text value={`${short}…`} />
        <CopyButton text={value} what={`${name.toLowerCase()} digest`} />
      </span>
    </Fact>
  );
}
