/** Tokens of workloads and agents, shaped as their issuers make them, through the presets of postern.yaml. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Principal } from "../../src/facts/principal.ts";
import { createIdentity, type Identity } from "../../src/identity/index.ts";
import { minimal, problemsOf, settingsOf } from "../config/support.ts";
import { input, policy } from "../policy/support.ts";
import { sendJson, startTestIdp, type TestIdp } from "../support/idp.ts";
import { refused } from "./helpers.ts";

let idp: TestIdp;
let identity: Identity | null = null;
beforeAll(async () => {
  idp = await startTestIdp({ algorithm: "RS256" });
});
afterAll(() => idp.close());
afterEach(() => {
  identity?.close();
  identity = null;
});

const now = () => Math.floor(Date.now() / 1000);
const kid = () => idp.publicJwk().kid;
const yaml = (provider: string) =>
  `${minimal("identity")}identity:\n  providers:\n    - { name: w, type: oidc, audience: postern, ${provider} }\n`;

/** The principal of a token with these claims, under a provider of postern.yaml whose keys are the test's. */
async function principalOf(
  provider: string,
  claims: object,
  header: object = { alg: "RS256", typ: "JWT", kid: kid() },
): Promise<Principal> {
  const { providers } = await settingsOf(yaml(`${provider}, jwks: "${idp.jwksUri}"`));
  identity?.close();
  identity = await createIdentity(providers);
  return identity.authenticate(idp.signRaw(header, claims));
}

describe("GitHub Actions", () => {
  const claims = (changes: object = {}) => ({
    jti: "0b2ad2b6-7c5f-4b9b-8f9b-6b8f6f3e6f5d",
    sub: "repo:acme/shop:environment:production",
    environment: "production",
    aud: "postern",
    ref: "refs/heads/main",
    sha: "d6fd1e0b1f3b3b7a4f0d9c1f6b2a1e0c9d8e7f6a",
    repository: "acme/shop",
    repository_owner: "acme",
    repository_owner_id: "65",
    run_id: "11111",
    run_number: "10",
    run_attempt: "2",
    repository_visibility: "private",
    repository_id: "74",
    actor_id: "12",
    actor: "octocat",
    workflow: "deploy",
    head_ref: "",
    base_ref: "",
    event_name: "push",
    ref_protected: "true",
    ref_type: "branch",
    workflow_ref: "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
    job_workflow_ref: "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
    runner_environment: "github-hosted",
    iss: "https://token.actions.githubusercontent.com",
    nbf: now() - 5,
    exp: now() + 300,
    iat: now(),
    ...changes,
  });
  const header = () => ({ typ: "JWT", alg: "RS256", x5t: "HyqIJD3mJgYvgVpz", kid: kid() });
  const provider = `preset: github-actions, require: ['claims.repository_owner_id == "65"']`;

  test("is a service with groups of its repository, ref, environment and workflow", async () => {
    expect(await principalOf(provider, claims(), header())).toMatchObject({
      subject: "repo:acme/shop:environment:production",
      issuer: "https://token.actions.githubusercontent.com",
      kind: "service",
      actor: [],
      groups: [
        "repo/acme/shop",
        "ref/acme/shop/refs/heads/main",
        "environment/acme/shop/production",
        "workflow/acme/shop/.github/workflows/deploy.yml@refs/heads/main",
      ],
    });
  });

  test("without an environment there is no group of it", async () => {
    const { environment: _, ...rest } = claims({ sub: "repo:acme/shop:ref:refs/heads/main" }) as {
      environment?: string;
    };
    const { groups } = await principalOf(provider, rest);
    expect(groups.some((group) => group.startsWith("environment"))).toBe(false);
  });

  test("of somebody else's repository, or without the claim, it is refused", async () => {
    await refused(principalOf(provider, claims({ repository_owner_id: "66" })), "TOKEN_NOT_ADMITTED");
    const { repository_owner_id: _, ...rest } = claims() as { repository_owner_id?: string };
    await refused(principalOf(provider, rest), "TOKEN_NOT_ADMITTED");
    await refused(principalOf(provider, claims({ aud: "https://github.com/acme" })), "TOKEN_AUDIENCE");
    await refused(
      principalOf(provider, claims({ iss: "https://token.actions.githubusercontent.com/acme" })),
      "TOKEN_ISSUER",
    );
  });

  test("the preset asks for a condition", async () => {
    const problems = await problemsOf(yaml("preset: github-actions"));
    expect(problems.join()).toContain("this issuer gives tokens to anybody");
  });

  test("groups of one's own, for one branch of one repository", async () => {
    const own = `${provider}, groups_from: [{ group: deployers, when: 'claims.repository == "acme/shop" && claims.ref == "refs/heads/main"' }]`;
    expect((await principalOf(own, claims())).groups).toContain("deployers");
    expect((await principalOf(own, claims({ ref: "refs/heads/dev" }))).groups).not.toContain("deployers");
  });
});

