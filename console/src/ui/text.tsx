/** Text that somebody else wrote: shown as text only, with what would hide or reorder made visible. */
import { memo } from "react";
import { hasHidden, labelOf, segments } from "../lib/text.ts";

/** A hostile string, isolated from the direction of the text around it. */
export const Text = memo(function Text({ value }: { readonly value: string }) {
  if (!hasHidden(value)) return <bdi>{value}</bdi>;
  let offset = 0;
  return (
    <bdi>
      {segments(value).map((segment) => {
        const key = offset;
        offset += segment.text.length;
        return segment.hidden === null ? segment.text : <Hidden key={key} name={segment.hidden} />;
      })}
    </bdi>
  );
});

/** One character by its name: "U+202E", with the whole name as its title. */
export function Hidden({ name }: { readonly name: string }) {
  return (
    <span className="hidden-character" title={name}>
      {labelOf(name)}
    </span>
  );
}
