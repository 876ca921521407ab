/** What the statement touches, as the server's own analysis says; "not analysed" is not "nothing". */
import { Link } from "../lib/router.tsx";
import { Badge, type Tone } from "../ui/badge.tsx";
import { Text } from "../ui/text.tsx";
import { type Filter, trailLink } from "./query.ts";
import { list, text } from "./record.ts";
import type { Json } from "./types.ts";

const groups: readonly (readonly [string, string, Filter | null, Tone])[] = [
  ["Does", "effects", null, "neutral"],
  ["Reads", "reads", "table", "neutral"],
  ["Writes", "writes", "table", "hold"],
  ["Columns", "columns", "column", "neutral"],
  ["Labels", "labels", "label", "mask"],
  ["Functions", "functions", "function", "neutral"],
];

export function TouchesCard({ intent }: { readonly intent: Json }) {
  const fingerprint = text(intent, "statement.fingerprint");
  return (
    <section className="card" aria-label="What it touches">
      <header className="card-head">
        <h2>What it touches</h2>
        {fingerprint === null ? null : (
          <Link className="faint" to={trailLink({ fingerprint })}>
            Statements of this shape
          </Link>
        )}
      </header>
      <dl className="facts card-body">
        {groups.map(([name, member, filter, tone]) => (
          <Names
            key={member}
            name={name}
            values={list(intent, `statement.${member}`)}
            filter={filter}
            tone={tone}
          />
        ))}
      </dl>
    </section>
  );
}

interface NamesProps {
  readonly name: string;
  readonly values: readonly string[] | null;
  readonly filter: Filter | null;
  readonly tone: Tone;
}

export function Names({ name, values, filter, tone }: NamesProps) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className="badges">
        {values === null ? (
          <span className="faint">not analysed</span>
        ) : values.length === 0 ? (
          <span className="faint">none</span>
        ) : (
          values.slice(0, 60).map((value) =>
            filter === null ? (
              <Badge key={value} tone={tone}>
                <Text value={value} />
              </Badge>
            ) : (
              <Link key={value} className="name-link" to={trailLink({ [filter]: value })}>
                <Badge tone={tone}>
                  <Text value={value} />
                </Badge>
              </Link>
            ),
          )
        )}
        {values !== null && values.length > 60 ? (
          <span className="faint">{values.length - 60} more</span>
        ) : null}
      </dd>
    </div>
  );
}