describe("GitLab CI", () => {
  const claims = (changes: object = {}) => ({
    namespace_id: "72",
    namespace_path: "my-group",
    project_id: "20",
    project_path: "my-group/my-project",
    user_id: "1",
    user_login: "sample-user",
    user_email: "sample-user@example.com",
    user_identities: [{ provider: "github", extern_uid: "2435223452345" }],
    pipeline_id: "574",
    pipeline_source: "push",
    job_id: "302",
    ref: "feature-branch-1",
    ref_type: "branch",
    ref_path: "refs/heads/feature-branch-1",
    ref_protected: "false",
    groups_direct: ["mygroup/mysubgroup"],
    environment: "test-environment2",
    environment_protected: "false",
    deployment_tier: "testing",
    runner_id: 1,
    runner_environment: "self-hosted",
    sha: "714a629c0b401fdce83e847fc9589983fc6f46bc",
    project_visibility: "public",
    ci_config_ref_uri: "gitlab.example.com/my-group/my-project//.gitlab-ci.yml@refs/heads/main",
    jti: "235b3a54-b797-45c7-ae9a-f72d7bc6ef5b",
    iss: "https://gitlab.example.com",
    iat: now(),
    nbf: now() - 5,
    exp: now() + 3600,
    sub: "project_path:my-group/my-project:ref_type:branch:ref:feature-branch-1",
    aud: "postern",
    ...changes,
  });

  test("of one's own GitLab", async () => {
    const provider = "preset: gitlab-ci, issuer: https://gitlab.example.com";
    expect(await principalOf(provider, claims(), { kid: kid(), typ: "JWT", alg: "RS256" })).toMatchObject({
      kind: "service",
      email: "sample-user@example.com",
      groups: [
        "project/my-group/my-project",
        "ref/my-group/my-project/branch/feature-branch-1",
        "environment/my-group/my-project/test-environment2",
      ],
    });
    const protectedRef = await principalOf(provider, claims({ ref: "main", ref_protected: "true" }));
    expect(protectedRef.groups).toContain("protected/my-group/my-project");
  });

  test("gitlab.com asks for a condition", async () => {
    expect((await problemsOf(yaml("preset: gitlab-ci"))).join()).toContain("to anybody");
    const provider = `preset: gitlab-ci, require: ['claims.namespace_id == "72"']`;
    expect((await principalOf(provider, claims({ iss: "https://gitlab.com" }))).kind).toBe("service");
    await refused(
      principalOf(provider, claims({ iss: "https://gitlab.com", namespace_id: "7" })),
      "TOKEN_NOT_ADMITTED",
    );
  });
});

describe("Kubernetes projected tokens", () => {
  const provider = "preset: kubernetes, issuer: https://kubernetes.default.svc.cluster.local";
  const claims = (changes: object = {}) => ({
    aud: ["postern"],
    exp: now() + 3607,
    iat: now(),
    iss: "https://kubernetes.default.svc.cluster.local",
    jti: "6ee1ff1c-4c0e-4ac7-b1b5-2d5cd2b9b4b5",
    "kubernetes.io": {
      namespace: "shop",
      node: { name: "node-1", uid: "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1" },
      pod: { name: "worker-5c7d", uid: "5e0bd49b-f040-43b0-99b7-22765a53f7f3" },
      serviceaccount: { name: "reporter", uid: "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798" },
      warnafter: now() + 3000,
    },
    nbf: now(),
    sub: "system:serviceaccount:shop:reporter",
    ...changes,
  });

  test("without a typ, as the API server makes them", async () => {
    expect(await principalOf(provider, claims(), { alg: "RS256", kid: kid() })).toMatchObject({
      subject: "system:serviceaccount:shop:reporter",
      kind: "service",
      groups: ["namespace/shop", "serviceaccount/shop/reporter"],
    });
  });

  test("what is no service account is refused", async () => {
    await refused(principalOf(provider, claims({ sub: "system:admin" })), "TOKEN_NOT_ADMITTED");
  });

  test("one made for the API server is refused", async () => {
    await refused(
      principalOf(provider, claims({ aud: ["https://kubernetes.default.svc"] })),
      "TOKEN_AUDIENCE",
    );
  });
});

