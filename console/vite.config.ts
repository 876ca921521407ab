import { resolve } from "node:path";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/**
 * The console's build: hashed files under /assets, nothing inline, so that it runs under `default-src 'self'`.
 * scripts/console.mjs calls it; `vite console` serves it for development, with the API of POSTERN_API behind it.
 */
export default defineConfig(() => {
  const api = process.env.POSTERN_API ?? "http://127.0.0.1:8432";
  return {
    root: import.meta.dirname,
    plugins: [react()],
    logLevel: "warn",
    build: {
      outDir: resolve(import.meta.dirname, "../dist/console"),
      emptyOutDir: true,
      target: "es2023",
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
      // On a busy machine the build would speak of the time of its plugins.
      rolldownOptions: { checks: { pluginTimings: false } },
    },
    server: {
      host: "127.0.0.1",
      proxy: Object.fromEntries(["/api", "/login", "/saml", "/oauth"].map((path) => [path, { target: api }])),
    },
  };
});
