/** Proof of one record: fetched, checked in this browser, shown step by step, and to be taken away as a file. */
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";
import { api, isRecord } from "../lib/api.ts";
import { count } from "../lib/text.ts";
import type { Json } from "../trail/types.ts";
import { Button } from "../ui/button.tsx";
import { CopyButton } from "../ui/copy.tsx";
import { Icon, type IconName } from "../ui/icons.tsx";
import { Failure, Loading } from "../ui/states.tsx";
import { Text } from "../ui/text.tsx";
import { checkProof, type ProofReport, type ProofStep, type StepName } from "./check.ts";
import { readProof } from "./file.ts";
import { ProofPath } from "./path.tsx";
import { comparePin, givenPin, loadPin, nextPin, type Pin, type PinVerdict, savePin } from "./pin.ts";
import { saveFile } from "./save.ts";
import "./proof.css";

interface ProofCardProps {
  readonly title: string;
  /** The record's id. */
  readonly id: string;
  readonly record: Json;
  readonly index: number;
  /** The log's name, as the API gives it. */
  readonly log: string;
}

interface Checked {
  readonly text: string;
  readonly report: ProofReport;
  readonly key: string;
  readonly log: string;
  readonly pin: Pin | null;
  readonly verdict: PinVerdict | null;
}

async function fetchAndCheck(
  { id, record, index, log }: ProofCardProps,
  signal: AbortSignal,
): Promise<Checked> {
  const answer = await api<unknown>(`/api/audit/${encodeURIComponent(id)}/proof`, { signal });
  const given = isRecord(answer) ? answer.proof : undefined;
  const text = typeof given === "string" ? given : JSON.stringify(given ?? answer);
  const read = readProof(text);
  const origin = read.ok ? read.value.log : "";
  const pin = loadPin(origin, localStorage);
  const report = await checkProof({
    proof: text,
    trustedKey: pin?.key ?? null,
    shown: record,
    place: { log, index },
  });
  const key = read.ok ? read.value.key : "";
  const { proven } = report;
  if (proven === null || report.verdict !== "proven")
    return {
      text,
      report,
      key,
      log: origin,
      pin,
      verdict: pin !== null && pin.key !== key ? { kind: "other key" } : null,
    };
  const shown = { key, size: proven.size, root: proven.root };
  const verdict = comparePin(pin, shown);
  const next = nextPin(pin, shown, new Date().toISOString());
  if (next !== null) savePin(origin, next, localStorage);
  return { text, report, key, log: origin, pin: next ?? pin, verdict };
}

export function ProofCard(props: ProofCardProps) {
  const { id, title } = props;
  const [open, setOpen] = useState(false);
  const proof = useQuery({
    queryKey: ["audit", "proof", id, props.index],
    queryFn: ({ signal }) => fetchAndCheck(props, signal),
    staleTime: Number.POSITIVE_INFINITY,
    retry: 1,
  });
  // A record is a moment younger than the checkpoint that covers it.
  const waits = proof.isError && proof.failureReason !== null;
  useEffect(() => {
    if (!waits) return;
    const timer = setTimeout(() => void proof.refetch(), 5_000);
    return () => clearTimeout(timer);
  }, [waits, proof.refetch]);
  if (proof.isPending)
    return (
      <Frame title={title} tone="wait" icon="clock" word="Checking in your browser…">
        <Loading rows={2} label="Checking the proof" />
      </Frame>
    );
  if (proof.isError)
    return (
      <Frame title={title} tone="wait" icon="clock" word="No proof yet">
        <Failure
          error={proof.error}
          onRetry={() => void proof.refetch()}
          title="The proof could not be fetched"
        />
      </Frame>
    );
  const { report, text, verdict } = proof.data;
  const sound = report.verdict === "proven" && (verdict?.kind === "same" || verdict?.kind === "new");
  const [tone, icon, word]: readonly [string, IconName, string] =
    report.verdict === "unknown"
      ? ["wait", "info", "Your browser cannot check it"]
      : sound
        ? ["good", "check", "Proven in your browser"]
        : ["bad", "octagon", "THE PROOF DOES NOT HOLD"];
  return (
    <Frame title={title} tone={tone} icon={icon} word={word}>
      <p className="proof-summary">{summary(report, verdict)}</p>
      <div className="proof-actions">
        <Button icon="download" onClick={() => saveFile(`postern-evidence-${id}.json`, text)}>
          Evidence
        </Button>
        <Button look="quiet" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? "Hide the steps" : "Show the steps"}
        </Button>
      </div>
      {open || (report.verdict !== "proven" && report.verdict !== "unknown") ? (
        <Steps checked={proof.data} again={() => void proof.refetch()} />
      ) : null}
    </Frame>
  );
}

