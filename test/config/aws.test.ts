/** RDS IAM tokens: the signature, and each place that credentials come from, as its server sees it. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { awsCredentials } from "../../src/config/sources/awscredentials.ts";
import { rdsToken, regionOf } from "../../src/config/sources/rds.ts";
import { presignedQuery } from "../../src/config/sources/sigv4.ts";
import { clock } from "../identity/helpers.ts";
import { type Asked, type FakeHttp, fakeHttp } from "../support/fakehttp.ts";

let folder = "";
let server: FakeHttp | null = null;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "postern-aws-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
afterEach(async () => {
  await server?.close();
  server = null;
});

async function serve(
  answer: (asked: Asked) => { status?: number; body?: unknown } | null,
): Promise<FakeHttp> {
  server = await fakeHttp(answer);
  return server;
}

const none = {
  AWS_EC2_METADATA_DISABLED: "true",
  AWS_SHARED_CREDENTIALS_FILE: "/nonexistent",
  AWS_CONFIG_FILE: "/nonexistent",
};

describe("the signature", () => {
  test("of the example in the documentation of presigned URLs", () => {
    const query = presignedQuery({
      host: "examplebucket.s3.amazonaws.com",
      path: "/test.txt",
      query: [],
      region: "us-east-1",
      service: "s3",
      expiresSeconds: 86400,
      payload: "UNSIGNED-PAYLOAD",
      credentials: {
        accessKeyId: "AKIAIOSFODNN7EXAMPLE",
        secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        sessionToken: null,
      },
      now: Date.UTC(2013, 4, 24),
    });
    expect(query).toMatch(
      /&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404$/,
    );
  });

  test("an RDS token has the form that RDS expects", async () => {
    const source = rdsToken(
      {
        host: "shop.abc.eu-central-1.rds.amazonaws.com",
        port: 5432,
        user: "app user",
        region: "eu-central-1",
      },
      awsCredentials(
        { AWS_ACCESS_KEY_ID: "AK", AWS_SECRET_ACCESS_KEY: "sk", AWS_SESSION_TOKEN: "a+b/c=" },
        "eu-central-1",
      ),
      () => Date.UTC(2026, 10, 23, 7, 0, 0),
    );
    const token = await source.read();
    expect(token).toMatch(
      /^shop\.abc\.eu-central-1\.rds\.amazonaws\.com:5432\/\?Action=connect&DBUser=app%20user&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F20261123%2Feu-central-1%2Frds-db%2Faws4_request&X-Amz-Date=20261123T070000Z&X-Amz-Expires=900&X-Amz-Security-Token=a%2Bb%2Fc%3D&X-Amz-SignedHeaders=host&X-Amz-Signature=[0-9a-f]{64}$/,
    );
    expect(source.label).not.toContain("shop");
  });

  test("the region in a name", () => {
    expect(regionOf("x.cluster-abc.us-gov-west-1.rds.amazonaws.com")).toBe("us-gov-west-1");
    expect(regionOf("x.abc.cn-north-1.rds.amazonaws.com.cn")).toBe("cn-north-1");
    expect(regionOf("db.internal")).toBeNull();
  });
});

describe("credentials", () => {
  const keys = (id: string, until: string) => ({
    AccessKeyId: id,
    SecretAccessKey: "sk",
    Token: "tok",
    Expiration: until,
  });

  test("from the environment, read anew each time", async () => {
    const env: NodeJS.ProcessEnv = { ...none, AWS_ACCESS_KEY_ID: "A1", AWS_SECRET_ACCESS_KEY: "s" };
    const source = awsCredentials(env, "eu-central-1");
    expect(await source.current()).toEqual({ accessKeyId: "A1", secretAccessKey: "s", sessionToken: null });
    env.AWS_ACCESS_KEY_ID = "A2";
    expect((await source.current()).accessKeyId).toBe("A2");
  });

  test("from the shared file, by profile", async () => {
    const file = join(folder, "credentials");
    await writeFile(
      file,
      "# c\n[default]\naws_access_key_id = D\naws_secret_access_key = d\n\n[prod]\naws_access_key_id=P\naws_secret_access_key=p=1\naws_session_token = t\n",
    );
    const env = { ...none, AWS_SHARED_CREDENTIALS_FILE: file };
    expect((await awsCredentials(env, "r").current()).accessKeyId).toBe("D");
    expect(await awsCredentials({ ...env, AWS_PROFILE: "prod" }, "r").current()).toEqual({
      accessKeyId: "P",
      secretAccessKey: "p=1",
      sessionToken: "t",
    });
    const config = join(folder, "config");
    await writeFile(config, "[profile ci]\naws_access_key_id = C\naws_secret_access_key = c\n");
    expect(
      (await awsCredentials({ ...env, AWS_CONFIG_FILE: config, AWS_PROFILE: "ci" }, "r").current())
        .accessKeyId,
    ).toBe("C");
  });

  test("by web identity (IRSA), kept until five minutes before their end", async () => {
    const file = join(folder, "jwt");
    await writeFile(file, "the-jwt\n");
    const time = clock(Date.UTC(2026, 0, 1));
    let given = 0;
    const { url, asked } = await serve(() => {
      given += 1;
      const until = new Date(time.now() + 3_600_000).toISOString();
      return {
        body: `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>W${given}</AccessKeyId><SecretAccessKey>s/+</SecretAccessKey><SessionToken>t==</SessionToken><Expiration>${until}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
      };
    });
    const env = {
      ...none,
      AWS_WEB_IDENTITY_TOKEN_FILE: file,
      AWS_ROLE_ARN: "arn:aws:iam::1:role/x",
      AWS_ENDPOINT_URL_STS: url,
    };
    const source = awsCredentials(env, "eu-central-1", time.now);
    expect(await source.current()).toEqual({
      accessKeyId: "W1",
      secretAccessKey: "s/+",
      sessionToken: "t==",
    });
    expect(Object.fromEntries(new URLSearchParams(asked[0]?.body))).toEqual({
      Action: "AssumeRoleWithWebIdentity",
      Version: "2011-06-15",
      RoleArn: "arn:aws:iam::1:role/x",
      RoleSessionName: "postern",
      WebIdentityToken: "the-jwt",
    });
    time.advance(3_200_000);
    expect((await source.current()).accessKeyId).toBe("W1");
    time.advance(200_000);
    expect((await Promise.all([source.current(), source.current()])).map((one) => one.accessKeyId)).toEqual([
      "W2",
      "W2",
    ]);
    expect(given).toBe(2);
  });

  test("of a container, with its token from a file", async () => {
    const file = join(folder, "token");
    await writeFile(file, "Bearer x\n");
    const { url, asked } = await serve(() => ({ body: keys("K", "2099-01-01T00:00:00Z") }));
    const env = {
      ...none,
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/v1/credentials`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file,
    };
    expect((await awsCredentials(env, "r").current()).accessKeyId).toBe("K");
    expect(asked[0]).toMatchObject({ method: "GET", path: "/v1/credentials" });
    expect(asked[0]?.headers.authorization).toBe("Bearer x");
  });

  test("a container's address elsewhere is not asked", async () => {
    const env = { ...none, AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://evil.example.com/" };
    await expect(awsCredentials(env, "r").current()).rejects.toThrow("neither https nor a local address");
  });

  test("of an instance, by IMDSv2", async () => {
    const { url, asked } = await serve(({ method, path, headers }) => {
      if (method === "PUT" && path === "/latest/api/token") return { body: "imds-token" };
      if (headers["x-aws-ec2-metadata-token"] !== "imds-token") return { status: 401 };
      return path.endsWith("/security-credentials/")
        ? { body: "my-role" }
        : { body: keys("I", "2099-01-01T00:00:00Z") };
    });
    const env = { ...none, AWS_EC2_METADATA_DISABLED: undefined, AWS_EC2_METADATA_SERVICE_ENDPOINT: url };
    expect((await awsCredentials(env, "r").current()).accessKeyId).toBe("I");
    expect(asked.map(({ path }) => path)).toEqual([
      "/latest/api/token",
      "/latest/meta-data/iam/security-credentials/",
      "/latest/meta-data/iam/security-credentials/my-role",
    ]);
    expect(asked[0]?.headers["x-aws-ec2-metadata-token-ttl-seconds"]).toBe("300");
  });

  test("a role name that is none is not put into an address", async () => {
    const { url } = await serve(({ method }) => (method === "PUT" ? { body: "t" } : { body: "../../x" }));
    const env = { ...none, AWS_EC2_METADATA_DISABLED: undefined, AWS_EC2_METADATA_SERVICE_ENDPOINT: url };
    await expect(awsCredentials(env, "r").current()).rejects.toThrow("no role");
  });

  test("none at all", async () => {
    await expect(awsCredentials(none, "r").current()).rejects.toThrow("no AWS credentials");
  });
});
