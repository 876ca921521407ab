/** A plain HTTP server for tests that keeps what it was asked. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

export interface FakeHttp {
  readonly url: string;
  readonly asked: Asked[];
  close(): Promise<void>;
}

/** `answer` gives status and body; an object goes out as JSON. null: the connection is cut. */
export async function fakeHttp(
  answer: (asked: Asked) => { status?: number; body?: unknown } | null,
): Promise<FakeHttp> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const one = {
        method: request.method ?? "",
        path: request.url ?? "",
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      };
      asked.push(one);
      const said = answer(one);
      if (said === null) {
        response.destroy();
        return;
      }
      const text = typeof said.body === "string" ? said.body : JSON.stringify(said.body ?? {});
      response.writeHead(said.status ?? 200).end(text);
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}
