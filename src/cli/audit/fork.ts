/** `postern audit fork --reason TEXT`: goes on after a restore, on the record. */
import { AuditOpenError, makeAnchors, openAuditLog, startAnchoring } from "../../audit/index.ts";
import { loadConfig } from "../../config/index.ts";
import { configOption, readArgs, UsageError } from "../lib/args.ts";
import { packageVersion } from "../lib/version.ts";

const usage = `Usage: postern audit fork --reason TEXT [-c postern.yaml] [--json]

The gateway does not start when its audit log ends before what its anchors have kept, or is another one: it was cut off,
or an old copy was put back. After a genuine restore from a backup this goes on from where the log ends. What was given
up, and why, is recorded in the log (log.forked), and the break goes to the anchors; postern audit verify shows it for ever.
Run it on the gateway's machine while the gateway is stopped.

      --reason TEXT  why; up to 1000 characters
      --json         the record as JSON

Exit code 0: done. 1: there is nothing to fork, or the log does not open.
`;

export async function fork(args: string[]): Promise<number> {
  const options = {
    ...configOption,
    reason: { type: "string" },
    json: { type: "boolean" },
  } as const;
  const parsed = readArgs(args, usage, options);
  if (parsed === null) return 0;
  const reason = parsed.values.reason?.trim() ?? "";
  if (reason === "" || reason.length > 1000) throw new UsageError("--reason is missing or too long", usage);
  const settings = await loadConfig(parsed.values.config);
  // The line that the log anchor would get is shown below.
  const anchors = makeAnchors(settings.anchors, () => {});
  const unread: string[] = [];
  let failed = 0;
  try {
    const log = await openAuditLog(settings.audit, {
      version: packageVersion(),
      anchors,
      fork: reason,
      tell(news) {
        if (news.kind === "anchor-unread") unread.push(`${news.anchor}: ${news.why}`);
      },
    });
    const anchoring = startAnchoring(log, anchors, () => {});
    await log.close();
    const { checkpoint } = log;
    const states = await anchoring.stop();
    failed = states.filter(({ unanchored }) => unanchored > 0).length;
    if (parsed.values.json === true)
      process.stdout.write(
        `${JSON.stringify({ size: checkpoint?.size, checkpoint: checkpoint?.note.toString("utf8"), unread, anchors: states })}\n`,
      );
    else {
      process.stdout.write(`The log goes on with a fork on the record, ${checkpoint?.size ?? 0} records.\n`);
      for (const what of unread) process.stdout.write(`Not compared with the anchor ${what}\n`);
      for (const { anchor, unanchored } of states)
        process.stdout.write(`Anchor ${anchor}: ${unanchored > 0 ? "NOT reached" : "has the fork"}\n`);
      process.stdout.write(`\n${checkpoint?.note.toString("utf8") ?? ""}`);
    }
  } catch (error) {
    if (!(error instanceof AuditOpenError)) throw error;
    process.stderr.write(`postern audit fork: ${error.message} (${error.code})\n`);
    return 1;
  } finally {
    await Promise.all(anchors.map((anchor) => anchor.close()));
  }
  return failed > 0 ? 1 : 0;
}
