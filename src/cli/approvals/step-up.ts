/** Deciding takes a person who has just shown themselves: where the login is too old, they do so here, for one decision. */
import { refuseShared } from "../account/audience.ts";
import { begin, choose, say } from "../account/begin.ts";
import { hasBrowser } from "../account/browser.ts";
import { CliError } from "../account/error.ts";
import { checkIssuer, clean, describeGateway } from "../account/gateway.ts";
import { listProfiles } from "../account/profile.ts";
import { whoIs } from "../account/who.ts";
import { isObject, type Rest, RestError, Unreachable } from "../lib/rest.ts";

/**
 * Does the work; when it needs a fresh login and a person is at the terminal, they log in, and it is done once more with the token of that
 * login, which is kept nowhere. Rejects with RestError, Unreachable, CliError.
 */
export async function withStepUp(rest: Rest, work: (as: Rest) => Promise<unknown>): Promise<unknown> {
  try {
    return await work(rest);
  } catch (error) {
    const asked = error instanceof RestError && error.code === "STEP_UP_REQUIRED";
    if (!asked || process.stdin.isTTY !== true || process.stderr.isTTY !== true) throw error;
  }
  return work(rest.as(await freshToken(rest)));
}

/** An access token of a login that happens now, of the same person. Rejects with CliError. */
async function freshToken(rest: Rest): Promise<string> {
  const place = { url: rest.url, ca: rest.ca };
  const known = await rest.get("/api/me");
  if (!isObject(known) || typeof known.provider !== "string")
    throw new Unreachable("the gateway's answer cannot be read");
  say("To decide you have to log in once more.");
  const how = hasBrowser() ? "browser" : "device";
  const info = await describeGateway(place);
  checkIssuer(place, info);
  const provider = choose(info, known.provider, how);
  const base = { v: 1 as const, ...place, subject: "" };
  const login = await begin(provider, place, base, { how, fresh: true, keep: false, issuer: info.issuer });
  if (login.kind === "ci") throw new CliError(1, "a workload decides nothing");
  refuseShared(login, listProfiles());
  const me = await whoIs(place, login.accessToken);
  // Whoever else sits at this browser decides under their own name, with a login of their own.
  if (me.subject !== known.subject || me.issuer !== known.issuer)
    throw new CliError(
      1,
      `you logged in as ${clean(me.subject)}, not as who began this`,
      "Nothing was decided.",
    );
  return login.accessToken;
}
