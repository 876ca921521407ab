/** What the policy decided, by which rule, and what that rule says. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "../lib/router.tsx";
import type { Verdict } from "../lib/types.ts";
import { loadPolicy } from "../policy/types.ts";
import { Badge, VerdictBadge } from "../ui/badge.tsx";
import { Text } from "../ui/text.tsx";
import { Fact } from "./chain.tsx";
import { verdictOf } from "./fromRecord.ts";
import { limitWords } from "./limits.ts";
import { at, isObject, list, text } from "./record.ts";
import type { Json } from "./types.ts";

export function DecisionCard({ intent }: { readonly intent: Json }) {
  const decided = text(intent, "decision.policy");
  const policy = useQuery({
    queryKey: ["policy"],
    queryFn: ({ signal }) => loadPolicy(signal),
    staleTime: 60_000,
  });
  const verdict = verdictOf(text(intent, "decision.verdict"));
  const rule = text(intent, "decision.rule");
  const code = text(intent, "decision.code");
  const rules = list(intent, "decision.rules") ?? [];
  const others = rules.filter((name) => name !== rule);
  const limits = at(intent, "decision.limits");
  const same = policy.data !== undefined && decided !== null && policy.data.digest === decided;
  const told = same ? policy.data?.rules.find(({ name }) => name === rule) : undefined;
  const would = at(intent, "decision.would");
  return (
    <section className="card" aria-label="Decision">
      <header className="card-head">
        <h2>Decision</h2>
        <VerdictBadge verdict={verdict} code={code} />
      </header>
      <div className="card-body detail-facts">
        <p>
          {rule === null ? (
            withoutRule(verdict, code)
          ) : (
            <>
              Rule{" "}
              <strong>
                <Text value={rule} />
              </strong>{" "}
              decided.
            </>
          )}
        </p>
        {told === undefined ? null : (
          <blockquote className="rule-quote">
            {told.description === null ? null : (
              <p>
                <Text value={told.description} />
              </p>
            )}
            <code>
              when <Text value={told.when} />
            </code>
          </blockquote>
        )}
        {rule !== null && policy.data !== undefined && !same ? (
          <p className="faint">
            It was decided under an earlier policy: what the rule said then is not shown.{" "}
            <Link to="/policy">The active policy</Link>
          </p>
        ) : null}
        <dl className="facts">
          <Fact name="Code" value={code} />
          {others.length === 0 ? null : (
            <div>
              <dt>{rule === null ? "Matched" : "Also matched"}</dt>
              <dd className="badges">
                {others.map((name) => (
                  <Badge key={name}>
                    <Text value={name} />
                  </Badge>
                ))}
              </dd>
            </div>
          )}
          {isObject(limits) && Object.keys(limits).length > 0 ? (
            <div>
              <dt>Limits</dt>
              <dd className="badges">
                {limitWords(limits).map((words) => (
                  <Badge key={words}>{words}</Badge>
                ))}
              </dd>
            </div>
          ) : null}
          {isObject(would) ? (
            <Fact
              name="Would be"
              value={`${text(would, "verdict") ?? "?"}${text(would, "rule") === null ? "" : ` by ${text(would, "rule")}`} (${text(would, "code") === null ? "" : `${text(would, "code")}; `}observed only)`}
            />
          ) : null}
          <Fact name="Policy" value={decided} copy />
        </dl>
      </div>
    </section>
  );
}

/** Who decided where no rule did. */
function withoutRule(verdict: Verdict, code: string | null): string {
  if (verdict === "allow") return "Allowed by the policy's default.";
  if (code === "NO_RULE") return "Denied by the policy's default: no rule allows it.";
  if (code?.startsWith("PROTECTED_") === true)
    return "Refused by the labels on what it touches, whatever rules allow.";
  return "Refused by the gateway itself, not by a rule.";
}
