/** A message no driver's public interface sends, sent through node-postgres' own queue, so that the session stays in step. */
import type { Client, Connection } from "pg";

/** PostgreSQL's number of version(): pg_proc.dat, the same in every release. */
const versionFunction = 89;

/**
 * Sends FunctionCall (PostgreSQL manual, "Message Formats", FunctionCall (F)) and waits for the answer.
 * Rejects with the server's error, or with node-postgres' complaint about FunctionCallResponse when the function ran.
 */
export function callFunctionByNumber(client: Client): Promise<string> {
  // 'F', Int32 length, Int32 function, no argument formats, no arguments, text result.
  const message = Buffer.alloc(15);
  message.write("F");
  message.writeInt32BE(14, 1);
  message.writeInt32BE(versionFunction, 5);
  return new Promise((resolve, reject) => {
    // node-postgres calls these on whatever query is active (its Submittable interface).
    client.query({
      submit: (connection: Connection) => void connection.stream.write(message),
      handleError: (error: Error) => reject(error),
      handleReadyForQuery: () => resolve("the function ran"),
    });
  });
}
