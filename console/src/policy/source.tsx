/** The files of the active policy as they were loaded. */
import { bytes } from "../lib/text.ts";
import { CopyButton } from "../ui/copy.tsx";
import { Empty } from "../ui/states.tsx";
import { Text } from "../ui/text.tsx";
import type { Policy } from "./types.ts";

export function Source({ policy }: { readonly policy: Policy }) {
  if (policy.files.length === 0)
    return (
      <Empty icon="policy" title="The files are not for your role">
        <p>Auditors read the source; the rules beside say the same.</p>
      </Empty>
    );
  return (
    <>
      {policy.files.map((file) => (
        <section key={file.name} className="card" aria-label={file.name}>
          <header className="card-head">
            <h2 className="mono">
              <Text value={file.name} />
            </h2>
            <span className="faint">{bytes(new Blob([file.text]).size)}</span>
            <CopyButton text={file.text} what="file" />
          </header>
          <section className="policy-source" tabIndex={0} aria-label={file.name}>
            <pre>
              <Text value={file.text} />
            </pre>
          </section>
        </section>
      ))}
    </>
  );
}
