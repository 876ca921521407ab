/** The statement's text: exact where the reader may see it, else with its literals stripped, as the record has it. */
import { useQuery } from "@tanstack/react-query";
import { visible } from "../lib/text.ts";
import type { HeldParameter } from "../lib/types.ts";
import { isSealed } from "../proof/sealed.ts";
import { Badge } from "../ui/badge.tsx";
import { SqlView } from "../ui/sql.tsx";
import { Text } from "../ui/text.tsx";
import { at, isObject, objects, text } from "./record.ts";
import type { Json, StatementPart } from "./types.ts";

interface StatementCardProps {
  readonly part: StatementPart;
  readonly intent: Json;
}

export function StatementCard({ part, intent }: StatementCardProps) {
  const stripped = text(intent, "statement.sql");
  const parameters = parametersOf(part.parameters, intent);
  const exact = part.sql;
  const shown = exact ?? stripped;
  return (
    <section className="card" aria-label="Statement">
      <header className="card-head">
        <h2>
          <Text value={text(intent, "statement.command") ?? "Statement"} />
        </h2>
        {exact === null ? (
          <Badge
            icon="lock"
            title={
              part.sealed === null
                ? "The exact text is sealed; your role does not open it"
                : `The exact text is sealed: ${visible(part.sealed)}`
            }
          >
            literals sealed
          </Badge>
        ) : (
          <ExactBadge part={part} digest={text(intent, "statement.sealed.digest")} />
        )}
        <Badge>
          <Text value={text(intent, "statement.protocol") ?? "?"} />
        </Badge>
      </header>
      <div className="card-body detail-sql">
        {shown === null || shown === "" ? (
          <p className="faint">Its text could not be read safely and is sealed whole.</p>
        ) : (
          <SqlView sql={shown} parameters={exact === null ? [] : parameters} />
        )}
        {parameters.length === 0 || exact === null ? null : (
          <table className="parameters">
            <caption className="visually-hidden">Parameters</caption>
            <tbody>
              {parameters.slice(0, 100).map((parameter, index) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: a parameter is its position
                <tr key={index}>
                  <th scope="row" className="mono">
                    ${index + 1}
                  </th>
                  <td className="faint">
                    <Text value={parameter.type} />
                  </td>
                  <td className="mono">{value(parameter)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
        {parameters.length > 100 ? <p className="faint">{parameters.length - 100} more parameters.</p> : null}
      </div>
    </section>
  );
}

interface ExactBadgeProps {
  readonly part: StatementPart;
  readonly digest: string | null;
}

/** Whether the exact text is the one that the record was made for: checked here, against the digest in the proven record. */
function ExactBadge({ part, digest }: ExactBadgeProps) {
  const { seal, sql, parameters } = part;
  const checked = useQuery({
    queryKey: ["audit", "seal", part.intent.id],
    queryFn: () => isSealed({ seal, sql, parameters }, digest),
    staleTime: Number.POSITIVE_INFINITY,
    enabled: seal !== null,
  });
  if (checked.data === "same")
    return (
      <Badge
        tone="allow"
        icon="check"
        title="Its salted digest, computed in your browser, is the one in the record"
      >
        exact text, as recorded
      </Badge>
    );
  if (checked.data === "other")
    return (
      <Badge tone="deny" icon="octagon" title="Its salted digest is not the one in the record">
        NOT the recorded text
      </Badge>
    );
  return (
    <Badge tone="accent" icon="eye" title="The seal was opened for you, and that is on the record">
      exact text, unsealed
    </Badge>
  );
}

function value(parameter: HeldParameter) {
  if (parameter.text === null) return <span className="faint">NULL</span>;
  if (parameter.text === undefined) return <Text value={`base64 ${parameter.bytes ?? ""}`} />;
  return <Text value={parameter.text.length > 2000 ? `${parameter.text.slice(0, 2000)}…` : parameter.text} />;
}

/** Values from the seal with types from the record. */
function parametersOf(given: unknown, intent: Json): readonly HeldParameter[] {
  if (!Array.isArray(given)) return [];
  const types = objects(intent, "parameters");
  return given.map((one: unknown, index) => {
    const type = text(types[index], "type") ?? (isObject(one) ? text(one, "type") : null) ?? "?";
    if (one === null) return { type, text: null };
    if (isObject(one)) {
      const bytes = text(one, "base64") ?? text(one, "bytes");
      if (bytes !== null) return { type, bytes };
      const inner = at(one, "text");
      return { type, text: typeof inner === "string" || inner === null ? inner : JSON.stringify(one) };
    }
    return { type, text: typeof one === "string" ? one : JSON.stringify(one) };
  });
}
