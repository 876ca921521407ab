/** Who a token is at the gateway. */
import { z } from "zod";
import { CliError } from "./error.ts";
import { ask, expectOk, type Place } from "./gateway.ts";

const me = z.object({
  subject: z.string(),
  issuer: z.string(),
  provider: z.string(),
  email: z.string().nullable(),
  kind: z.string(),
  groups: z.array(z.string()),
  actor: z.array(z.object({ subject: z.string(), issuer: z.string().nullable() })),
  roles: z.array(z.string()),
  databases: z.array(z.object({ name: z.string() })),
  expires: z.string(),
});
export type Me = z.output<typeof me>;

/** Who a token is at the gateway. Throws CliError. */
export async function whoIs(place: Place, token: string): Promise<Me> {
  const parsed = me.safeParse(
    expectOk(await ask(place, "/api/me", { token }), "the gateway does not take the login"),
  );
  if (!parsed.success) throw new CliError(3, "the gateway's answer cannot be read");
  return parsed.data;
}
