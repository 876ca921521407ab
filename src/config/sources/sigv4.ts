/** AWS Signature Version 4, as query parameters (docs.aws.amazon.com: "Create a signed AWS API request"). */
import { createHash, createHmac } from "node:crypto";

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** null: long-term credentials. */
  readonly sessionToken: string | null;
}

export interface Presign {
  readonly host: string;
  readonly path: string;
  readonly query: readonly (readonly [name: string, value: string])[];
  readonly region: string;
  readonly service: string;
  readonly expiresSeconds: number;
  /** Hex SHA-256 of the body, or the service's word for "not signed". Default: of no body. */
  readonly payload?: string;
  readonly credentials: AwsCredentials;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

const algorithm = "AWS4-HMAC-SHA256";

/** The query string with its signature, for a GET without other signed headers than `host`. */
export function presignedQuery(request: Presign): string {
  const { credentials, region, service } = request;
  const stamp = new Date(request.now).toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const day = stamp.slice(0, 8);
  const scope = `${day}/${region}/${service}/aws4_request`;
  const parameters: (readonly [string, string])[] = [
    ...request.query,
    ["X-Amz-Algorithm", algorithm],
    ["X-Amz-Credential", `${credentials.accessKeyId}/${scope}`],
    ["X-Amz-Date", stamp],
    ["X-Amz-Expires", String(request.expiresSeconds)],
    ...(credentials.sessionToken === null
      ? []
      : [["X-Amz-Security-Token", credentials.sessionToken] as const]),
    ["X-Amz-SignedHeaders", "host"],
  ];
  const canonicalQuery = parameters
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .sort(([a, x], [b, y]) => (a === b ? (x < y ? -1 : 1) : a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
  const path = request.path.split("/").map(encode).join("/");
  const canonical = [
    "GET",
    path,
    canonicalQuery,
    `host:${request.host}`,
    "",
    "host",
    request.payload ?? hex(""),
  ].join("\n");
  const toSign = [algorithm, stamp, scope, hex(canonical)].join("\n");
  const key = [region, service, "aws4_request"].reduce(
    (secret, part) => hmac(secret, part),
    hmac(`AWS4${credentials.secretAccessKey}`, day),
  );
  return `${canonicalQuery}&X-Amz-Signature=${hmac(key, toSign).toString("hex")}`;
}

/** RFC 3986: everything but unreserved characters. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function hex(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
