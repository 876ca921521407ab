/** Where AWS credentials come from, in the order of the AWS SDKs: environment, web identity, shared files, container, instance. */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { SecretFault } from "../secretfault.ts";
import { readObject, send } from "./http.ts";
import type { AwsCredentials } from "./sigv4.ts";

export interface CredentialSource {
  /** Rejects with SecretFault. */
  current(): Promise<AwsCredentials>;
}

interface Obtained {
  readonly credentials: AwsCredentials;
  /** Milliseconds since the epoch; null: they do not end. */
  readonly until: number | null;
}

/** Taken anew so long before they end. */
const marginMs = 300_000;
const containerHost = "http://169.254.170.2";
const instanceHost = "http://169.254.169.254";
const metadataTimeoutMs = 2_000;

/** Credentials of this process. `env` is read anew each time; `now`: ms since the epoch. */
export function awsCredentials(
  env: NodeJS.ProcessEnv,
  region: string,
  now: () => number = Date.now,
): CredentialSource {
  let held: Obtained | null = null;
  let pending: Promise<Obtained> | null = null;

  async function obtain(): Promise<Obtained> {
    const found =
      fromEnvironment(env) ??
      (await fromWebIdentity(env, region)) ??
      (await fromSharedFile(env)) ??
      (await fromContainer(env)) ??
      (await fromInstance(env));
    if (found === null)
      throw new SecretFault(
        "no AWS credentials: neither in the environment, nor in a file, nor of a container or instance",
      );
    return found;
  }

  return {
    async current() {
      if (held !== null && held.until !== null && now() < held.until - marginMs) return held.credentials;
      pending ??= obtain()
        .then((next) => {
          held = next;
          return next;
        })
        .catch((error: unknown) => {
          // Until they end the old ones are good.
          if (held !== null && held.until !== null && now() < held.until) return held;
          throw error;
        })
        .finally(() => {
          pending = null;
        });
      return (await pending).credentials;
    },
  };
}

function fromEnvironment(env: NodeJS.ProcessEnv): Obtained | null {
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: session } = env;
  if (id === undefined || id === "" || secret === undefined || secret === "") return null;
  return {
    credentials: { accessKeyId: id, secretAccessKey: secret, sessionToken: session || null },
    until: null,
  };
}

/** IRSA on EKS, and any other web identity: STS AssumeRoleWithWebIdentity, which needs no signature. */
async function fromWebIdentity(env: NodeJS.ProcessEnv, region: string): Promise<Obtained | null> {
  const { AWS_WEB_IDENTITY_TOKEN_FILE: file, AWS_ROLE_ARN: role } = env;
  if (!file || !role) return null;
  const body = new URLSearchParams({
    Action: "AssumeRoleWithWebIdentity",
    Version: "2011-06-15",
    RoleArn: role,
    RoleSessionName: env.AWS_ROLE_SESSION_NAME || "postern",
    WebIdentityToken: (await readSmall(file, "the web identity token")).trim(),
  });
  const endpoint = env.AWS_ENDPOINT_URL_STS || `https://sts.${region}.amazonaws.com`;
  const answer = await send(`${endpoint}/`, "AWS STS", {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded", accept: "application/xml" },
    body: body.toString(),
  });
  if (answer.status !== 200) throw new SecretFault(`AWS STS refused the web identity: HTTP ${answer.status}`);
  const field = (name: string) => new RegExp(`<${name}>([^<]{1,8192})</${name}>`).exec(answer.text)?.[1];
  return obtained(
    field("AccessKeyId"),
    field("SecretAccessKey"),
    field("SessionToken"),
    field("Expiration"),
    "AWS STS",
  );
}

/** `credentials` and `config` of the AWS CLI: keys only; profiles that assume roles or log in are not followed. */
async function fromSharedFile(env: NodeJS.ProcessEnv): Promise<Obtained | null> {
  const profile = env.AWS_PROFILE || "default";
  const home = env.HOME || homedir();
  const places = [
    { path: env.AWS_SHARED_CREDENTIALS_FILE || join(home, ".aws/credentials"), section: profile },
    {
      path: env.AWS_CONFIG_FILE || join(home, ".aws/config"),
      section: profile === "default" ? profile : `profile ${profile}`,
    },
  ];
  for (const { path, section } of places) {
    const text = await readFile(path, "utf8").catch(() => null);
    const values = text === null ? null : sectionOf(text, section);
    const id = values?.get("aws_access_key_id");
    const secret = values?.get("aws_secret_access_key");
    if (id === undefined || secret === undefined) continue;
    const sessionToken = values?.get("aws_session_token") ?? null;
    return { credentials: { accessKeyId: id, secretAccessKey: secret, sessionToken }, until: null };
  }
  return null;
}

