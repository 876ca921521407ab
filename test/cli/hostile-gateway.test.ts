/** What the command line gives to a gateway, or an identity provider, that is not what it says: nothing that is good elsewhere. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { audiencesOf, refuseShared, workloadAudience } from "../../src/cli/account/audience.ts";
import { begin } from "../../src/cli/account/begin.ts";
import {
  ask,
  askToken,
  checkIssuer,
  clean,
  gatewayUrl,
  type ProviderInfo,
} from "../../src/cli/account/gateway.ts";
import { discover, loginByBrowser, loginByDevice } from "../../src/cli/account/oidc.ts";
import { type Profile, saveProfile, selectProfile } from "../../src/cli/account/profile.ts";
import { workloadToken } from "../../src/cli/account/workload.ts";
import { openRest } from "../../src/cli/lib/rest.ts";

type Oidc = Extract<Profile, { kind: "oidc" }>;

let home: string;
let told: string;
const servers: Server[] = [];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "postern-hostile-"));
  vi.stubEnv("POSTERN_HOME", home);
  // Opens nothing.
  vi.stubEnv("BROWSER", "true");
  for (const name of [
    "POSTERN_TOKEN",
    "POSTERN_TOKEN_FILE",
    "POSTERN_ID_TOKEN",
    "POSTERN_URL",
    "POSTERN_PROFILE",
  ])
    vi.stubEnv(name, undefined);
  told = "";
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    told += String(text);
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
  rmSync(home, { recursive: true, force: true });
});

interface Seen {
  readonly url: string;
  readonly asked: {
    readonly path: string;
    readonly body: string;
    readonly authorization: string | undefined;
  }[];
}

/** A server that keeps what it is sent. */
async function listen(answer: (request: IncomingMessage, url: string) => unknown): Promise<Seen> {
  const asked: Seen["asked"] = [];
  let url = "";
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    asked.push({
      path: request.url ?? "",
      body: Buffer.concat(chunks).toString(),
      authorization: request.headers.authorization,
    });
    const body = answer(request, url);
    if (typeof body === "string") response.writeHead(302, { location: body }).end();
    else response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, asked };
}

const jwt = (claims: object) =>
  ["e30", Buffer.from(JSON.stringify(claims)).toString("base64url"), "c2ln"].join(".");

const login = (url: string, aud: unknown, over: Partial<Oidc> = {}): Oidc => ({
  v: 1,
  url,
  ca: null,
  provider: "corp",
  subject: "amy",
  kind: "oidc",
  issuer: "https://idp.example",
  clientId: "cli",
  scopes: [],
  resource: null,
  accessToken: jwt({ aud }),
  accessExpires: 9_999_999_999,
  refreshToken: "refresh",
  ...over,
});

const issued = {
  access_token: "pgt_x",
  expires_in: 60,
  id: "x",
  user: "pgt_x",
  expires: "2026-01-01T00:00:00Z",
};
const viaConsole: ProviderInfo = { name: "adfs", type: "saml", login: "" };
const place = (url: string) => ({ url, ca: null });
const base = (url: string) => ({ v: 1 as const, ...place(url), subject: "" });

describe("a gateway's address", () => {
  it.each([
    "http://gateway.example",
    "http://127.0.0.1.evil.example",
    "http://localhost.evil.example:8432",
    "http://[::2]",
    "ftp://gateway.example",
    "file:///etc/passwd",
    "https://amy@gateway.example",
  ])("%s gets nothing", (url) => {
    expect(() => gatewayUrl(url)).toThrow("is not an https address");
  });

  it("is what the gateway itself calls it, but for loopback", () => {
    checkIssuer(place("https://a.example"), { issuer: "https://a.example" });
    checkIssuer(place("http://127.0.0.1:9"), { issuer: "https://a.example" });
    for (const issuer of ["https://b.example", "https://a.example/", "https://a.example:8443", "\u001b[2Jx"])
      expect(() => checkIssuer(place("https://a.example"), { issuer })).toThrow(
        /says that its address is [^\p{Cc}]+$/u,
      );
  });

  it("that sends elsewhere is not followed with a token", async () => {
    const evil = await listen(() => ({}));
    const gateway = await listen(() => `${evil.url}/api/me`);
    const answer = await ask(place(gateway.url), "/api/me", { token: "secret" });
    expect(answer.status).toBe(302);
    expect(gateway.asked[0]?.authorization).toBe("Bearer secret");
    expect(evil.asked).toEqual([]);
  });

  it("gets no token that is kept for another", async () => {
    saveProfile("good", login("https://good.example", "good"));
    selectProfile("good");
    for (const url of ["https://evil.example", "https://good.example:8443", "http://127.0.0.1:9"])
      await expect(openRest({ url }, "usage")).rejects.toThrow("there is no token");
    vi.stubEnv("POSTERN_URL", "https://evil.example");
    await expect(openRest({}, "usage")).rejects.toThrow("there is no token");
    expect((await openRest({ url: "https://good.example" }, "usage")).url).toBe("https://good.example");
  });
});

