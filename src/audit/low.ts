/** Lets the calling worker thread step behind everything else on the machine. */
import { setPriority } from "node:os";

/** On Linux the priority of "process 0" is that of the calling thread alone (setpriority(2), "C library/kernel differences"); elsewhere nothing is done. */
export function lowPriority(): void {
  if (process.platform !== "linux") return;
  try {
    setPriority(0, 19);
  } catch {
    // Then it only yields between its steps.
  }
}
