/** Logins by IAM at Amazon RDS and Aurora: a signed request as the password, good for 15 minutes. */
import type { SecretSource } from "../../facts/secret.ts";
import type { CredentialSource } from "./awscredentials.ts";
import { presignedQuery } from "./sigv4.ts";

export interface RdsLogin {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly region: string;
}

const validSeconds = 900;

/** A token is made for each new connection: that takes no request, only credentials. `now`: ms since the epoch. */
export function rdsToken(
  login: RdsLogin,
  credentials: CredentialSource,
  now: () => number = Date.now,
): SecretSource {
  const { user, region } = login;
  const host = `${login.host}:${login.port}`;
  return {
    label: `aws rds iam ${region}`,
    async read() {
      const query = presignedQuery({
        host,
        path: "/",
        query: [
          ["Action", "connect"],
          ["DBUser", user],
        ],
        region,
        service: "rds-db",
        expiresSeconds: validSeconds,
        credentials: await credentials.current(),
        now: now(),
      });
      return `${host}/?${query}`;
    },
  };
}

/** The region in the name of an RDS instance, cluster or proxy; null: it cannot be seen from the name. */
export function regionOf(host: string): string | null {
  return /\.([a-z]{2}(?:-[a-z]+)+-\d)\.rds\.amazonaws\.com(?:\.cn)?$/.exec(host.toLowerCase())?.[1] ?? null;
}