describe("a token that would be good at another gateway, too", () => {
  const check = (fresh: Profile, ...kept: Profile[]) => {
    for (const [at, one] of kept.entries()) saveProfile(`p${at}`, one);
    refuseShared(
      fresh,
      kept.map((_, at) => `p${at}`),
    );
  };
  const good = login("https://good.example", ["postern", "x"]);

  it.each<[string, Oidc]>([
    ["of the same audience", login("https://evil.example", "postern")],
    ["of one audience more", login("https://evil.example", ["evil", "x"])],
    ["that nobody can read", login("https://evil.example", "evil", { accessToken: "opaque" })],
    ["at another port of the same host", login("https://good.example:8443", "postern")],
  ])("is not sent: %s", (_how, fresh) => {
    expect(() => check(fresh, good)).toThrow("would be good at https://good.example");
  });

  it.each<[string, Profile, Profile[]]>([
    ["of an audience of its own", login("https://other.example", "other"), [good]],
    [
      "of another issuer",
      login("https://other.example", "postern", { issuer: "https://idp2.example" }),
      [good],
    ],
    ["to the gateway that has had it", login("https://good.example", "postern"), [good]],
    [
      "to a second gateway that has had it",
      login("https://two.example", "postern"),
      [good, login("https://two.example", ["postern"])],
    ],
    [
      "when it is the gateway's own",
      {
        ...base("https://other.example"),
        provider: "adfs",
        kind: "gateway",
        accessToken: "pgt_x",
        accessExpires: 1,
      },
      [good],
    ],
  ])("is sent %s", (_how, fresh, kept) => {
    expect(() => check(fresh, ...kept)).not.toThrow();
  });

  it("is not sent to a gateway that had tokens of another audience before", () => {
    const before = login("https://evil.example", "evil");
    expect(() => check(login("https://evil.example", "postern"), good, before)).toThrow("would be good at");
  });
});

describe("a login through the console", () => {
  /** Begins one at a gateway, comes back with a code, and gives what that gateway was sent. */
  async function comeBack(iss: (url: string) => string | null) {
    const gateway = await listen(() => issued);
    const running = begin(viaConsole, place(gateway.url), base(gateway.url), {
      how: "browser",
      fresh: false,
      keep: true,
      issuer: gateway.url,
    });
    running.catch(() => {});
    await vi.waitFor(() => expect(told).toMatch(/ {2}http:\S+/));
    const shown = new URL(/ {2}(http:\S+)/.exec(told)?.[1] ?? "");
    const onward = new URL(shown.searchParams.get("return") ?? "", gateway.url).searchParams;
    const back = new URL(`http://127.0.0.1:${onward.get("port")}/callback?code=stolen`);
    back.searchParams.set("state", onward.get("state") ?? "");
    const named = iss(gateway.url);
    if (named !== null) back.searchParams.set("iss", named);
    await fetch(back);
    return { running, gateway };
  }

  it("shows the code to the gateway that gave it", async () => {
    const { running, gateway } = await comeBack((url) => url);
    expect(await running).toMatchObject({ kind: "gateway", accessToken: "pgt_x" });
    expect(gateway.asked.map(({ path }) => path)).toEqual(["/oauth/token"]);
  });

  it.each<[string, string | null]>([
    ["of another gateway, to which this one sent the browser (mix-up)", "https://good.example"],
    ["of nobody", null],
    ["of nobody in particular", ""],
  ])("shows it no code %s", async (_how, iss) => {
    const { running, gateway } = await comeBack(() => iss);
    await expect(running).rejects.toThrow("completed at another gateway");
    expect(gateway.asked).toEqual([]);
  });

  it("does not begin at a gateway that calls itself another one", async () => {
    const gateway = await listen(() => issued);
    const options = { how: "browser", fresh: false, keep: true, issuer: "https://good.example" } as const;
    await expect(begin(viaConsole, place(gateway.url), base(gateway.url), options)).rejects.toThrow(
      "says that its address is https://good.example",
    );
  });

  it("takes no answer that would move the cursor or end a line", async () => {
    for (const access_token of ["pgt_\u001b[2J", "pgt_x\npgt_y", "", "a b"]) {
      const gateway = await listen(() => ({ ...issued, access_token }));
      await expect(askToken(place(gateway.url), {})).rejects.toThrow("cannot be read");
    }
    expect(clean("a\u001b[2J\u202eb\nc")).toBe("a [2J b c");
  });
});

