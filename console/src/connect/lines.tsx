/** A group of lines to copy, one shown at a time. */
import { useState } from "react";
import { CopyButton } from "../ui/copy.tsx";
import { Choice } from "../ui/form.tsx";
import { Text } from "../ui/text.tsx";
import { cutAtPlaces, fill } from "./fill.ts";
import type { Line } from "./names.ts";

interface LinesProps {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly token: string | null;
  readonly note?: string;
}

export function Lines({ title, lines, token, note }: LinesProps) {
  const [key, setKey] = useState(lines[0]?.key ?? "");
  const line = lines.find((each) => each.key === key) ?? lines[0];
  if (line === undefined) return null;
  return (
    <section className="card connect-lines" aria-label={title}>
      <header className="card-head">
        <h2>{title}</h2>
        {lines.length < 2 ? null : (
          <Choice
            label={title}
            value={line.key}
            options={lines.map((each) => ({ value: each.key, label: each.name }))}
            onChange={setKey}
          />
        )}
        <CopyButton worded text={fill(line.text, token)} what={token === null ? "line" : "with token"} />
      </header>
      <section className="line-text" tabIndex={0} aria-label={`${title}: ${line.name}`}>
        <pre>
          {cutAtPlaces(line.text).map((piece, index) =>
            index % 2 === 0 ? (
              // biome-ignore lint/suspicious/noArrayIndexKey: pieces of one line never move
              <Text key={index} value={piece} />
            ) : (
              // biome-ignore lint/suspicious/noArrayIndexKey: pieces of one line never move
              <span key={index} className="line-token">
                {token === null ? <Text value={piece} /> : `${token.slice(0, 8)}…`}
              </span>
            ),
          )}
        </pre>
      </section>
      {note === undefined ? null : <p className="line-note faint">{note}</p>}
    </section>
  );
}