describe("SPIFFE JWT-SVIDs", () => {
  const provider = "preset: spiffe-jwt, issuer: spiffe://prod.example.org";
  const claims = (changes: object = {}) => ({
    aud: ["postern"],
    exp: now() + 300,
    sub: "spiffe://prod.example.org/ns/shop/sa/reporter",
    ...changes,
  });
  const header = (changes: object = {}) => ({ alg: "RS256", kid: kid(), ...changes });

  test("need neither issuer nor iat, and the path is a group", async () => {
    const principal = await principalOf(provider, claims(), header({ typ: "JOSE" }));
    expect(principal).toMatchObject({
      subject: "spiffe://prod.example.org/ns/shop/sa/reporter",
      issuer: "spiffe://prod.example.org",
      kind: "service",
      groups: ["ns/shop/sa/reporter"],
    });
    expect(principal.token.issued).toBeNull();
  });

  test("as SPIRE makes them, with iat and an issuer of its discovery provider", async () => {
    const svid = claims({ iat: now(), iss: "https://oidc.prod.example.org" });
    expect((await principalOf(provider, svid, header({ typ: "JWT" }))).token.issued).toBe(svid.exp - 300);
  });

  test("keys marked jwt-svid in a bundle, and those marked x509-svid not", async () => {
    for (const [use, fine] of [
      ["jwt-svid", true],
      ["x509-svid", false],
    ] as const) {
      idp.override("/bundle", (_, response) =>
        sendJson(response, {
          keys: [{ ...idp.publicJwk(), use, alg: undefined }],
          spiffe_sequence: 1,
          spiffe_refresh_hint: 300,
        }),
      );
      const { providers } = await settingsOf(yaml(`${provider}, jwks: "${idp.issuer}/bundle"`));
      const one = await createIdentity(providers);
      const attempt = one.authenticate(idp.signRaw(header(), claims()));
      if (fine) expect((await attempt).kind).toBe("service");
      else await refused(attempt, "TOKEN_SIGNATURE");
      one.close();
    }
  });

  test.each([
    ["another trust domain", { sub: "spiffe://evil.example.org/ns/shop" }, "TOKEN_ISSUER"],
    ["a trust domain that only begins alike", { sub: "spiffe://prod.example.org.evil/x" }, "TOKEN_ISSUER"],
    ["no SPIFFE ID", { sub: "reporter" }, "TOKEN_ISSUER"],
    ["dot segments", { sub: "spiffe://prod.example.org/a/../b" }, "TOKEN_ISSUER"],
    ["upper case in the trust domain", { sub: "spiffe://PROD.example.org/a" }, "TOKEN_ISSUER"],
    ["another audience", { aud: ["other"] }, "TOKEN_AUDIENCE"],
    ["no end", { exp: undefined }, "TOKEN_CLAIMS"],
  ] as const)("%s", async (_, changes, code) => {
    await refused(principalOf(provider, claims(changes), header()), code);
  });

  test("the issuer must be a trust domain, and the keys must be named", async () => {
    expect(
      (await problemsOf(yaml(`preset: spiffe-jwt, issuer: prod.example.org, jwks: "${idp.jwksUri}"`))).join(),
    ).toContain("SPIFFE ID");
    expect((await problemsOf(yaml("preset: spiffe-jwt"))).join()).toContain("the issuer is missing");
  });
});

