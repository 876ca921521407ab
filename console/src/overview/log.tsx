/** Whether the record is sound: its size, its latest signed checkpoint, and how old the copy kept elsewhere is. */
import { useQuery } from "@tanstack/react-query";
import { api } from "../lib/api.ts";
import { useNow } from "../lib/clock.ts";
import { count } from "../lib/text.ts";
import { at, duration, relative } from "../lib/time.ts";
import { strictBase64, toHex } from "../proof/bytes.ts";
import { comparePin, loadPin } from "../proof/pin.ts";
import { saveFile } from "../proof/save.ts";
import type { Checkpoint } from "../trail/types.ts";
import { Button } from "../ui/button.tsx";
import { Icon } from "../ui/icons.tsx";
import { Text } from "../ui/text.tsx";
import { useLiveLog } from "./live.ts";
import type { Stats } from "./stats.ts";

/** An anchor older than this is told as trouble: anchors are written every ten seconds while records come. */
const anchorOld = 15 * 60;
/** A checkpoint is written at least every minute. */
const checkpointOld = 5 * 60_000;

export function LogCard({ log }: { readonly log: Stats["log"] }) {
  const now = useNow();
  const live = useLiveLog();
  const answer = useQuery({
    queryKey: ["audit", "checkpoint"],
    queryFn: ({ signal }) => api<Checkpoint>("/api/audit/checkpoint", { signal }),
    refetchInterval: 60_000,
  });
  const checkpoint = answer.data;
  const size = Math.max(live?.size ?? 0, checkpoint?.size ?? 0, log.size ?? 0);
  const time = latest([live?.time ?? null, checkpoint?.time ?? null, log.lastCheckpoint]);
  const stale = time !== null && now - at(time) > checkpointOld;
  const pin = checkpoint === undefined ? null : loadPin(checkpoint.log, localStorage);
  const root = checkpoint === undefined ? "" : hexRoot(checkpoint.root);
  const memory =
    checkpoint === undefined ? null : comparePin(pin, { key: checkpoint.key, size: checkpoint.size, root });
  const wrong =
    log.failure ??
    (memory?.kind === "other key"
      ? "The log has another key than this browser remembers."
      : memory?.kind === "shrunk"
        ? `The log had ${count(memory.was)} records when this browser last looked: it was cut or rolled back.`
        : memory?.kind === "forked"
          ? "The log was rewritten since this browser last looked."
          : null);
  return (
    <section className={`log-card card${wrong === null ? "" : " bad"}`} aria-label="The log">
      <header className="card-head">
        <h2>The log</h2>
        <span className={`badge ${wrong !== null ? "deny" : stale ? "hold" : "allow"}`}>
          <Icon name={wrong !== null ? "octagon" : stale ? "clock" : "check"} size={12} />
          {wrong !== null ? "trouble" : stale ? "quiet" : "sound"}
        </span>
      </header>
      <div className="card-body log-facts">
        {wrong === null ? null : (
          <p className="log-wrong" role="alert">
            <Text value={wrong} />
          </p>
        )}
        <p className="log-size">
          <strong className="tabular">{size === 0 ? "—" : count(size)}</strong>{" "}
          <span className="faint">records, each hashed into one tree</span>
        </p>
        <dl className="facts">
          <div>
            <dt>Last signed</dt>
            <dd>{time === null ? "not told" : relative(at(time), now)}</dd>
          </div>
          <div>
            <dt>Kept elsewhere</dt>
            <dd>
              {log.anchorAgeSeconds === null ? (
                <span className="told-wait">not yet: configure an anchor under audit.anchors</span>
              ) : (
                <span className={log.anchorAgeSeconds > anchorOld ? "told-bad" : undefined}>
                  {duration(log.anchorAgeSeconds * 1000)} ago
                </span>
              )}
            </dd>
          </div>
          {root === "" ? null : (
            <div>
              <dt>Root</dt>
              <dd className="mono cut" title={root}>
                {root.slice(0, 24)}…
              </dd>
            </div>
          )}
        </dl>
        {checkpoint === undefined ? null : (
          <Button
            icon="download"
            onClick={() =>
              saveFile(`postern-checkpoint-${checkpoint.size}.txt`, checkpoint.note, "text/plain")
            }
          >
            Keep this checkpoint
          </Button>
        )}
      </div>
    </section>
  );
}

/** Roots come as base64 (as in the note) or hex. */
function hexRoot(root: string): string {
  if (/^[0-9a-f]{64}$/.test(root)) return root;
  const bytes = strictBase64(root);
  return bytes === null ? "" : toHex(bytes);
}

function latest(times: readonly (string | null)[]): string | null {
  const known = times.filter((time): time is string => time !== null && !Number.isNaN(at(time)));
  return known.reduce<string | null>(
    (best, time) => (best === null || at(time) > at(best) ? time : best),
    null,
  );
}
