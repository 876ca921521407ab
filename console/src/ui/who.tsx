/** Names of callers: what the token proved, and apart from it what they say of themselves. */

import { visible } from "../lib/text.ts";
import type { Claimed, Who } from "../lib/types.ts";
import { KindIcon } from "./badge.tsx";
import { Text } from "./text.tsx";

/** A person is known by their address, an agent or service by its name. */
function nameOf({ kind, email, subject, actor }: Who): string {
  return kind === "human" || actor.length > 0 ? (email ?? subject) : subject;
}

/** "agent-support for jane@example.com" as one string, for titles and notifications. */
export function whoText(who: Who): string {
  const name = nameOf(who);
  const actor = who.actor[0]?.subject;
  return visible(actor === undefined ? name : `${actor} for ${name}`);
}

/** A caller; `plain` leaves the icon out. */
export function WhoName({ who, plain = false }: { readonly who: Who; readonly plain?: boolean }) {
  const actor = who.actor[0]?.subject;
  const name = nameOf(who);
  return (
    <span className="who" title={visible(who.email === null ? who.subject : `${who.subject}, ${who.email}`)}>
      {plain ? null : <KindIcon kind={who.kind} />}
      <span className="who-name">
        {actor === undefined ? null : (
          <>
            <strong>
              <Text value={actor} />
            </strong>
            <span className="faint"> for </span>
          </>
        )}
        {actor === undefined ? (
          <strong>
            <Text value={name} />
          </strong>
        ) : (
          <Text value={name} />
        )}
      </span>
    </span>
  );
}

/** What the caller claims, always marked as such. Null when it claims nothing worth a line. */
export function ClaimedNote({ claimed }: { readonly claimed: Claimed }) {
  const parts = [claimed.agent, claimed.model].filter((part) => part !== undefined && part !== "");
  if (parts.length === 0) return null;
  return (
    <span className="claimed-note" title="The caller says so itself; nobody has proved it">
      says it is <Text value={parts.join(", ")} />
    </span>
  );
}