describe("AWS", () => {
  const issuer = "https://abc123-def456-ghi789-jkl012.tokens.sts.global.api.aws";
  const claims = (changes: object = {}) => ({
    iss: issuer,
    aud: "postern",
    sub: "arn:aws:iam::123456789012:role/DataProcessingRole",
    iat: now(),
    exp: now() + 300,
    jti: "xyz123-def456-ghi789-jkl012",
    "https://sts.amazonaws.com/": {
      aws_account: "123456789012",
      source_region: "us-east-1",
      org_id: "o-abc1234567",
      principal_tags: { environment: "production", team: "data-engineering" },
      lambda_source_function_arn: "arn:aws:lambda:us-east-1:123456789012:function:process-data",
      request_tags: { "job-id": "job-2024-001" },
    },
    ...changes,
  });

  test("outbound identity federation: account and role are groups", async () => {
    expect(await principalOf(`preset: aws, issuer: "${issuer}"`, claims())).toMatchObject({
      subject: "arn:aws:iam::123456789012:role/DataProcessingRole",
      kind: "service",
      groups: ["account/123456789012", "role/DataProcessingRole"],
    });
  });

  test("another account's issuer", async () => {
    await refused(
      principalOf(`preset: aws, issuer: "${issuer}"`, claims({ iss: issuer.replace("abc", "xyz") })),
      "TOKEN_ISSUER",
    );
  });
});

describe("Google Cloud", () => {
  const provider = `preset: gcp, require: ['claims.email.endsWith("@shop-prod.iam.gserviceaccount.com")']`;
  const claims = (changes: object = {}) => ({
    aud: "postern",
    azp: "112010400000000710080",
    email: "reporter@shop-prod.iam.gserviceaccount.com",
    email_verified: true,
    exp: now() + 3600,
    google: {
      compute_engine: {
        instance_creation_timestamp: now() - 86_400,
        instance_id: "152986662232938449",
        instance_name: "vm-1",
        project_id: "shop-prod",
        project_number: "739419398126",
        zone: "us-west1-a",
      },
    },
    iat: now(),
    iss: "https://accounts.google.com",
    sub: "112010400000000710080",
    ...changes,
  });

  test("an instance's identity token", async () => {
    expect(await principalOf(provider, claims())).toMatchObject({
      kind: "service",
      email: "reporter@shop-prod.iam.gserviceaccount.com",
      groups: ["serviceaccount/reporter@shop-prod.iam.gserviceaccount.com", "project/shop-prod"],
    });
  });

  test("a person's token, and somebody else's service account", async () => {
    await refused(principalOf(provider, claims({ email: "eve@gmail.com" })), "TOKEN_NOT_ADMITTED");
    await refused(
      principalOf(provider, claims({ email: "x@evil.iam.gserviceaccount.com" })),
      "TOKEN_NOT_ADMITTED",
    );
    const unverified = await principalOf(provider, claims({ email_verified: false }));
    expect(unverified).toMatchObject({ kind: "agent", email: null, groups: ["project/shop-prod"] });
  });
});

