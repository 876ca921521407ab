/** Gateways for the policy benchmark: the same but for their policies, each a process of its own. */
import type { ChildProcess } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { freePort, listening, start } from "../processes.ts";
import type { ServerPlace } from "./statements.ts";

export interface Target {
  readonly name: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** null: PostgreSQL itself. */
  readonly child: ChildProcess | null;
}

/** @param policy text of a policy file; null: none */
export async function startGateway(
  folder: string,
  name: string,
  place: ServerPlace,
  policy: string | null,
): Promise<Target> {
  const own = join(folder, name.replaceAll(" ", "-"));
  mkdirSync(join(own, "data"), { recursive: true });
  const port = await freePort();
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const jwk = { ...(await exportJWK(publicKey)), kid: "bench", alg: "ES256", use: "sig" };
  writeFileSync(join(own, "jwks.json"), JSON.stringify({ keys: [jwk] }));
  if (policy !== null) writeFileSync(join(own, "policy.yaml"), policy);
  writeFileSync(
    join(own, "postern.yaml"),
    `version: 1
listen:
  postgres: 127.0.0.1:${port}
identity:
  providers:
    - name: bench
      type: oidc
      issuer: https://idp.example.com
      audience: postern
      jwks: file:./jwks.json
      kinds:
        - { kind: service, when: '"bench" in groups' }
databases:
  - name: ${place.dbname}
    server: { host: ${place.host}, port: ${place.port}, dbname: ${place.dbname}, tls: { mode: disable } }
    logins:
      - groups: [bench]
        user: ${place.user}
        password: { env: BENCH_PASSWORD }
audit:
  dir: ./data/audit
${policy === null ? "" : "policy: ./policy.yaml\n"}limits: { connections_per_principal: 100 }
`,
  );
  const bin = join(import.meta.dirname, "../../bin/postern.js");
  const flags = (process.env.BENCH_NODE_FLAGS ?? "").split(" ").filter((flag) => flag !== "");
  const child = start(process.execPath, [...flags, bin, "serve", "-c", join(own, "postern.yaml")], {
    env: { ...process.env, BENCH_PASSWORD: place.password, POSTERN_LOG: "error" },
  });
  await listening(port, child);
  const token = await new SignJWT({ groups: ["bench"], client_id: "bench" })
    .setProtectedHeader({ alg: "ES256", kid: "bench", typ: "at+jwt" })
    .setIssuer("https://idp.example.com")
    .setAudience("postern")
    .setSubject("bench-agent")
    .setIssuedAt()
    .setExpirationTime("2h")
    .sign(privateKey);
  return { name, port, user: "anyone", password: token, database: place.dbname, child };
}
