/** Characters that make a text read differently from what it says (Unicode Technical Standard 39; CVE-2021-42574). */
import type { ApprovalWarning } from "../../facts/approval.ts";

/** Controls of writing direction, and characters that nobody sees. */
const hidden = /\p{Default_Ignorable_Code_Point}|[\ufff9-\ufffb]/gu;
const direction = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;
const word = /[\p{L}\p{N}\p{M}_$]+/gu;
const latin = /\p{Script=Latin}/u;
/** Scripts with letters that look like Latin ones. */
const similar =
  /[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}\p{Script=Lisu}\p{Script=Coptic}]/u;
/** Latin letters, digits and signs in other forms: full width, mathematical, enclosed. */
const styled = /[\uff01-\uff5e\u2100-\u214f\u2460-\u24ff]|[\u{1d400}-\u{1d7ff}]|[\u{1f100}-\u{1f1ff}]/u;
/** Marks that look like quotes, dashes, slashes, semicolons and spaces of SQL, and are none. */
const marks =
  /[\u00a0\u037e\u1680\u2000-\u200a\u2010-\u2015\u2018-\u201f\u2024\u2028\u2029\u202f\u2044\u205f\u2212\u2215\u3000]/u;

/** Looks through a statement's text, or a parameter's. `where`: for people. */
export function characterWarnings(text: string, where: string): ApprovalWarning[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the very question is whether there are any.
  if (/^[\x00-\x7f]*$/.test(text)) return [];
  const warnings: ApprovalWarning[] = [];
  const found = [...new Set([...text.matchAll(hidden)].map(([c]) => codeOf(c)))];
  if (found.length > 0)
    warnings.push({
      code: "BIDI",
      text: direction.test(text)
        ? `${where} holds characters that change the direction of writing (${found.slice(0, 5).join(", ")}): it may read differently from what it says`
        : `${where} holds characters that cannot be seen (${found.slice(0, 5).join(", ")})`,
      object: null,
    });
  const mixed = [...text.matchAll(word)]
    .map(([one]) => one)
    .filter((one) => styled.test(one) || (latin.test(one) && similar.test(one)) || lookAlone(one));
  if (mixed.length > 0)
    warnings.push({
      code: "LOOKALIKE",
      text: `${where} has words with letters that look like others: ${mixed.slice(0, 3).map(spelled).join(", ")}`,
      object: null,
    });
  else if (marks.test(text) || styled.test(text))
    warnings.push({
      code: "LOOKALIKE",
      text: `${where} has marks or spaces that look like those of SQL and are others`,
      object: null,
    });
  return warnings;
}

/** Cyrillic and Greek letters that have a twin in Latin. */
const twins = /^[асеорхуіјѕһԁԛԝАВЕКМНОРСТХЅІЈΑΒΕΖΗΙΚΜΝΟΡΤΥΧονρυαικ_0-9]+$/u;

/** A whole word in another script that reads like a Latin one. */
function lookAlone(one: string): boolean {
  return twins.test(one) && /\p{L}/u.test(one);
}

function codeOf(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}

/** "аdmin (U+0430…)": the word, and its first letter that is not Latin. */
function spelled(one: string): string {
  const odd = [...one].find((c) => !/[\p{Script=Latin}\p{N}_$]/u.test(c) || styled.test(c));
  return `"${one.slice(0, 40)}"${odd === undefined ? "" : ` (${codeOf(odd)})`}`;
}