describe("an identity provider that a gateway names", () => {
  const at = (issuer: string) => ({ issuer, clientId: "cli", scopes: ["openid"], resource: null });
  const metadata = (over: object) => (_request: IncomingMessage, url: string) => ({
    issuer: url,
    authorization_endpoint: `${url}/auth`,
    token_endpoint: `${url}/token`,
    device_authorization_endpoint: `${url}/device`,
    ...over,
  });

  it.each(["http://idp.example", "file:///etc/passwd", "no address", "https://a:b@idp.example"])(
    "%s is not asked",
    async (issuer) => {
      await expect(discover(at(issuer))).rejects.toThrow("cannot be used");
    },
  );

  it("is asked no further when its metadata are another's (RFC 8414 section 3.3)", async () => {
    const idp = await listen(metadata({ issuer: "https://good.example" }));
    await expect(discover(at(idp.url))).rejects.toThrow("the identity provider:");
    expect(idp.asked).toHaveLength(1);
  });

  it.each([
    "file:///usr/bin/true",
    "javascript:alert(1)",
    "http://idp.example/auth",
    "smb://evil.example/share",
    "vscode://x",
  ])("has no browser opened at %s", async (authorization_endpoint) => {
    const idp = await listen(metadata({ authorization_endpoint }));
    const open = vi.fn();
    await expect(loginByBrowser(at(idp.url), () => {}, { open })).rejects.toThrow("cannot be used");
    expect(open).not.toHaveBeenCalled();
  });

  it("may be away for a moment while somebody enters the code (RFC 8628 section 3.5)", async () => {
    let polls = 0;
    const idp = await listen((request, url) => {
      if (request.url === "/device")
        return {
          device_code: "d",
          user_code: "u",
          verification_uri: `${url}/code`,
          expires_in: 60,
          interval: 1,
        };
      if (request.url !== "/token") return metadata({})(request, url);
      polls += 1;
      if (polls === 1) request.socket.destroy();
      return { access_token: "at", token_type: "bearer", expires_in: 60 };
    });
    await expect(loginByDevice(at(idp.url), () => {})).resolves.toMatchObject({ accessToken: "at" });
    expect(polls).toBe(2);
  });

  it("is asked no more for a token where it may not be asked, though somebody enters the code", async () => {
    const idp = await listen((request, url) =>
      request.url === "/device"
        ? {
            device_code: "d",
            user_code: "u",
            verification_uri: `${url}/code`,
            expires_in: 60,
            interval: 1,
          }
        : metadata({ token_endpoint: "http://idp.example/token" })(request, url),
    );
    await expect(loginByDevice(at(idp.url), () => {})).rejects.toThrow("https is required");
  });

  it("shows nobody a page for codes that is no web page", async () => {
    const idp = await listen((request, url) =>
      request.url === "/device"
        ? { device_code: "d", user_code: "u", verification_uri: "javascript:alert(1)", expires_in: 60 }
        : metadata({})(request, url),
    );
    const tell = vi.fn();
    await expect(loginByDevice(at(idp.url), tell)).rejects.toThrow("page for codes cannot be used");
    expect(tell).not.toHaveBeenCalled();
  });

  it.each<[string, object, string | null]>([
    ["names another issuer", {}, "https://evil.example"],
    ["names none, though it says it does", { authorization_response_iss_parameter_supported: true }, null],
  ])("is shown no code when the answer %s (RFC 9207)", async (_how, over, iss) => {
    const idp = await listen(metadata(over));
    let address = "";
    const running = loginByBrowser(at(idp.url), () => {}, {
      open: (url) => {
        address = url;
      },
    });
    running.catch(() => {});
    await vi.waitFor(() => expect(address).not.toBe(""));
    const asked = new URL(address).searchParams;
    const back = new URL(asked.get("redirect_uri") ?? "");
    back.searchParams.set("code", "c");
    back.searchParams.set("state", asked.get("state") ?? "");
    if (iss !== null) back.searchParams.set("iss", iss);
    await fetch(back);
    await expect(running).rejects.toThrow("the login:");
    expect(idp.asked.map(({ path }) => path)).not.toContain("/token");
  });

  it("is sent no code at a token endpoint without TLS", async () => {
    const idp = await listen(metadata({ token_endpoint: "http://idp.example/token" }));
    let address = "";
    const running = loginByBrowser(at(idp.url), () => {}, {
      open: (url) => {
        address = url;
      },
    });
    running.catch(() => {});
    await vi.waitFor(() => expect(address).not.toBe(""));
    const asked = new URL(address).searchParams;
    await fetch(`${asked.get("redirect_uri")}?code=c&state=${asked.get("state")}`);
    await expect(running).rejects.toThrow("https is required");
  });
});

