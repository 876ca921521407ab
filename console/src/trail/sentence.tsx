/** A told statement on the page. */
import { memo } from "react";
import { Link } from "../lib/router.tsx";
import { Text } from "../ui/text.tsx";
import { trailLink } from "./query.ts";
import type { Piece } from "./tell.ts";

interface SentenceProps {
  readonly pieces: readonly Piece[];
  /** Pieces lead to the statements that have them in common; not inside of another link. */
  readonly linked?: boolean;
}

export const Sentence = memo(function Sentence({ pieces, linked = false }: SentenceProps) {
  let offset = 0;
  return (
    <span className="told">
      {pieces.map((piece) => {
        const key = offset;
        offset += piece.text.length + 1;
        if (piece.tone === "plain") return piece.text;
        const content = (
          <span key={key} className={`told-${piece.tone}`}>
            <Text value={piece.text} />
          </span>
        );
        if (!linked || piece.find === undefined) return content;
        return (
          <Link key={key} className="told-link" to={trailLink({ [piece.find[0]]: piece.find[1] })}>
            {content}
          </Link>
        );
      })}
    </span>
  );
});
