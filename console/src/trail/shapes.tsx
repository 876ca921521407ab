/** How the agent's SQL evolved: its shapes, and which turned into which. */
import { plural } from "../lib/text.ts";
import { SqlLine } from "../ui/sql.tsx";
import { Text } from "../ui/text.tsx";
import type { RunStory } from "./types.ts";

export function Shapes({ evolution }: { readonly evolution: RunStory["evolution"] }) {
  const { shapes = [], changes = [] } = evolution;
  if (shapes.length === 0) return null;
  const number = new Map(shapes.map((shape, at) => [shape.fingerprint, at + 1]));
  return (
    <section className="card" aria-label="How its SQL evolved">
      <header className="card-head">
        <h2>How its SQL evolved</h2>
        <span className="faint">{plural(shapes.length, "shape")}</span>
      </header>
      <ol className="shapes" tabIndex={0} aria-label="Shapes, in order of appearance">
        {shapes.slice(0, 40).map((shape, at) => {
          const change = changes.find(({ to }) => to === shape.fingerprint);
          return (
            <li key={shape.fingerprint}>
              <p>
                <strong>#{at + 1}</strong>{" "}
                <span className="faint">
                  {shape.firstStep === shape.lastStep
                    ? `step ${shape.firstStep}`
                    : `steps ${shape.firstStep}–${shape.lastStep}`}
                  , {shape.count}×
                </span>
              </p>
              {shape.sql === null ? (
                <span className="faint">sealed</span>
              ) : (
                <SqlLine sql={shape.sql} limit={160} />
              )}
              {change === undefined ? null : (
                <p className="shape-change">
                  <span className="faint">from #{number.get(change.from) ?? "?"}</span>{" "}
                  {change.added.slice(0, 12).map((word, index) => (
                    // biome-ignore lint/suspicious/noArrayIndexKey: words repeat
                    <ins key={`+${index}`}>
                      <Text value={word} />
                    </ins>
                  ))}{" "}
                  {change.removed.slice(0, 12).map((word, index) => (
                    // biome-ignore lint/suspicious/noArrayIndexKey: words repeat
                    <del key={`-${index}`}>
                      <Text value={word} />
                    </del>
                  ))}
                </p>
              )}
            </li>
          );
        })}
      </ol>
      {shapes.length > 40 ? <p className="card-body faint">{shapes.length - 40} more shapes.</p> : null}
    </section>
  );
}
