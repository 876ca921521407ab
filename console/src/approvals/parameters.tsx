/** The values of a statement's parameters, in full. */
import { bytes } from "../lib/text.ts";
import type { HeldParameter } from "../lib/types.ts";
import { CopyButton } from "../ui/copy.tsx";
import { parameterText } from "../ui/sql.tsx";
import { Text } from "../ui/text.tsx";

/** Longer values are cut on the page; the copy button gives all of it. */
const shown = 4_000;

export function Parameters({ parameters }: { readonly parameters: readonly HeldParameter[] }) {
  if (parameters.length === 0) return null;
  return (
    <dl className="parameters" aria-label="Parameters">
      {parameters.map((parameter, index) => {
        const text = parameterText(parameter);
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: parameters are their positions
          <div key={index}>
            <dt className="mono">
              ${index + 1}{" "}
              <span className="faint">
                <Text value={parameter.type} />
              </span>
            </dt>
            <dd className={`mono${parameter.text === null ? " faint" : ""}`}>
              <Text value={text.length > shown ? text.slice(0, shown) : text} />
              {text.length > shown ? <span className="faint"> … {bytes(text.length)} in all</span> : null}
            </dd>
            <dd className="parameter-copy">
              <CopyButton text={parameter.text ?? parameter.bytes ?? ""} what={`value of $${index + 1}`} />
            </dd>
          </div>
        );
      })}
    </dl>
  );
}
