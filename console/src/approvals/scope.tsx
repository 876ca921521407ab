/** How far an approval reaches: this one time, or equal statements for a while. */
import { useId } from "react";
import { count } from "../lib/text.ts";
import { span } from "../lib/time.ts";
import type { Approval, ApprovalScope } from "../lib/types.ts";
import { Choice } from "../ui/form.tsx";
import { Text } from "../ui/text.tsx";

const uses = [2, 5, 10, 50, 100];
const times = [300, 900, 3600, 14_400];

interface ScopeChoiceProps {
  readonly approval: Approval;
  readonly scope: ApprovalScope;
  onChange(scope: ApprovalScope): void;
}

export function ScopeChoice({ approval, scope, onChange }: ScopeChoiceProps) {
  const id = useId();
  const parameters = approval.statements.flatMap((statement) => statement.parameters);
  return (
    <div className="scope">
      <span className="label">How far it reaches</span>
      <Choice<"once" | "shape">
        label="How far it reaches"
        value={scope.kind}
        onChange={(kind) => onChange(kind === "once" ? { kind } : { kind, uses: 10, seconds: 900 })}
        options={[
          { value: "once", label: "This once" },
          { value: "shape", label: "This shape for a while" },
        ]}
      />
      {scope.kind === "once" ? null : (
        <>
          <div className="scope-limits">
            <label htmlFor={`${id}-uses`}>At most</label>
            <select
              id={`${id}-uses`}
              className="input"
              value={scope.uses}
              onChange={(event) => onChange({ ...scope, uses: Number(event.target.value) })}
            >
              {uses.map((value) => (
                <option key={value} value={value}>
                  {count(value)} times
                </option>
              ))}
            </select>
            <label htmlFor={`${id}-time`}>within</label>
            <select
              id={`${id}-time`}
              className="input"
              value={scope.seconds}
              onChange={(event) => onChange({ ...scope, seconds: Number(event.target.value) })}
            >
              {times.map((value) => (
                <option key={value} value={value}>
                  {span(value)}
                </option>
              ))}
            </select>
          </div>
          <p className="faint">
            The same caller may send the same statement{approval.statements.length > 1 ? "s" : ""} on{" "}
            <Text value={approval.database} /> with other values
            {parameters.length === 0
              ? ""
              : ` for ${parameters.map((_, index) => `$${index + 1}`).join(", ")}`}{" "}
            without asking again. It can be taken back at any time.
          </p>
        </>
      )}
    </div>
  );
}
