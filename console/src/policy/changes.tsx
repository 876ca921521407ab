/** What another policy would have done differently, by kind, with examples that lead to the record. */
import { isRecord } from "../lib/api.ts";
import { Link } from "../lib/router.tsx";
import { count, plural } from "../lib/text.ts";
import { list, text } from "../trail/record.ts";
import type { Tone } from "../ui/badge.tsx";
import { Icon, type IconName } from "../ui/icons.tsx";
import { SqlLine } from "../ui/sql.tsx";
import { Empty } from "../ui/states.tsx";
import { Text } from "../ui/text.tsx";
import { Time } from "../ui/time.tsx";
import type { ReplayChange } from "./types.ts";

const looks: Readonly<Record<string, readonly [Tone, IconName, string]>> = {
  "newly denied": ["deny", "cross", "Newly denied"],
  "newly allowed": ["allow", "check", "Newly allowed"],
  "newly held": ["hold", "clock", "Newly held for a person"],
  "newly masked": ["mask", "masked", "Newly masked"],
  "newly shown": ["deny", "eye", "Newly shown in the clear"],
};

export function Changes({ changes }: { readonly changes: readonly ReplayChange[] }) {
  const real = changes.filter((change) => change.count > 0);
  if (real.length === 0)
    return (
      <section className="card">
        <Empty icon="check" title="Nothing would have been different">
          <p>Every statement that could be compared would have been decided as it was.</p>
        </Empty>
      </section>
    );
  return real.map((change) => {
    const [tone, icon, title] = looks[change.kind] ?? ["neutral", "info", change.kind];
    return (
      <section key={change.kind} className="card" aria-label={title}>
        <header className="card-head">
          <h2>{title}</h2>
          <span className={`badge ${tone}`}>
            <Icon name={icon} size={12} />
            {count(change.count)}
          </span>
        </header>
        <ul className="examples">
          {change.examples.filter(isRecord).map((example, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: examples may be equal
            <Example key={at} example={example} />
          ))}
        </ul>
        {change.count > change.examples.length ? (
          <p className="card-body faint">
            and {plural(change.count - change.examples.length, "more statement")}
          </p>
        ) : null}
      </section>
    );
  });
}

function Example({ example }: { readonly example: Readonly<Record<string, unknown>> }) {
  const request = text(example, "request");
  const time = text(example, "time");
  const sql = text(example, "sql");
  const who =
    text(example, "principal.email") ?? text(example, "principal.subject") ?? text(example, "subject");
  const before = text(example, "before.verdict") ?? text(example, "was.verdict") ?? text(example, "verdict");
  const after = text(example, "now.verdict") ?? text(example, "after.verdict");
  const rule = text(example, "now.rule") ?? text(example, "after.rule") ?? text(example, "rule");
  const columns = list(example, "columns") ?? [];
  const body = (
    <>
      <span className="example-head">
        {who === null ? null : (
          <strong>
            <Text value={who} />
          </strong>
        )}
        <span className="faint">
          {before === null ? "" : before}
          {after === null || after === before ? "" : ` → ${after}`}
          {rule === null ? null : (
            <>
              {" "}
              by <Text value={rule} />
            </>
          )}
        </span>
        {columns.length === 0 ? null : (
          <span className="badge mask">
            <Text value={columns.slice(0, 4).join(", ")} />
          </span>
        )}
        <span className="example-time faint">{time === null ? null : <Time iso={time} />}</span>
      </span>
      <span className="hit-sql">
        {sql === null ? <span className="faint">text sealed</span> : <SqlLine sql={sql} />}
      </span>
    </>
  );
  return (
    <li>
      {request === null ? (
        <span className="example">{body}</span>
      ) : (
        <Link className="example" to={`/trail/${encodeURIComponent(request)}`}>
          {body}
        </Link>
      )}
    </li>
  );
}