describe("a workload's token", () => {
  it("is for the gateway's own name, for postern, or for whom the caller says", () => {
    const audience = (offered: string[], wanted?: string) => () =>
      workloadAudience(offered, "https://postern.example.com", wanted);
    expect(audience(["postern", "https://postern.example.com/x"])()).toBe("https://postern.example.com/x");
    expect(audience(["other", "postern"])()).toBe("postern");
    expect(audience(["api://x"], "api://x")()).toBe("api://x");
    for (const offered of [
      ["sts.amazonaws.com"],
      ["https://postern.example.com.evil.example"],
      ["vault", "POSTERN"],
      [],
    ])
      expect(audience(offered)).toThrow("not its own name");
    expect(audience(["postern"], "sts.amazonaws.com")).toThrow("takes no token for");
  });

  it("is not asked of GitHub for a name that is another's", async () => {
    const github = await listen(() => ({ value: jwt({ aud: "x" }) }));
    vi.stubEnv("ACTIONS_ID_TOKEN_REQUEST_URL", `${github.url}/?v=1`);
    vi.stubEnv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "secret");
    const provider = (audience: string[]): ProviderInfo => ({
      name: "github",
      type: "oidc",
      issuer: "https://token.actions.githubusercontent.com",
      client_id: null,
      scopes: [],
      resource: null,
      audience,
      login: null,
    });
    const url = "https://evil.example";
    const options = { how: "ci", fresh: false, keep: true, issuer: url } as const;
    await expect(begin(provider(["sts.amazonaws.com"]), place(url), base(url), options)).rejects.toThrow(
      "not its own name",
    );
    expect(github.asked).toEqual([]);
    expect(await begin(provider(["postern"]), place(url), base(url), options)).toMatchObject({
      audience: "postern",
    });
    expect(github.asked.map(({ path }) => path)).toEqual(["/?v=1&audience=postern"]);
  });

  it("of a pod is not sent where it is not for", async () => {
    const file = join(home, "token");
    const read = async (token: string) => {
      writeFileSync(file, token);
      return workloadToken("postern", {}, [file]);
    };
    for (const token of [
      jwt({ aud: ["https://kubernetes.default.svc"] }),
      jwt({}),
      jwt({ aud: 7 }),
      "opaque",
      "a.!.c",
    ])
      await expect(read(token)).rejects.toThrow("is not for");
    const good = jwt({ aud: ["x", "postern"] });
    expect((await read(good)).token).toBe(good);
    expect(audiencesOf(jwt([1]))).toBeNull();
  });
});
