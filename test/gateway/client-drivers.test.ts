import pg from "pg";
import postgres from "postgres";
import { afterEach, describe, expect, it } from "vitest";
import type { AuthenticatedClient } from "../../src/gateway/ports.ts";
import {
  encodeAuthenticationOk,
  encodeBackend,
  encodeBackendKeyData,
  encodeParameterStatus,
  encodeReadyForQuery,
} from "../../src/protocol/index.ts";
import { type Bench, bench, certificate, goodToken } from "./client-support.ts";

/** Just enough of a server for a driver to be content: every message of a query is answered with an empty result. */
function serve(client: AuthenticatedClient): void {
  const { socket } = client;
  socket.write(
    Buffer.concat([
      encodeAuthenticationOk(),
      encodeParameterStatus("server_version", "18.4"),
      encodeParameterStatus("client_encoding", "UTF8"),
      encodeBackendKeyData(1, Buffer.alloc(4, 1)),
      encodeReadyForQuery("I"),
    ]),
  );
  socket.on("data", (chunk: Buffer) => {
    if (chunk[0] !== 0x51) return;
    const empty = encodeBackend({ type: "emptyQueryResponse" });
    socket.write(Buffer.concat([empty, encodeReadyForQuery("I")]));
  });
  socket.on("end", () => socket.end());
  socket.resume();
}

let b: Bench | null = null;
afterEach(async () => {
  await b?.stop();
});

async function start(tls: boolean): Promise<Bench> {
  b = await bench({
    ...(tls ? { tls: certificate, settings: { tls: "required" } } : {}),
    onClient(client) {
      b?.clients.push(client);
      serve(client);
    },
  });
  return b;
}

describe.each([
  ["in plain text", false],
  ["inside TLS", true],
])("drivers %s", (_, secure) => {
  const ssl = { ca: certificate.cert, servername: "localhost" };

  it("node-postgres", async () => {
    const { port, clients, failures } = await start(secure);
    const settings = {
      host: "127.0.0.1",
      port,
      user: "somebody",
      database: "shop",
      ...(secure ? { ssl } : {}),
    };
    const client = new pg.Client({
      ...settings,
      password: goodToken,
      application_name: "driver",
      options: "-c postern.agent=bot -c search_path=sales",
      statement_timeout: 1000,
    });
    await client.connect();
    await client.query("");
    await client.end();
    expect(clients).toHaveLength(1);
    expect(clients[0]).toMatchObject({ user: "somebody", application: "driver", claimed: { agent: "bot" } });
    expect(clients[0]?.tls).toBe(secure ? "TLSv1.3" : null);
    expect(clients[0]?.parameters.get("search_path")).toBe("sales");
    const wrong = new pg.Client({ ...settings, password: "bad" });
    await expect(wrong.connect()).rejects.toMatchObject({ code: "28P01", severity: "FATAL" });
    expect(failures).toMatchObject([{ code: "TOKEN_EXPIRED", user: "somebody" }]);
  });

  it("postgres.js", async () => {
    const { port, clients } = await start(secure);
    const sql = postgres({
      host: "127.0.0.1",
      port,
      user: "somebody",
      database: "shop",
      password: goodToken,
      fetch_types: false,
      max: 1,
      ...(secure ? { ssl } : {}),
    });
    await sql.unsafe("").simple();
    await sql.end();
    expect(clients).toMatchObject([{ application: "postgres.js", database: "shop" }]);
  });
});
