/** What another policy would have done differently, by kind, with examples that lead to the record. */
import { Link } from "../lib/router.tsx";
import { count, plural } from "../lib/text.ts";
import { KindIcon, type Tone } from "../ui/badge.tsx";
import { Icon, type IconName } from "../ui/icons.tsx";
import { SqlLine } from "../ui/sql.tsx";
import { Empty } from "../ui/states.tsx";
import { Text } from "../ui/text.tsx";
import { Time } from "../ui/time.tsx";
import type { Replayed } from "./types.ts";

type Change = Replayed["changes"][number];

const looks: Readonly<Record<string, readonly [Tone, IconName, string]>> = {
  "newly denied": ["deny", "cross", "Newly denied"],
  "newly allowed": ["allow", "check", "Newly allowed"],
  "newly held": ["hold", "clock", "Newly held for a person"],
  "newly masked": ["mask", "masked", "Newly masked"],
  "newly shown": ["deny", "eye", "Newly shown in the clear"],
};

export function Changes({ changes }: { readonly changes: readonly Change[] }) {
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
          {change.examples.map((example) => (
            <Example key={example.request} example={example} />
          ))}
        </ul>
        {change.count > change.examples.reduce((sum, one) => sum + one.count, 0) ? (
          <p className="card-body faint">
            and{" "}
            {plural(
              change.count - change.examples.reduce((sum, one) => sum + one.count, 0),
              "more statement",
            )}
          </p>
        ) : null}
      </section>
    );
  });
}

function Example({ example }: { readonly example: Change["examples"][number] }) {
  const { was, now, columns, why } = example;
  const decided = now === null ? "" : now.verdict === was.verdict ? "" : ` → ${now.verdict}`;
  const rule = now?.rule ?? null;
  return (
    <li>
      <Link className="example" to={`/trail/${encodeURIComponent(example.request)}`}>
        <span className="example-head">
          <KindIcon kind={example.kind} />
          <strong>
            <Text value={example.subject} />
          </strong>
          <span className="faint">
            {was.verdict}
            {decided}
            {rule === null ? null : (
              <>
                {" "}
                by <Text value={rule} />
              </>
            )}
            {example.count > 1 ? `, ${count(example.count)} times` : ""}
          </span>
          {columns.length === 0 ? null : (
            <span className="badge mask">
              <Text value={columns.slice(0, 4).join(", ")} />
            </span>
          )}
          <span className="example-time faint">
            <Time iso={example.time} />
          </span>
        </span>
        <span className="hit-sql">
          {example.sql === null ? <span className="faint">text sealed</span> : <SqlLine sql={example.sql} />}
        </span>
        {why === null ? null : (
          <span className="faint">
            <Text value={why} />
          </span>
        )}
      </Link>
    </li>
  );
}