describe("Microsoft Entra", () => {
  const tenant = "aaaabbbb-0000-cccc-1111-dddd2222eeee";
  const v2 = (changes: object = {}) => ({
    aud: "postern",
    iss: `https://login.microsoftonline.com/${tenant}/v2.0`,
    iat: now(),
    nbf: now() - 300,
    exp: now() + 4000,
    aio: "AXQAi/8TAAAA",
    azp: "00001111-aaaa-2222-bbbb-3333cccc4444",
    azpacr: "0",
    name: "Abe Lincoln",
    oid: "00aa00aa-bb11-cc22-dd33-44ee44ee44ee",
    preferred_username: "abeli@example.com",
    rh: "0.ARoA",
    scp: "access_as_user",
    groups: ["b5f52b7d-7b8c-4a0a-8a7e-6d3c6f5d4e3b"],
    sub: "-4cFGDa_-GvxVUhZ7cMQ0Hc5K_ZVmwzJ4xnUoG4tUbk",
    tid: tenant,
    uti: "fqiBqXLPj0eQa82S-IYFAA",
    ver: "2.0",
    ...changes,
  });
  const provider = `preset: entra, issuer: "https://login.microsoftonline.com/${tenant}/v2.0"`;

  test("a person's token: the object's id is the subject", async () => {
    expect(await principalOf(provider, v2())).toMatchObject({
      subject: "00aa00aa-bb11-cc22-dd33-44ee44ee44ee",
      kind: "human",
      actor: [],
      groups: ["b5f52b7d-7b8c-4a0a-8a7e-6d3c6f5d4e3b"],
    });
  });

  test("an application's token: its roles are groups", async () => {
    const {
      scp: _,
      groups: __,
      ...rest
    } = v2({ idtyp: "app", roles: ["Data.Read"] }) as { scp?: string; groups?: unknown };
    expect(await principalOf(provider, rest)).toMatchObject({ kind: "service", groups: ["role/Data.Read"] });
  });

  test("neither scope nor idtyp: an agent, the most restricted", async () => {
    const { scp: _, ...rest } = v2() as { scp?: string };
    expect((await principalOf(provider, rest)).kind).toBe("agent");
  });

  test("more than 200 groups are refused, not forgotten", async () => {
    const { groups: _, ...rest } = v2({
      _claim_names: { groups: "src1" },
      _claim_sources: { src1: { endpoint: "https://graph.windows.net/x/getMemberObjects" } },
    }) as { groups?: unknown };
    await refused(principalOf(provider, rest), "GROUPS_OVERAGE");
  });

  /** As learn.microsoft.com shows the token of an agent that acts by itself. */
  const agentToken = (changes: object = {}) => ({
    aud: "postern",
    iss: `https://sts.windows.net/${tenant}/`,
    iat: now(),
    nbf: now(),
    exp: now() + 3600,
    aio: "Y2JgYGhn1nzm",
    appid: "aaaaaaaa-1111-2222-3333-444444444444",
    appidacr: "2",
    idp: `https://sts.windows.net/${tenant}/`,
    idtyp: "app",
    oid: "bbbbbbbb-1111-2222-3333-444444444444",
    rh: "1.AAAAAQ",
    sub: "cccccccc-1111-2222-3333-444444444444",
    tid: tenant,
    uti: "m5RaaRnoFUyp2TbSCAAAAA",
    ver: "1.0",
    xms_act_fct: "3 9 11",
    xms_ftd: "Z5DrW4HFOkR",
    xms_idrel: "7 10",
    xms_sub_fct: "9 3 11",
    xms_tnt_fct: "3 9",
    xms_par_app_azp: "30cf4c22-9985-4ef7-8756-91cc888176bd",
    ...changes,
  });
  const v1 = `issuer: "https://sts.windows.net/${tenant}/"`;

  test("Agent ID: an agent by itself, though idtyp says app", async () => {
    for (const preset of ["entra", "entra-agent"]) {
      const principal = await principalOf(`preset: ${preset}, ${v1}`, agentToken());
      expect(principal).toMatchObject({
        subject: "bbbbbbbb-1111-2222-3333-444444444444",
        kind: "agent",
        actor: [{ subject: "aaaaaaaa-1111-2222-3333-444444444444", issuer: null }],
      });
    }
    const { groups } = await principalOf(`preset: entra-agent, ${v1}`, agentToken());
    expect(groups).toEqual(["blueprint/30cf4c22-9985-4ef7-8756-91cc888176bd"]);
  });

  test("Agent ID: an agent for a person is an agent that acts, and its own kinds cannot say otherwise", async () => {
    const onBehalf = agentToken({ idtyp: "user", scp: "access_as_user", xms_sub_fct: "1", xms_idrel: "1" });
    expect(
      await principalOf(`preset: entra, ${v1}, kinds: [{ kind: human, when: "true" }]`, onBehalf),
    ).toMatchObject({
      kind: "agent",
      subject: "bbbbbbbb-1111-2222-3333-444444444444",
      actor: [{ subject: "aaaaaaaa-1111-2222-3333-444444444444", issuer: null }],
    });
  });

  test("an ID token, which has the same issuer, audience and type, is no login", async () => {
    const { azp: _, azpacr: __, scp: ___, ...idToken } = v2() as Record<string, unknown>;
    await refused(principalOf(provider, idToken), "TOKEN_TYPE");
    await refused(principalOf(provider, { ...idToken, azp: "" }), "TOKEN_TYPE");
    await refused(principalOf(provider, { ...idToken, azp: ["a"], appid: null }), "TOKEN_TYPE");
    const { appid: ____, ...agentId } = agentToken() as Record<string, unknown>;
    await refused(principalOf(`preset: entra, ${v1}`, agentId), "TOKEN_TYPE");
  });

  test("entra-agent takes nobody else", async () => {
    const {
      xms_act_fct: _,
      xms_sub_fct: __,
      xms_par_app_azp: ___,
      ...rest
    } = agentToken() as Record<string, unknown>;
    await refused(principalOf(`preset: entra-agent, ${v1}`, rest), "TOKEN_NOT_ADMITTED");
  });
});

