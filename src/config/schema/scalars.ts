/**
 * The scalars of postern.yaml as zod schemas. In this room a zod `error` text says only what was expected; explain.ts puts
 * "what is there" in front of it.
 */
import { z } from "zod";
import { parseAddress, parseDuration, parseSize } from "../units.ts";

/** A text of 1 to `max` bytes without NUL. */
export function text(expected: string, max = 1024) {
  const fits = (value: string) => Buffer.byteLength(value) <= max && !value.includes("\0");
  const long = `${expected}, 1 to ${max} bytes`;
  return z.string({ error: expected }).min(1, { error: expected }).refine(fits, { error: long });
}

export function whole(min: number, max: number) {
  return z
    .int({ error: `a whole number from ${min} to ${max}` })
    .min(min)
    .max(max);
}

export const flag = z.boolean({ error: "true or false" });

/** Bytes: 4MiB, 512KiB, 1GiB or a plain number of bytes. */
export function size(min: number, max: number) {
  const expected = `a size from ${showSize(min)} to ${showSize(max)}, such as 4MiB, 512KiB or a number of bytes`;
  const inRange = (bytes: number | null): bytes is number => bytes !== null && bytes >= min && bytes <= max;
  return z
    .union(
      [z.int().min(0, { error: expected }), z.string().regex(/^\d+(B|KiB|MiB|GiB)?$/, { error: expected })],
      { error: expected },
    )
    .transform((value) => (typeof value === "number" ? value : parseSize(value)))
    .refine(inRange, { error: expected });
}

/** Seconds: 30s, 15m, 8h, 1d or a plain number of seconds. */
export function duration(min: number, max: number) {
  const expected = `a time from ${min}s to ${max}s, such as 30s, 15m, 8h or a number of seconds`;
  const inRange = (seconds: number | null): seconds is number =>
    seconds !== null && seconds >= min && seconds <= max;
  return z
    .union([z.int().min(0, { error: expected }), z.string().regex(/^\d+[smhd]$/, { error: expected })], {
      error: expected,
    })
    .transform((value) => (typeof value === "number" ? value : parseDuration(value)))
    .refine(inRange, { error: expected });
}

const addressExpected = "host:port, [IPv6]:port or unix:/absolute/path, such as 127.0.0.1:6432";
export const address = z
  .string({ error: addressExpected })
  .refine((value) => parseAddress(value) !== null, { error: addressExpected });

const tcpExpected = "host:port or [IPv6]:port, such as 127.0.0.1:8432";
export const tcpAddress = z.string({ error: tcpExpected }).refine(
  (value) => {
    const parsed = parseAddress(value);
    return parsed !== null && "port" in parsed;
  },
  { error: tcpExpected },
);

/** A file's path, relative to the configuration file's folder. */
export const path = text("the path of a file, relative to this file's folder", 4096);
export const folder = text("the path of a folder, relative to this file's folder", 4096);

/** One or a list of texts → a list. */
export function oneOrMore(expected: string) {
  return z
    .union([text(expected), z.array(text(expected)).min(1)], { error: `${expected}, or a list of such` })
    .transform((value) => (typeof value === "string" ? [value] : value));
}

export const secretForms = "{ env: NAME }, { file: PATH } or { command: [PROGRAM, ARGUMENT, …] }";

const secretExpected = `where to read it, not the secret itself: ${secretForms}`;

const env = z
  .strictObject({
    env: z
      .string({ error: "the name of an environment variable" })
      .regex(/^[A-Za-z_]\w*$/, { error: "the name of an environment variable" })
      .meta({ description: "Name of an environment variable." }),
  })
  .meta({ title: "from the environment" });
const file = z
  .strictObject({ file: path.meta({ description: "A file; one line end at its end is cut off." }) })
  .meta({ title: "from a file" });
const command = z
  .strictObject({
    command: z
      .array(z.string({ error: "a text" }), { error: "a list: the program, then its arguments (no shell)" })
      .min(1, { error: "a list: the program, then its arguments (no shell)" })
      .meta({
        description:
          "Program and arguments, run without a shell; what it prints is the secret. At most 10 seconds and 64 KiB.",
      }),
  })
  .meta({ title: "from a command" });
const vaultName = text("a path in Vault", 512);
const vaultExpected =
  "MOUNT/PATH#FIELD, { mount, path, field } of the KV engine, or { database: { role } } or { database: { static_role } }";
const vault = z
  .strictObject({
    vault: z
      .union(
        [
          z
            .string({ error: vaultExpected })
            .regex(/^[^/#]+\/[^#]+(#[^#]+)?$/, { error: vaultExpected })
            .meta({
              description: "`MOUNT/PATH#FIELD` of the KV engine, version 2; without `#FIELD`: `password`.",
            }),
          z
            .strictObject({
              mount: vaultName.default("secret"),
              path: vaultName,
              field: text("the name of a field", 256).default("password"),
              version: z.union([z.literal(1), z.literal(2)], { error: "1 or 2" }).default(2),
            })
            .meta({ title: "a secret of the KV engine" }),
          z
            .strictObject({
              database: z.union(
                [
                  z.strictObject({
                    mount: vaultName.default("database"),
                    role: vaultName.meta({
                      description:
                        "A dynamic role: Vault makes a user for a time, which acts as the login's `user`.",
                    }),
                  }),
                  z.strictObject({
                    mount: vaultName.default("database"),
                    static_role: vaultName.meta({
                      description: "A static role: Vault changes the password of the login's `user`.",
                    }),
                  }),
                ],
                { error: "{ role: NAME } or { static_role: NAME }" },
              ),
            })
            .meta({ title: "a login of the database engine" }),
        ],
        { error: vaultExpected },
      )
      .meta({ description: "In HashiCorp Vault (`vault:` says where that is)." }),
  })
  .meta({ title: "from Vault" });
const rds = z
  .strictObject({
    aws_rds_iam: z
      .union(
        [
          z.literal(true, { error: "true, or { region: NAME }" }),
          z.strictObject({
            region: z
              .string({ error: "an AWS region" })
              .regex(/^[a-z]{2}(-[a-z]+)+-\d$/, { error: "an AWS region such as eu-central-1" }),
          }),
        ],
        { error: "true, or { region: NAME }" },
      )
      .meta({
        description:
          "A token by IAM authentication. Default region: that of the server's name, else AWS_REGION.",
      }),
  })
  .meta({ title: "AWS RDS IAM token" });

/** Where a secret comes from. A secret itself is never written into postern.yaml. */
export const secret = z.union([env, file, command], { error: secretExpected });
/** Where a login's password comes from. */
export const password = z.union([env, file, command, vault, rds], {
  error:
    "where to read it, not the secret itself: { env: NAME }, { file: PATH }, { command: [PROGRAM, ARGUMENT, …] }, { vault: … } or { aws_rds_iam: true }",
});
export type SecretInput = z.output<typeof secret>;
export type PasswordInput = z.output<typeof password>;
export type VaultInput = z.output<typeof vault>["vault"];

function showSize(bytes: number): string {
  for (const [unit, factor] of [
    ["GiB", 1024 ** 3],
    ["MiB", 1024 ** 2],
    ["KiB", 1024],
  ] as const)
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`;
  return `${bytes}B`;
}
