/** What is known of common issuers of workload and agent tokens, as defaults for an OIDC provider of postern.yaml. */
import type { ClaimPaths, GroupRule, KindRule, TokenDialect } from "../identity/settings.ts";

export const presetNames = [
  "github-actions",
  "gitlab-ci",
  "kubernetes",
  "spiffe-jwt",
  "aws",
  "gcp",
  "entra",
  "entra-agent",
  "okta",
] as const;
export type PresetName = (typeof presetNames)[number];

export interface Preset {
  /** null: every customer has one of their own. */
  readonly issuer: string | null;
  readonly algorithms: readonly string[];
  readonly tokenTypes: readonly string[];
  readonly claims: Partial<ClaimPaths>;
  readonly kinds: readonly KindRule[];
  readonly groupsFrom: readonly GroupRule[];
  /** Always asked, besides the operator's own conditions. */
  readonly require: readonly string[];
  readonly dialect: TokenDialect | null;
  /**
   * Issuers that give tokens for any audience to anybody who has an account: without a condition of the operator's own the whole world
   * would get in.
   */
  readonly open: (issuer: string) => boolean;
}

const service: readonly KindRule[] = [{ kind: "service", when: "true" }];
const none = { claims: {}, groupsFrom: [], require: [], dialect: null, open: () => false } as const;
const value = (expression: string): GroupRule => ({ group: { expression }, when: null });
const entraClaims: Partial<ClaimPaths> = { subject: "oid", groups: "groups", agent: "appid" };
const entraGroups = [value('claims.roles.map(role, "role/" + role)')];

const presets: Readonly<Record<PresetName, Preset>> = {
  // docs.github.com: "OpenID Connect reference". Tokens are given to every repository of github.com.
  "github-actions": {
    ...none,
    issuer: "https://token.actions.githubusercontent.com",
    algorithms: ["RS256"],
    tokenTypes: ["JWT"],
    kinds: service,
    groupsFrom: [
      value('"repo/" + claims.repository'),
      value('"ref/" + claims.repository + "/" + claims.ref'),
      value('"environment/" + claims.repository + "/" + claims.environment'),
      value('"workflow/" + claims.job_workflow_ref'),
    ],
    open: () => true,
  },
  // docs.gitlab.com: "OpenID Connect authentication using ID tokens".
  "gitlab-ci": {
    ...none,
    issuer: "https://gitlab.com",
    algorithms: ["RS256"],
    tokenTypes: ["JWT"],
    claims: { email: "user_email" },
    kinds: service,
    groupsFrom: [
      value('"project/" + claims.project_path'),
      value('"ref/" + claims.project_path + "/" + claims.ref_type + "/" + claims.ref'),
      {
        group: { expression: '"protected/" + claims.project_path' },
        when: 'claims.ref_protected == "true" || claims.ref_protected == true',
      },
      value('"environment/" + claims.project_path + "/" + claims.environment'),
    ],
    open: (issuer) => issuer === "https://gitlab.com",
  },
  // kubernetes.io: "Configure service accounts", ServiceAccount token volume projection. Tokens have no `typ`.
  kubernetes: {
    ...none,
    issuer: null,
    algorithms: ["RS256", "ES256"],
    tokenTypes: ["JWT"],
    kinds: service,
    groupsFrom: [
      value('"namespace/" + claims["kubernetes.io"].namespace'),
      value(
        '"serviceaccount/" + claims["kubernetes.io"].namespace + "/" + claims["kubernetes.io"].serviceaccount.name',
      ),
    ],
    require: ['claims.sub.startsWith("system:serviceaccount:")'],
  },
  // SPIFFE JWT-SVID. The path of the ID, without its first slash, is a group.
  "spiffe-jwt": {
    ...none,
    issuer: null,
    algorithms: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"],
    tokenTypes: ["JWT", "JOSE"],
    kinds: service,
    groupsFrom: [value(spiffePath())],
    dialect: "spiffe",
  },
  // docs.aws.amazon.com: "Understanding token claims" of outbound identity federation; one issuer for each account.
  aws: {
    ...none,
    issuer: null,
    algorithms: ["RS256", "ES384"],
    tokenTypes: ["JWT"],
    kinds: service,
    groupsFrom: [
      value('"account/" + claims["https://sts.amazonaws.com/"].aws_account'),
      { group: { expression: 'claims.sub.split(":")[5]' }, when: 'claims.sub.startsWith("arn:aws")' },
    ],
  },
  // cloud.google.com: "Verify the identity of an instance". Google gives such tokens to everybody.
  gcp: {
    ...none,
    issuer: "https://accounts.google.com",
    algorithms: ["RS256"],
    tokenTypes: ["JWT"],
    claims: { agent: "azp" },
    kinds: [
      {
        kind: "service",
        when: 'claims.email_verified == true && claims.email.endsWith(".gserviceaccount.com")',
      },
    ],
    groupsFrom: [
      {
        group: { expression: '"serviceaccount/" + claims.email' },
        when: 'claims.email_verified == true && claims.email.endsWith(".gserviceaccount.com")',
      },
      value('"project/" + claims.google.compute_engine.project_id'),
    ],
    open: () => true,
  },
  // learn.microsoft.com: "Access token claims reference". `sub` differs for each application; `oid` does not.
  entra: {
    ...none,
    issuer: null,
    algorithms: ["RS256"],
    tokenTypes: ["JWT", "at+jwt"],
    claims: entraClaims,
    kinds: [
      { kind: "service", when: 'claims.idtyp == "app"' },
      { kind: "human", when: 'has(claims.scp) && (!has(claims.idtyp) || claims.idtyp == "user")' },
    ],
    groupsFrom: entraGroups,
    dialect: "entra",
  },
  // learn.microsoft.com: "Token claims" of Entra Agent ID: only what an agent identity or an agent's user shows.
  "entra-agent": {
    ...none,
    issuer: null,
    algorithms: ["RS256"],
    tokenTypes: ["JWT", "at+jwt"],
    claims: entraClaims,
    kinds: [],
    groupsFrom: [...entraGroups, value('"blueprint/" + claims.xms_par_app_azp')],
    require: ["has(claims.xms_act_fct) || has(claims.xms_sub_fct) || has(claims.xms_par_app_azp)"],
    dialect: "entra",
  },
  // developer.okta.com: "Access token". `cid` is the client, `uid` is there for people only.
  okta: {
    ...none,
    issuer: null,
    algorithms: ["RS256"],
    tokenTypes: ["JWT", "at+jwt"],
    claims: { agent: "cid" },
    kinds: [
      { kind: "service", when: "claims.cid == claims.sub" },
      { kind: "human", when: "has(claims.uid)" },
    ],
  },
};

/** The text behind the trust domain, as a CEL expression. */
function spiffePath(): string {
  return 'claims.sub.split("/").size() > 3 ? claims.sub.substring(claims.sub.split("/")[2].size() + 10) : ""';
}

export function presetOf(name: PresetName): Preset {
  return presets[name];
}