describe("Okta", () => {
  const issuer = "https://acme.okta.com/oauth2/default";
  const claims = (changes: object = {}) => ({
    ver: 1,
    jti: "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
    iss: issuer,
    aud: "postern",
    sub: "alice@example.com",
    iat: now(),
    exp: now() + 3600,
    cid: "nmdP1fcyvdVO11AL7ECm",
    uid: "00ujmkLgagxeRrAg20g3",
    scp: ["openid", "email"],
    groups: ["Everyone", "dba"],
    auth_time: now() - 60,
    ...changes,
  });

  test("a person, and a service", async () => {
    expect(
      await principalOf(`preset: okta, issuer: "${issuer}"`, claims(), { kid: kid(), alg: "RS256" }),
    ).toMatchObject({
      subject: "alice@example.com",
      kind: "human",
      groups: ["Everyone", "dba"],
    });
    const { uid: _, ...service } = claims({ sub: "nmdP1fcyvdVO11AL7ECm" }) as { uid?: string };
    expect(await principalOf(`preset: okta, issuer: "${issuer}"`, service)).toMatchObject({
      kind: "service",
      actor: [],
    });
  });
});

describe("agents on behalf of people", () => {
  const provider = 'issuer: https://idp.example.com, kinds: [{ kind: human, when: "!has(claims.act)" }]';
  const claims = (changes: object = {}) => ({
    iss: "https://idp.example.com",
    aud: "postern",
    sub: "alice",
    iat: now(),
    exp: now() + 300,
    ...changes,
  });
  const nest = (depth: number): unknown =>
    depth === 0 ? undefined : { sub: `a${depth}`, act: nest(depth - 1) };
  const at = { alg: "RS256", typ: "at+jwt" };

  test("the chain, nearest first, for the policy to speak of", async () => {
    const act = { sub: "agent-1", iss: "https://agents.example", act: { sub: "orchestrator" } };
    const principal = await principalOf(provider, claims({ act }), { ...at, kid: kid() });
    expect(principal).toMatchObject({
      subject: "alice",
      kind: "agent",
      actor: [
        { subject: "agent-1", issuer: "https://agents.example" },
        { subject: "orchestrator", issuer: null },
      ],
    });
    const rules = policy(`version: 1
default: deny
rules:
  - { name: through-agent-1, when: 'principal.actor.exists(a, a.subject == "agent-1") && principal.subject == "alice"', then: allow }
`);
    const decided = (one: Principal) => rules.decide(input({ principal: one })).verdict;
    expect(decided(principal)).toBe("allow");
    const other = await principalOf(provider, claims({ act: { sub: "agent-2" } }), { ...at, kid: kid() });
    expect(decided(other)).toBe("deny");
  });

  test("may_act is no actor", async () => {
    const principal = await principalOf(provider, claims({ may_act: { sub: "agent-1" } }), {
      ...at,
      kid: kid(),
    });
    expect(principal).toMatchObject({ kind: "human", actor: [] });
  });

  test("the depth is limited, and the limit can be set", async () => {
    const { providers } = await settingsOf(yaml(`${provider}, jwks: "${idp.jwksUri}"`));
    for (const [max, depth, fine] of [
      [4, 4, true],
      [4, 5, false],
      [1, 1, true],
      [1, 2, false],
      [0, 1, false],
    ] as const) {
      const one = await createIdentity(providers, { maxDelegationDepth: max });
      const attempt = one.authenticate(idp.signRaw({ ...at, kid: kid() }, claims({ act: nest(depth) })));
      if (fine) expect((await attempt).actor).toHaveLength(depth);
      else await refused(attempt, "TOKEN_DELEGATION");
      one.close();
    }
  });
});

