/** A decision taken apart: verdict, each rule's part in it, what the statement touches, how its columns come back. */

import { limitWords } from "../trail/limits.ts";
import { Names } from "../trail/touches.tsx";
import { Badge, type Tone, VerdictBadge } from "../ui/badge.tsx";
import { Icon, type IconName } from "../ui/icons.tsx";
import { Text } from "../ui/text.tsx";
import type { Explained, ExplainedOutput, RuleVerdict } from "./types.ts";
import { capital, maskWords } from "./words.ts";

const looks: Readonly<Record<RuleVerdict["outcome"], readonly [IconName, string]>> = {
  matched: ["check", "matched"],
  "not matched": ["more", "quiet"],
  error: ["warning", "failed"],
  "not evaluated": ["more", "quiet"],
};

const verdictWords = {
  allow: "It would run.",
  approve: "It would be held for a person.",
  deny: "It would be denied.",
} as const;

export function Explanation({ explained }: { readonly explained: Explained }) {
  const { decision, rules, touches, outputs } = explained;
  const message = explained.message ?? decision.message;
  const matched = rules.filter(({ outcome }) => outcome === "matched" || outcome === "error");
  const others = rules.filter(({ outcome }) => outcome !== "matched" && outcome !== "error");
  return (
    <>
      <section className={`card verdict ${decision.verdict}`} aria-label="Decision">
        <header className="card-head">
          <h2>{verdictWords[decision.verdict] ?? decision.verdict}</h2>
          <VerdictBadge verdict={decision.verdict} code={decision.code} />
        </header>
        <div className="card-body detail-facts">
          <p>
            {decision.rule === null ? (
              "No rule decided it: the default, or the gateway itself."
            ) : (
              <>
                By the rule{" "}
                <strong>
                  <Text value={decision.rule} />
                </strong>
                .
              </>
            )}{" "}
            {decision.code === null ? null : (
              <code className="faint">
                <Text value={decision.code} />
              </code>
            )}
          </p>
          {message === null ? null : (
            <p className="rule-quote">
              <Text value={message} />
              {decision.hint === null ? null : (
                <span className="faint">
                  <Text value={decision.hint} />
                </span>
              )}
            </p>
          )}
          <p className="badges">
            {limitWords(decision.limits).map((words) => (
              <Badge key={words}>{words}</Badge>
            ))}
            {decision.approvers.map((demand) => (
              <Badge key={demand.rule} tone="hold">
                <Text value={`${demand.count} of ${demand.groups.join(", ")}`} />
              </Badge>
            ))}
          </p>
        </div>
      </section>
      <section className="card" aria-label="Rule by rule">
        <header className="card-head">
          <h2>Rule by rule</h2>
        </header>
        <ul className="verdicts">
          {matched.map((one) => (
            <RuleRow key={one.rule} verdict={one} decided={one.rule === decision.rule} />
          ))}
        </ul>
        {others.length === 0 ? null : (
          <details className="verdicts-more" open={matched.length === 0}>
            <summary>{others.length} that did not match</summary>
            <ul className="verdicts">
              {others.map((one) => (
                <RuleRow key={one.rule} verdict={one} decided={false} />
              ))}
            </ul>
          </details>
        )}
      </section>
      {touches === null ? null : (
        <section className="card" aria-label="What it touches">
          <header className="card-head">
            <h2>What it touches</h2>
          </header>
          <dl className="facts card-body">
            <Names name="Does" values={touches.effects} filter={null} tone="neutral" />
            <Names name="Reads" values={touches.reads} filter="table" tone="neutral" />
            <Names name="Writes" values={touches.writes} filter="table" tone="hold" />
            <Names name="Columns" values={touches.columns} filter="column" tone="neutral" />
            <Names name="Labels" values={touches.labels} filter="label" tone="mask" />
            <Names name="Functions" values={touches.functions} filter="function" tone="neutral" />
          </dl>
        </section>
      )}
      {outputs === null || outputs.length === 0 ? null : <Outputs outputs={outputs} />}
    </>
  );
}

const thenTones: Readonly<Record<string, Tone>> = {
  deny: "deny",
  approve: "hold",
  allow: "allow",
  unmask: "mask",
};

function RuleRow({ verdict, decided }: { readonly verdict: RuleVerdict; readonly decided: boolean }) {
  const [icon, look] = looks[verdict.outcome] ?? ["more", "quiet"];
  return (
    <li className={`rule-row ${look}${decided ? " decided" : ""}`}>
      <Icon name={icon} size={15} />
      <span className="rule-row-name">
        <Text value={verdict.rule} />
      </span>
      <Badge tone={verdict.outcome === "matched" ? (thenTones[verdict.then] ?? "neutral") : "neutral"}>
        {verdict.then}
      </Badge>
      <span className="faint">
        {verdict.outcome}
        {verdict.observe ? ", only observes" : ""}
        {verdict.detail === null ? null : (
          <>
            : <Text value={verdict.detail} />
          </>
        )}
        {decided ? " — decided" : ""}
      </span>
    </li>
  );
}

function Outputs({ outputs }: { readonly outputs: readonly ExplainedOutput[] }) {
  return (
    <section className="card" aria-label="What comes back">
      <header className="card-head">
        <h2>What comes back</h2>
      </header>
      <div className="table-wrap">
        <table className="table">
          <caption className="visually-hidden">
            Output columns, where they come from, and how they are masked
          </caption>
          <thead>
            <tr>
              <th scope="col">Column</th>
              <th scope="col">Comes from</th>
              <th scope="col">Shown</th>
            </tr>
          </thead>
          <tbody>
            {outputs.slice(0, 200).map((output, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: columns may have equal names
              <tr key={at}>
                <td data-label="Column">
                  <strong>
                    <Text value={output.name} />
                  </strong>
                </td>
                <td data-label="Comes from">
                  <span className="mono">
                    {output.sources.length === 0 ? (
                      <span className="faint">no column</span>
                    ) : (
                      <Text value={output.sources.join(", ")} />
                    )}
                  </span>
                </td>
                <td data-label="Shown">
                  <div>
                    {output.mask === null ? (
                      <span className="faint">as it is</span>
                    ) : (
                      <>
                        <span className="badge mask">
                          <Icon name="masked" size={12} />
                          <Text value={output.label ?? "masked"} />
                        </span>{" "}
                        <span>{capital(maskWords(output.mask))}</span>
                      </>
                    )}
                    {output.why == null || output.why === "" ? null : (
                      <span className="faint why">
                        <Text value={output.why} />
                      </span>
                    )}
                  </div>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