function summary(report: ProofReport, verdict: PinVerdict | null): string {
  if (report.verdict === "unknown")
    return report.steps.find(({ state }) => state === "unchecked")?.text ?? "";
  if (report.verdict === "refuted") return report.steps.find(({ state }) => state === "failed")?.text ?? "";
  switch (verdict?.kind) {
    case "other key":
      return "The log is signed with another key than this browser remembers.";
    case "shrunk":
      return `The log had ${count(verdict.was)} records when this browser last looked, and has fewer now: it was cut or rolled back.`;
    case "forked":
      return "The log has as many records as when this browser last looked, but not the same ones: it was rewritten.";
    default: {
      const { index, size } = report.proven ?? { index: 0, size: 0 };
      return `Record ${count(index)} of ${count(size)}: exactly what this page shows, under the log's signature.`;
    }
  }
}

interface FrameProps {
  readonly title: string;
  readonly tone: string;
  readonly icon: IconName;
  readonly word: string;
  readonly children: ReactNode;
}

function Frame({ title, tone, icon, word, children }: FrameProps) {
  return (
    <section className={`proof card ${tone}`} aria-label={`Proof of the ${title}`} data-proof={tone}>
      <header className="proof-head">
        <span className="proof-seal">
          <Icon name={icon} size={18} />
        </span>
        <div>
          <h2>{word}</h2>
          <p className="faint">{title}</p>
        </div>
      </header>
      {children}
    </section>
  );
}

const names: Readonly<Record<StepName, string>> = {
  file: "The proof",
  key: "The key",
  signature: "The signature",
  leaf: "The record's hash",
  path: "The path to the root",
  shown: "What you see",
};

function Steps({ checked, again }: { readonly checked: Checked; again(): void }) {
  const { report, pin, key, log } = checked;
  return (
    <div className="proof-detail">
      <ol className="proof-steps">
        {report.steps.map((step) => (
          <Step key={step.name} step={step} />
        ))}
      </ol>
      {report.proven === null ? null : (
        <ProofPath leaf={report.proven.leafHash} climbs={report.proven.climbs} />
      )}
      <div className="proof-key">
        <h3>The log's key</h3>
        <p className="proof-key-text mono">
          <Text value={key} /> <CopyButton text={key} what="key" />
        </p>
        <p className="faint">
          {pin === null
            ? "This browser has not remembered it: compare it with a copy from elsewhere."
            : pin.from === "given"
              ? `You gave it to this browser on ${pin.since.slice(0, 10)}.`
              : `This browser saw it first on ${pin.since.slice(0, 10)} and has found no other since. The page and the key came from the same gateway: who does not trust it compares the key with the one in log.vkey, or checks the evidence elsewhere.`}
        </p>
        <GiveKey log={log} pin={pin} onGiven={again} />
        <p className="faint">
          Elsewhere: <code>postern audit verify-proof FILE --key KEY</code>
        </p>
      </div>
    </div>
  );
}

const stateIcons: Readonly<Record<ProofStep["state"], IconName>> = {
  ok: "check",
  failed: "cross",
  unchecked: "more",
};

function Step({ step }: { readonly step: ProofStep }) {
  return (
    <li className={`proof-step ${step.state}`}>
      <Icon name={stateIcons[step.state]} size={15} />
      <div>
        <strong>{names[step.name]}</strong> <span className="visually-hidden">{step.state}: </span>
        <Text value={step.text} />
      </div>
    </li>
  );
}

/** Trust on a person's word: the key from the operator, a colleague, a ticket. */
function GiveKey({ log, pin, onGiven }: { readonly log: string; readonly pin: Pin | null; onGiven(): void }) {
  const [text, setText] = useState("");
  const [saved, setSaved] = useState(true);
  return (
    <form
      className="proof-give"
      onSubmit={(event) => {
        event.preventDefault();
        const key = text.trim();
        if (key === "") return;
        setSaved(savePin(log, givenPin(pin, key, new Date().toISOString()), localStorage));
        setText("");
        onGiven();
      }}
    >
      <label>
        <span className="label">Key you have from elsewhere</span>
        <input
          className="input mono"
          value={text}
          onChange={(event) => setText(event.target.value)}
          maxLength={400}
          autoComplete="off"
          spellCheck={false}
        />
      </label>
      <Button type="submit">Check with it</Button>
      {saved ? null : <p className="field-error">This browser does not let the console remember it.</p>}
    </form>
  );
}
