/** HTTP requests to a gateway whose certificate an authority of one's own has signed: what fetch() cannot be told. */
import { readFileSync } from "node:fs";
import { request as httpsRequest } from "node:https";
import { Readable } from "node:stream";
import { CliError } from "../account/error.ts";

export interface SendInit {
  readonly method: "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly signal: AbortSignal;
}

/**
 * One request; redirects are not followed: a token is for one gateway alone.
 *
 * @param ca PEM file with the only authorities to trust; null: the system's.
 * @throws TypeError as fetch() does when nobody answers; CliError when the file cannot be read.
 */
export function send(url: URL, init: SendInit, ca: string | null): Promise<Response> {
  if (ca === null || url.protocol !== "https:") return fetch(url, { ...init, redirect: "error" });
  const { method, headers, signal, body } = init;
  const length = { "content-length": String(Buffer.byteLength(body)) };
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      url,
      { method, headers: { ...headers, ...length }, signal, ca: readAuthority(ca) },
      (answer) => {
        const status = answer.statusCode ?? 502;
        const type = answer.headers["content-type"];
        const empty = [204, 205, 304].includes(status);
        if (empty) answer.resume();
        else if (status >= 300 && status < 400) request.destroy(new Error("redirected"));
        resolve(
          new Response(empty ? null : Readable.toWeb(answer), {
            status,
            headers: type === undefined ? {} : { "content-type": type },
          }),
        );
      },
    );
    request.on("error", (error) => {
      reject(signal.aborted ? error : new TypeError("fetch failed", { cause: error }));
    });
    request.end(body);
  });
}

function readAuthority(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch {
    throw new CliError(2, `the authority's certificate ${file} cannot be read`);
  }
}
