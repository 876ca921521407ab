/** `my_activity`: what the audit trail holds of the caller. */
import type { McpServer } from "@modelcontextprotocol/server";
import { z } from "zod";
import type { Caller, McpDeps } from "../deps.ts";
import { answer, denied } from "./result.ts";
import { fixed, readOnly } from "./schema.ts";

const activityArguments = fixed(z.object({ limit: z.int().min(1).max(100).default(20) }));
const activityResult = fixed(
  z.looseObject({
    status: z.enum(["ok", "denied"]),
    statements: z.array(z.unknown()).optional(),
  }),
);

export function registerActivity(server: McpServer, deps: McpDeps, caller: Caller): void {
  server.registerTool(
    "my_activity",
    {
      title: "What you did",
      description: "Your latest statements and what became of them, newest first, from the audit trail.",
      inputSchema: activityArguments,
      outputSchema: activityResult,
      annotations: readOnly,
    },
    async (args) => {
      try {
        const found = await deps.activity?.(caller.principal, args.limit);
        if (found === undefined) return unavailable();
        return answer({
          status: "ok",
          columns: ["time", "database", "sql", "verdict", "code", "outcome", "rows", "request_id"],
          statements: found.map((one) => [
            one.time,
            one.database,
            one.sql,
            one.verdict,
            one.code,
            one.status,
            one.rows,
            one.request,
          ]),
        });
      } catch (error) {
        deps.logger.warn({ err: error }, "activity cannot be read");
        return unavailable();
      }
    },
  );
}

const unavailable = () =>
  denied({
    code: "ACTIVITY_UNAVAILABLE",
    message: "the audit trail cannot be searched at present",
    hint: "Go on without it, or try again later.",
    retryable: true,
  });
