/** PostgreSQL refuses to run as root: the OS user it runs as then, and which folders that user can reach. */
import { readFileSync, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";

export interface OsUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * The user PostgreSQL must run as when this process is root; null when this process may run it itself (not root, or
 * Windows, where PostgreSQL drops rights on its own). initdb asks for the user's name, so it must be in the user list.
 * Throws an Error when root finds none.
 */
export function postgresUser(passwd: string = "/etc/passwd"): OsUser | null {
  if (process.getuid?.() !== 0) return null;
  const users = new Map<string, OsUser>();
  for (const line of readFileSync(passwd, "utf8").split("\n")) {
    const [name = "", , uid = "", gid = ""] = line.split(":");
    if (/^\d+$/.test(uid) && /^\d+$/.test(gid) && Number(uid) !== 0)
      users.set(name, { name, uid: Number(uid), gid: Number(gid) });
  }
  for (const name of ["postgres", "nobody", "daemon"]) {
    const user = users.get(name);
    if (user !== undefined) return user;
  }
  const [first] = users.values();
  if (first === undefined)
    throw new Error(`PostgreSQL does not run as root, and ${passwd} names no other user`);
  return first;
}

/** Whether `user` may enter `folder` and everything above it, by the mode bits. */
export function canEnter(folder: string, user: OsUser): boolean {
  let path = realpathSync(folder);
  for (;;) {
    const stat = statSync(path);
    const bit = stat.uid === user.uid ? 0o100 : stat.gid === user.gid ? 0o010 : 0o001;
    if ((stat.mode & bit) === 0) return false;
    const parent = dirname(path);
    if (parent === path) return true;
    path = parent;
  }
}