describe("ID-JAG", () => {
  const server = ["https://postern.example.com"];
  const claims = (changes: object = {}) => ({
    jti: "9e43f81b64a33f20116179",
    iss: "https://acme.idp.example",
    sub: "U019488227",
    aud: "https://postern.example.com",
    client_id: "f53f191f9311af35",
    resource: "https://postern.example.com/mcp",
    scope: "query",
    email: "alice@example.com",
    auth_time: now() - 100,
    iat: now(),
    exp: now() + 300,
    ...changes,
  });
  const header = () => ({ alg: "RS256", typ: "oauth-id-jag+jwt", kid: kid() });

  async function open(extra = "id_jag: true"): Promise<Identity> {
    const { providers } = await settingsOf(
      yaml(`issuer: https://acme.idp.example, ${extra}, jwks: "${idp.jwksUri}"`),
    );
    identity?.close();
    identity = await createIdentity(providers);
    return identity;
  }

  test("is a grant: user, client, scope", async () => {
    const one = await open();
    const grant = await one.verifyGrant(idp.signRaw(header(), claims()), server);
    expect(grant).toMatchObject({
      clientId: "f53f191f9311af35",
      jti: "9e43f81b64a33f20116179",
      scope: "query",
      resource: "https://postern.example.com/mcp",
      principal: {
        subject: "U019488227",
        kind: "agent",
        actor: [{ subject: "f53f191f9311af35", issuer: null }],
      },
    });
  });

  test("is never a login", async () => {
    const one = await open("id_jag: true, token_types: [at+jwt, JWT]");
    await refused(one.authenticate(idp.signRaw(header(), claims({ aud: "postern" }))), "TOKEN_TYPE");
  });

  test("and an access token is never a grant", async () => {
    const one = await open();
    await refused(
      one.verifyGrant(idp.signRaw({ ...header(), typ: "at+jwt" }, claims()), server),
      "TOKEN_TYPE",
    );
  });

  test("a provider that may not vouch so", async () => {
    const one = await open("id_jag: false");
    await refused(one.verifyGrant(idp.signRaw(header(), claims()), server), "TOKEN_ISSUER");
  });

  test.each([
    ["another server's", { aud: "https://other.example.com" }, "TOKEN_AUDIENCE"],
    [
      "for two servers",
      { aud: ["https://postern.example.com", "https://other.example.com"] },
      "TOKEN_AUDIENCE",
    ],
    ["of another issuer", { iss: "https://evil.example" }, "TOKEN_ISSUER"],
    ["without client", { client_id: undefined }, "TOKEN_CLAIMS"],
    ["without jti", { jti: undefined }, "TOKEN_CLAIMS"],
    ["expired", { exp: 1000 }, "TOKEN_EXPIRED"],
    ["bound to a key", { cnf: { jkt: "x" } }, "TOKEN_BOUND"],
  ] as const)("%s", async (_, changes, code) => {
    const one = await open();
    await refused(one.verifyGrant(idp.signRaw(header(), claims(changes)), server), code);
  });

  test("forged", async () => {
    const one = await open();
    const other = await startTestIdp({ algorithm: "RS256" });
    await refused(one.verifyGrant(other.signRaw(header(), claims()), server), "TOKEN_SIGNATURE");
    await other.close();
  });
});

describe("tokens bound to a client certificate", () => {
  const thumbprint = "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2";
  const claims = (cnf: unknown) => ({
    iss: "https://idp.example.com",
    aud: "postern",
    sub: "alice",
    iat: now(),
    exp: now() + 300,
    cnf,
  });
  const open = async () => {
    const { providers } = await settingsOf(yaml(`issuer: https://idp.example.com, jwks: "${idp.jwksUri}"`));
    identity = await createIdentity(providers);
    return identity;
  };
  const sign = (cnf: unknown) => idp.signRaw({ alg: "RS256", typ: "at+jwt", kid: kid() }, claims(cnf));

  test("only with that certificate, each time, and no longer than it", async () => {
    const one = await open();
    const token = sign({ "x5t#S256": thumbprint });
    const until = now() + 100;
    const principal = await one.authenticate(token, { certificate: thumbprint, certificateExpires: until });
    expect(principal.token.expires).toBe(until);
    // The token is in the cache now: without the certificate it is refused all the same.
    await refused(one.authenticate(token), "TOKEN_BOUND");
    await refused(one.authenticate(token, { certificate: `${thumbprint.slice(0, -1)}3` }), "TOKEN_BOUND");
    expect((await one.authenticate(token, { certificate: thumbprint })).token.expires).toBe(claims(null).exp);
  });

  test.each([
    { jkt: "x" },
    { "x5t#S256": thumbprint, jkt: "x" },
    { "x5t#S256": 7 },
    { "x5t#S256": "short" },
    {},
    "x",
    null,
    [],
  ])("cnf %j", async (cnf) => {
    const one = await open();
    await refused(one.authenticate(sign(cnf), { certificate: thumbprint }), "TOKEN_BOUND");
  });
});
