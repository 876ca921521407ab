import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { audience, type DemoIdp, startIdp } from "../../src/demo/idp.ts";
import { cliClient } from "../../src/demo/idp-clients.ts";
import { approver, engineer, supportAgent } from "../../src/demo/people.ts";
import { type DemoState, freePort, openState } from "../../src/demo/state.ts";
import { Browser } from "../support/browser.ts";

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

describe("people", () => {
  const redirect = "http://127.0.0.1:54321/callback";

  /** Logs a person in by a browser until the client is called back, and gives that address. */
  async function authorize(browser: Browser, url: URL, subject: string): Promise<URL> {
    let at = url.href;
    for (let hops = 0; hops < 20; hops++) {
      if (at.startsWith(redirect)) return new URL(at);
      const response = await browser.request(at);
      let next = response.headers.get("location");
      if (next === null) {
        const text = await response.text();
        const action = /action="([^"]*)"/.exec(text)?.[1];
        if (action === undefined) throw new Error(text);
        const answer = await browser.request(new URL(action, at).href, {
          method: "POST",
          body: new URLSearchParams({ subject }),
        });
        next = answer.headers.get("location");
        if (next === null) throw new Error(await answer.text());
      }
      at = new URL(next, at).href;
    }
    throw new Error("too many redirects");
  }

  function authorization(verifier: string | null, more: Record<string, string> = {}): URL {
    const url = new URL(`${idp.issuer}/auth`);
    url.search = new URLSearchParams({
      client_id: cliClient,
      response_type: "code",
      redirect_uri: redirect,
      scope: "openid profile email groups offline_access",
      state: "s",
      ...(verifier === null
        ? {}
        : {
            code_challenge: createHash("sha256").update(verifier).digest("base64url"),
            code_challenge_method: "S256",
          }),
      ...more,
    }).toString();
    return url;
  }

  async function grant(body: Record<string, string>) {
    const answer = await fetch(`${idp.issuer}/token`, {
      method: "POST",
      body: new URLSearchParams({ client_id: cliClient, ...body }),
    });
    return (await answer.json()) as Record<string, string>;
  }

  it("log in from a command line on any loopback port, with PKCE, and refresh", async () => {
    const verifier = "v".repeat(64);
    const back = await authorize(new Browser(), authorization(verifier), engineer.subject);
    const code = back.searchParams.get("code") ?? "";
    expect(
      await grant({
        grant_type: "authorization_code",
        code,
        redirect_uri: redirect,
        code_verifier: "w".repeat(64),
      }),
    ).toMatchObject({
      error: "invalid_grant",
    });
    const second = await authorize(new Browser(), authorization(verifier), engineer.subject);
    const tokens = await grant({
      grant_type: "authorization_code",
      code: second.searchParams.get("code") ?? "",
      redirect_uri: redirect,
      code_verifier: verifier,
    });
    const { payload } = await verify(tokens.access_token ?? "");
    expect(payload).toMatchObject({
      sub: engineer.subject,
      client_id: cliClient,
      groups: engineer.groups,
      email: engineer.email,
      auth_time: expect.any(Number),
    });
    const fresh = await grant({ grant_type: "refresh_token", refresh_token: tokens.refresh_token ?? "" });
    const { payload: again } = await verify(fresh.access_token ?? "");
    // It is the same login: a refreshed token is not a fresh one.
    expect([again.sub, again.auth_time]).toEqual([engineer.subject, payload.auth_time]);
  });

  it("need PKCE, a client that is known, and its own address", async () => {
    for (const url of [
      authorization(null),
      authorization("v".repeat(64), { client_id: "stranger" }),
      authorization("v".repeat(64), { redirect_uri: "https://evil.example/callback" }),
    ]) {
      const answer = await new Browser().request(url.href);
      const told = `${answer.headers.get("location")} ${await answer.text()}`;
      expect(told).toMatch(/error|did not work/);
      expect(told).not.toContain("code=");
    }
  });

  it("log in with a device code", async () => {
    const begun = await fetch(`${idp.issuer}/device/auth`, {
      method: "POST",
      body: new URLSearchParams({ client_id: cliClient, scope: "openid groups offline_access" }),
    });
    const { device_code: device, verification_uri_complete: address } = (await begun.json()) as Record<
      string,
      string
    >;
    const wait = { grant_type: "urn:ietf:params:oauth:grant-type:device_code", device_code: device ?? "" };
    expect((await grant(wait)).error).toBe("authorization_pending");
    const browser = new Browser();
    let page = await browser.open(address ?? "");
    // The code comes with the address; the page sends it on by itself in a browser with scripts, which these pages do without.
    for (let steps = 0; steps < 4 && !page.text.includes("is logged in"); steps++)
      page = page.text.includes("Who are you?")
        ? await browser.submit(page, { subject: approver.subject })
        : await browser.submit(page, page.text.includes('name="confirm"') ? { confirm: "yes" } : {});
    expect(page.text).toContain("is logged in");
    const { payload } = await verify((await grant(wait)).access_token ?? "");
    expect(payload).toMatchObject({
      sub: approver.subject,
      groups: approver.groups,
      auth_time: expect.any(Number),
    });
  });

  it("agents have no hands: nobody can pick one", async () => {
    const browser = new Browser();
    await expect(authorize(browser, authorization("v".repeat(64)), supportAgent.subject)).rejects.toThrow(
      /over/,
    );
  });

  it("its pages load nothing from elsewhere and run nothing", async () => {
    const browser = new Browser();
    const page = await browser.open(authorization("v".repeat(64)).href);
    expect(page.text).toContain("Who are you?");
    expect(page.text).not.toMatch(/<script|https?:\/\/(?!127\.0\.0\.1)|@import/);
    expect(page.headers.get("content-security-policy")).toMatch(/^default-src 'none'; style-src 'sha256-/);
    const broken = await browser.open(`${idp.issuer}/auth?client_id=%3Cimg%20onerror%3Dx%3E`);
    expect(broken.text).not.toContain("<img");
  });
});
