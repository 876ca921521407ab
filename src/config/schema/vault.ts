/** `vault:` and `store_keys:` of postern.yaml. */
import { z } from "zod";
import { path, secret, text } from "./scalars.ts";

const mount = text("a mount of an auth method", 256);
const authExpected = "{ token: SECRET }, { approle: { role_id, secret_id } } or { kubernetes: { role } }";

export const vault = z
  .strictObject({
    address: text("the URL of Vault", 2048).meta({ description: "https (or http on loopback)." }),
    namespace: text("a namespace", 256).optional(),
    ca: path.optional().meta({ description: "PEM file of the authorities to trust. Default: the system's." }),
    auth: z
      .union(
        [
          z
            .strictObject({
              token: secret.meta({
                description: "Read for every request, e.g. the file that Vault Agent keeps.",
              }),
            })
            .meta({ title: "a token" }),
          z
            .strictObject({
              approle: z.strictObject({
                role_id: secret,
                secret_id: secret.optional(),
                mount: mount.default("approle"),
              }),
            })
            .meta({ title: "AppRole" }),
          z
            .strictObject({
              kubernetes: z.strictObject({
                role: text("a role of the auth method", 256),
                mount: mount.default("kubernetes"),
                token: path
                  .default("/var/run/secrets/kubernetes.io/serviceaccount/token")
                  .meta({ description: "File of the service account's token." }),
              }),
            })
            .meta({ title: "Kubernetes" }),
        ],
        { error: authExpected },
      )
      .meta({ description: "How Postern logs in." }),
  })
  .meta({ description: "HashiCorp Vault, for passwords `{ vault: … }`." });

export const storeKeys = z.array(secret).min(1).max(8).meta({
  description:
    "Keys of 32 bytes (base64 or hex) for secrets that Postern has to store: the first seals, all open. Default: a key of its own beside the audit log's, which one node has.",
});
