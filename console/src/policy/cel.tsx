/** A condition, coloured: facts, texts, operators. Text nodes only. */
import type { ReactNode } from "react";
import { Text } from "../ui/text.tsx";

const parts =
  /("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|\b((?:principal|session|statement|estimate|now)(?:\.\w+)*)\b|(&&|\|\||==|!=|>=|<=|[!<>?:]|\bin\b)|\b(true|false|null|\d+)\b/g;

export function Condition({ text }: { readonly text: string }) {
  const out: ReactNode[] = [];
  let from = 0;
  for (const match of text.matchAll(parts)) {
    if (match.index > from) out.push(<Text key={from} value={text.slice(from, match.index)} />);
    const look =
      match[1] !== undefined
        ? "string"
        : match[2] !== undefined
          ? "parameter"
          : match[3] !== undefined
            ? "keyword"
            : "number";
    out.push(
      <span key={match.index} className={`sql-${look}`}>
        <Text value={match[0]} />
      </span>,
    );
    from = match.index + match[0].length;
  }
  if (from < text.length) out.push(<Text key={from} value={text.slice(from)} />);
  return <code className="condition">{out}</code>;
}
