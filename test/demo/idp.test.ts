import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { audience, type DemoIdp, startIdp } from "../../src/demo/idp.ts";
import { engineer, supportAgent } from "../../src/demo/people.ts";
import { type DemoState, freePort, openState } from "../../src/demo/state.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-idp-test-"));
let state: DemoState;
let idp: DemoIdp;
beforeAll(async () => {
  state = openState(folder);
  idp = await startIdp(state, await freePort(0));
});
afterAll(async () => {
  await idp.stop();
  state.close();
  rmSync(folder, { recursive: true, force: true });
});

async function verify(token: string) {
  const configuration = (await (await fetch(`${idp.issuer}/.well-known/openid-configuration`)).json()) as {
    jwks_uri: string;
  };
  return jwtVerify(token, createRemoteJWKSet(new URL(configuration.jwks_uri)), {
    issuer: idp.issuer,
    audience,
    typ: "at+jwt",
  });
}

describe("the demo's OIDC provider", () => {
  it("gives clients access tokens with who they are", async () => {
    const { payload } = await verify(await idp.token(supportAgent.client));
    expect(payload).toMatchObject({
      sub: "agent-support",
      client_id: "agent-support",
      groups: ["agents", "support"],
      email: "agent-support@example.com",
    });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(8 * 3600);
    expect((await verify(await idp.token(engineer.client))).payload).toMatchObject({
      sub: "erin@example.com",
      client_id: "engineer",
    });
  });

  it("gives nothing to strangers", async () => {
    await expect(idp.token("stranger")).rejects.toThrow(/invalid_client/);
  });

  it("keeps its key, so that tokens outlive a restart", async () => {
    const token = await idp.token(supportAgent.client);
    const port = Number(new URL(idp.issuer).port);
    await idp.stop();
    idp = await startIdp(state, port);
    expect((await verify(token)).payload.sub).toBe("agent-support");
  });
});
