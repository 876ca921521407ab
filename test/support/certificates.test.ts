import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { type Certificate, createAuthority, selfSigned } from "./certificates.ts";

for (const kind of ["rsa", "ec", "ed25519"] as const) {
  test(`a ${kind} authority signs certificates that OpenSSL accepts for their hosts`, async () => {
    const authority = createAuthority({ key: kind });
    const leaf = authority.issue({ key: kind, hash: "sha384" });
    const parsed = new X509Certificate(leaf.cert);
    const root = new X509Certificate(authority.cert);
    expect(root.ca).toBe(true);
    expect(root.verify(root.publicKey)).toBe(true);
    expect(parsed.verify(root.publicKey)).toBe(true);
    expect(parsed.checkHost("localhost")).toBe("localhost");
    expect(parsed.checkIP("127.0.0.1")).toBe("127.0.0.1");
    expect(parsed.checkHost("db.example.com")).toBeUndefined();
    expect(await handshake(leaf, authority.cert)).toBe(null);
    expect(await handshake(authority.issue({ until: 0 }), authority.cert)).toBe("CERT_HAS_EXPIRED");
    expect(await handshake(authority.issue({ hosts: ["other.example"] }), authority.cert)).toBe(
      "ERR_TLS_CERT_ALTNAME_INVALID",
    );
    expect(await handshake(leaf, createAuthority().cert)).toMatch(/UNABLE_TO|SIGNATURE/);
    expect(await handshake(selfSigned({ key: kind }), authority.cert)).toMatch(/SELF_SIGNED/);
  });
}

async function handshake(server: Certificate, ca: string): Promise<string | null> {
  const listener = createServer({ cert: server.cert, key: server.key }, (socket) => socket.end());
  listener.on("tlsClientError", () => undefined);
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as { port: number };
  const socket: TLSSocket = connect({ host: "127.0.0.1", port, ca, servername: "" });
  try {
    await once(socket, "secureConnect");
    return null;
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    socket.destroy();
    listener.close();
  }
}
