/** The active rules in their order of force, and the labels. */
import { Link } from "../lib/router.tsx";
import { visible } from "../lib/text.ts";
import { trailLink } from "../trail/query.ts";
import { Badge, type Tone } from "../ui/badge.tsx";
import { Text } from "../ui/text.tsx";
import { Condition } from "./cel.tsx";
import { entryAt } from "./entry.ts";
import type { Policy, PolicyLabel, PolicyRule } from "./types.ts";
import { groupTitles, labelWords, order } from "./words.ts";

const tones: Readonly<Record<(typeof order)[number], Tone>> = {
  deny: "deny",
  approve: "hold",
  allow: "allow",
  limit: "neutral",
  unmask: "mask",
};

export function Rules({ policy }: { readonly policy: Policy }) {
  return (
    <div className="policy-rules">
      {order.map((then) => {
        const rules = policy.rules.filter((rule) => rule.then === then);
        if (rules.length === 0) return null;
        const [title, explain] = groupTitles[then];
        return (
          <section key={then} className="card" aria-label={title}>
            <header className="card-head">
              <h2>{title}</h2>
              <span className="faint">{explain}</span>
            </header>
            <ul className="rule-list">
              {rules.map((rule) => (
                <Rule key={rule.name} rule={rule} tone={tones[then]} files={policy.files} />
              ))}
            </ul>
          </section>
        );
      })}
      {policy.labels.length === 0 ? null : (
        <section className="card" aria-label="Labels">
          <header className="card-head">
            <h2>Labels</h2>
            <Link className="faint" to="/policy?tab=columns">
              The columns they cover
            </Link>
          </header>
          <ul className="rule-list">
            {policy.labels.map((label) => (
              <LabelRow key={`${label.label} ${label.columns.join(" ")}`} label={label} />
            ))}
          </ul>
        </section>
      )}
    </div>
  );
}

interface RuleProps {
  readonly rule: PolicyRule;
  readonly tone: Tone;
  readonly files: Policy["files"];
}

function Rule({ rule, tone, files }: RuleProps) {
  const source = entryAt(files.find(({ name }) => name === rule.file)?.text ?? "", rule.line);
  return (
    <li className="rule">
      <div className="rule-head">
        <Badge tone={tone}>{rule.then}</Badge>
        <strong>
          <Text value={rule.name} />
        </strong>
        {rule.observe ? <Badge tone="hold">only observes</Badge> : null}
        <Link className="rule-uses faint" to={trailLink({ rule: rule.name })}>
          In the trail
        </Link>
      </div>
      {rule.description === null ? null : (
        <p className="rule-text">
          <Text value={rule.description} />
        </p>
      )}
      <p className="rule-when">
        <span className="faint">when</span> <Condition text={rule.when} />
      </p>
      {source === null ? null : (
        <details className="rule-source">
          <summary>As written</summary>
          <section className="policy-source" tabIndex={0} aria-label={`Source of ${visible(rule.name)}`}>
            <pre>
              <Text value={source} />
            </pre>
          </section>
        </details>
      )}
    </li>
  );
}

function LabelRow({ label }: { readonly label: PolicyLabel }) {
  return (
    <li className="rule">
      <div className="rule-head">
        <Badge tone={label.access === "none" ? "deny" : "mask"}>
          <Text value={label.label} />
        </Badge>
        {label.observe ? <Badge tone="hold">only observed</Badge> : null}
        <Link className="rule-uses faint" to={trailLink({ label: label.label })}>
          In the trail
        </Link>
      </div>
      <p className="rule-text">{labelWords(label)}</p>
      {label.description === null ? null : (
        <p className="faint">
          <Text value={label.description} />
        </p>
      )}
      <p className="rule-when mono">
        <Text value={label.columns.join("  ")} />
      </p>
    </li>
  );
}
