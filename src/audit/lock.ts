/** One writer a log: a SQLite file held in an exclusive transaction. The kernel frees it when the process ends, however it ends. */
import { DatabaseSync } from "node:sqlite";
import { AuditOpenError } from "./errors.ts";

export interface Lock {
  release(): void;
}

/** Takes the lock or throws AuditOpenError AUDIT_LOCKED at once. */
export function takeLock(path: string): Lock {
  let db: DatabaseSync;
  try {
    db = new DatabaseSync(path, { timeout: 0 });
  } catch (error) {
    throw new AuditOpenError("AUDIT_IO", `cannot open the lock file ${path}`, { cause: error });
  }
  try {
    db.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    db.close();
    const busy = error instanceof Error && /locked|busy/i.test(error.message);
    if (!busy) throw new AuditOpenError("AUDIT_IO", `cannot lock ${path}`, { cause: error });
    throw new AuditOpenError(
      "AUDIT_LOCKED",
      `another process is writing this audit log (${path}): stop it, or give this gateway its own audit.dir or node name`,
      { cause: error },
    );
  }
  return {
    release() {
      db.close();
    },
  };
}