function sectionOf(text: string, wanted: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  let inside = false;
  for (const line of text.split(/\r?\n/)) {
    const section = /^\s*\[([^\]]+)\]/.exec(line)?.[1];
    if (section !== undefined) inside = section.trim() === wanted;
    const pair = inside ? /^([A-Za-z_]+)\s*=\s*(\S.*?)\s*$/.exec(line) : null;
    if (pair !== null) values.set((pair[1] ?? "").toLowerCase(), pair[2] ?? "");
  }
  return values;
}

/** ECS and EKS Pod Identity. */
async function fromContainer(env: NodeJS.ProcessEnv): Promise<Obtained | null> {
  const relative = env.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI;
  const full = env.AWS_CONTAINER_CREDENTIALS_FULL_URI;
  const url = relative ? `${containerHost}${relative}` : full || null;
  if (url === null) return null;
  if (!allowedContainerUrl(url))
    throw new SecretFault("AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor a local address");
  const file = env.AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE;
  const token = file
    ? (await readSmall(file, "the container's token")).trim()
    : env.AWS_CONTAINER_AUTHORIZATION_TOKEN;
  const answer = await send(url, "the container's credentials", {
    method: "GET",
    headers: { accept: "application/json", ...(token ? { authorization: token } : {}) },
    timeoutMs: metadataTimeoutMs,
  });
  if (answer.status !== 200) throw new SecretFault(`the container's credentials: HTTP ${answer.status}`);
  return fromJson(answer.text, "the container's credentials");
}

/** As the SDKs: plain http only to loopback and the two link-local addresses of ECS and EKS. */
function allowedContainerUrl(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  if (protocol === "https:") return true;
  const local = ["localhost", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]", "[::1]"].includes(
    hostname,
  );
  return protocol === "http:" && (local || hostname.startsWith("127."));
}

/** IMDSv2 of EC2: a session token first, which a request forged through a proxy cannot have. */
async function fromInstance(env: NodeJS.ProcessEnv): Promise<Obtained | null> {
  if (env.AWS_EC2_METADATA_DISABLED?.toLowerCase() === "true") return null;
  const base = (env.AWS_EC2_METADATA_SERVICE_ENDPOINT || instanceHost).replace(/\/$/, "");
  const what = "the instance's metadata";
  const ask = async (path: string, headers: Record<string, string>, method: "GET" | "PUT" = "GET") => {
    const answer = await send(`${base}/latest/${path}`, what, {
      method,
      headers,
      timeoutMs: metadataTimeoutMs,
    });
    if (answer.status !== 200) throw new SecretFault(`${what}: HTTP ${answer.status}`);
    return answer.text;
  };
  const token = await ask("api/token", { "x-aws-ec2-metadata-token-ttl-seconds": "300" }, "PUT");
  const headers = { "x-aws-ec2-metadata-token": token };
  const role = (await ask("meta-data/iam/security-credentials/", headers)).split("\n")[0]?.trim() ?? "";
  if (!/^[\w+=,.@-]{1,64}$/.test(role)) throw new SecretFault("the instance has no role");
  return fromJson(await ask(`meta-data/iam/security-credentials/${role}`, headers), what);
}

function fromJson(text: string, what: string): Obtained {
  const { AccessKeyId, SecretAccessKey, Token, Expiration } = readObject(text, what);
  return obtained(AccessKeyId, SecretAccessKey, Token, Expiration, what);
}

function obtained(id: unknown, secret: unknown, token: unknown, expiration: unknown, what: string): Obtained {
  const until = typeof expiration === "string" ? Date.parse(expiration) : Number.NaN;
  if (
    typeof id !== "string" ||
    typeof secret !== "string" ||
    typeof token !== "string" ||
    Number.isNaN(until)
  )
    throw new SecretFault(`${what} gave no complete credentials`);
  return { credentials: { accessKeyId: id, secretAccessKey: secret, sessionToken: token }, until };
}

async function readSmall(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch {
    throw new SecretFault(`${what} cannot be read from its file`);
  }
}
