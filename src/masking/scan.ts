/** Proposes labels for columns by what a sample of their values looks like. Pure: sampling is the caller's. */
import { createDetector } from "./detect/cell.ts";
import { confidenceOf } from "./detect/confidence.ts";
import { type BuiltinKind, builtinKinds, kindFacts, wordsOf } from "./detect/kinds.ts";

/** A column with some of its values. */
export interface ColumnSample {
  /** "database.schema.relation.column", each part quoted as PostgreSQL quotes identifiers. */
  readonly name: string;
  /** The bare name of the column, whose words count. */
  readonly column: string;
  /** As text; NULLs left out. */
  readonly values: readonly string[];
}

/** One proposal. Holds no value. */
export interface ScanFinding {
  readonly name: string;
  readonly label: string;
  /** What speaks for it: a kind of content, or the column's name alone. */
  readonly by: BuiltinKind | "name";
  readonly hits: number;
  readonly seen: number;
  /** 0 to 1. */
  readonly confidence: number;
  /** true: confident enough to be proposed, false: a comment to look at. */
  readonly proposed: boolean;
}

export interface ScanReport {
  /** The `labels` of a policy file, with what was found as comments. */
  readonly yaml: string;
  readonly findings: readonly ScanFinding[];
}

interface Proposal {
  readonly label: string;
  readonly mask: string;
}

const proposals: Readonly<Record<BuiltinKind, Proposal>> = {
  email: { label: "pii.email", mask: "partial" },
  card: { label: "pii.card", mask: "partial" },
  iban: { label: "pii.iban", mask: "partial" },
  ssn: { label: "pii.ssn", mask: "redact" },
  phone: { label: "pii.phone", mask: "partial" },
  ipv4: { label: "pii.ip", mask: "partial" },
  jwt: { label: "secret.token", mask: "redact" },
  cloud_key: { label: "secret.key", mask: "redact" },
};

/** What names alone suggest, of things that have no form of their own. Never enough to be proposed. */
const names: readonly { readonly words: readonly string[]; readonly proposal: Proposal }[] = [
  {
    words: ["password", "passwd", "pwd", "passphrase", "secret"],
    proposal: { label: "secret.password", mask: "redact" },
  },
  {
    words: ["birth", "birthday", "birthdate", "dob"],
    proposal: { label: "pii.birthdate", mask: "{ date: year }" },
  },
  {
    words: ["firstname", "lastname", "surname", "fullname", "givenname", "familyname"],
    proposal: { label: "pii.name", mask: "partial" },
  },
  { words: ["salary", "wage", "income"], proposal: { label: "pii.income", mask: "redact" } },
  { words: ["street", "address", "postcode", "zipcode"], proposal: { label: "pii.address", mask: "redact" } },
  { words: ["diagnosis", "patient", "medical"], proposal: { label: "pii.health", mask: "redact" } },
  { words: ["passport", "ssn", "taxid", "nationalid"], proposal: { label: "pii.id", mask: "redact" } },
];
const nameConfidence = 0.35;

const detector = createDetector(builtinKinds.map((name) => ({ name, pattern: null })));

/**
 * @param samples columns with values.
 * @param options `threshold`: confidence from which a label is proposed, 0.6 when left out; below it is a comment.
 * @returns YAML for a policy file and the findings behind it, most confident first. Neither holds a value.
 */
export function proposeLabels(
  samples: readonly ColumnSample[],
  { threshold = 0.6 }: { readonly threshold?: number } = {},
): ScanReport {
  const findings = samples
    .flatMap((sample) => classify(sample, threshold))
    .sort((x, y) => y.confidence - x.confidence || (x.name < y.name ? -1 : 1));
  return { yaml: toYaml(findings, samples.length), findings };
}

/** The likeliest kind of a column, if any. */
function classify({ name, column, values }: ColumnSample, threshold: number): ScanFinding[] {
  const hits = new Array<number>(builtinKinds.length).fill(0);
  for (const value of values) {
    const b = Buffer.from(value);
    const found = detector.detect(b, 0, b.length);
    if (found !== 0)
      for (let i = 0; i < hits.length; i++) if ((found & (1 << i)) !== 0) (hits[i] as number)++;
  }
  const seen = values.length;
  let best: ScanFinding | null = null;
  for (const [i, kind] of builtinKinds.entries()) {
    const count = hits[i] as number;
    const confidence = confidenceOf(kind, column, count, seen);
    if (count === 0 || (best !== null && best.confidence >= confidence)) continue;
    const { label } = proposals[kind];
    best = { name, label, by: kind, hits: count, seen, confidence, proposed: confidence >= threshold };
  }
  if (best !== null) return [best];
  const suggested = suggestedBy(column);
  if (suggested === null) return [];
  const { label } = suggested;
  return [{ name, label, by: "name", hits: 0, seen, confidence: nameConfidence, proposed: false }];
}

function suggestedBy(column: string): Proposal | null {
  const words = wordsOf(column);
  // "first_name" as "firstname".
  const pairs = words.slice(1).map((word, i) => `${words[i]}${word}`);
  return (
    names.find((entry) => entry.words.some((word) => words.includes(word) || pairs.includes(word)))
      ?.proposal ?? null
  );
}

function toYaml(findings: readonly ScanFinding[], columns: number): string {
  const lines = [
    `# Proposed by postern scan: ${columns} columns sampled. Look through it before you put it into a policy.`,
    "version: 1",
  ];
  const proposed = findings.filter((finding) => finding.proposed);
  lines.push(proposed.length === 0 ? "labels: []" : "labels:");
  for (const { label, mask } of labelsOf(proposed)) {
    lines.push(`  - label: ${label}`, "    columns:");
    for (const finding of proposed)
      if (finding.label === label) lines.push(`      - ${JSON.stringify(finding.name)} # ${reason(finding)}`);
    lines.push(`    mask: ${mask}`, "    use: output");
  }
  const doubtful = findings.filter((finding) => !finding.proposed);
  if (doubtful.length > 0) lines.push("# Perhaps also, to be decided by somebody who knows the data:");
  for (const finding of doubtful)
    lines.push(`#   ${finding.label}: ${JSON.stringify(finding.name)} # ${reason(finding)}`);
  return `${lines.join("\n")}\n`;
}

function labelsOf(findings: readonly ScanFinding[]): Proposal[] {
  const wanted = new Set(findings.map((finding) => finding.label));
  const all = [...Object.values(proposals), ...names.map((entry) => entry.proposal)];
  return all.filter((proposal) => wanted.has(proposal.label));
}

function reason({ by, hits, seen, confidence }: ScanFinding): string {
  const found = by === "name" ? "by its name only" : `${hits} of ${seen} values hold ${kindFacts[by].what}`;
  return `${found}, confidence ${confidence.toFixed(2)}`;
}
