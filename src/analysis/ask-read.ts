/** Reads the server's answer to encodeAsk() message by message. Never throws; keeps no more than its limit. */
import {
  decodeErrorFields,
  decodeParameterDescription,
  decodeReadyForQuery,
  decodeRowDescription,
  type FieldDescription,
  ProtocolError,
  type TransactionStatus,
} from "../protocol/index.ts";
import { type AskForm, askCloses } from "./ask.ts";

export type AskResult =
  | {
      readonly ok: true;
      /** Texts of the rewritten query trees, each a list in parentheses. Of a utility statement it only says that it is one; of an empty one there is none. */
      readonly trees: readonly string[];
      readonly parameterTypes: readonly number[];
      /** What RowDescription says of the result; null: it gives no rows. */
      readonly columns: readonly FieldDescription[] | null;
      /** null: the question ended with Flush. */
      readonly status: TransactionStatus | null;
    }
  | AskFailure;

export interface AskFailure {
  readonly ok: false;
  readonly sqlstate: string;
  /** The server's own text, which may hold values of the statement; or ours. */
  readonly message: string;
  /** All fields of the server's error; empty when the failure is ours. */
  readonly fields: ReadonlyMap<string, string>;
  /** What failed: the settings around the question, or the statement (then the client's own Parse would have failed alike). */
  readonly stage: "settings" | "statement";
  /** The conversation cannot go on: the connection is to be closed. */
  readonly broken: boolean;
  readonly status: TransactionStatus | null;
}

export interface AskReaderOptions {
  readonly form?: AskForm;
  readonly end?: "sync" | "flush";
  /** Characters of all trees together, default 16 Mi. */
  readonly maxTreeLength?: number;
}

/**
 * What became of a message: part of the answer; not part of it (a client's session: it belongs to the client); the answer is
 * complete, and `result` is there.
 */
export type Taken = "taken" | "relay" | "done";

export class AskReader {
  /** null until push() or end() said "done". */
  result: AskResult | null = null;
  readonly #form: AskForm;
  readonly #flush: boolean;
  readonly #maxTreeLength: number;
  readonly #trees: string[] = [];
  #treeLength = 0;
  #phase: "settings" | "statement" | "described" = "settings";
  #parsed = false;
  #parameterTypes: readonly number[] | null = null;
  #columns: readonly FieldDescription[] | null = null;
  #closes = 0;
  #failure: Pick<AskFailure, "sqlstate" | "message" | "fields" | "stage"> | null = null;

  constructor(options: AskReaderOptions = {}) {
    this.#form = options.form ?? "connection";
    this.#flush = this.#form === "transaction" && options.end === "flush";
    this.#maxTreeLength = options.maxTreeLength ?? 16 * 1024 * 1024;
  }

  /**
   * Takes one message of the server.
   * @param type its type byte.
   * @param body what follows its length field; not kept.
   */
  push(type: number, body: Buffer): Taken {
    if (this.result !== null) return "relay";
    try {
      return this.#take(String.fromCharCode(type), body);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return this.#broken("the server's answer cannot be read");
    }
  }

  /** The connection ended. */
  end(): AskResult {
    if (this.result === null) this.#broken("the connection was lost", "08006");
    return this.result ?? failureOf("the connection was lost");
  }

  #take(type: string, body: Buffer): Taken {
    switch (type) {
      case "N":
        this.#notice(body);
        return "taken";
      case "E":
        return this.#error(body);
      case "C":
        // The settings; behind the statement, their way back.
        if (this.#phase === "settings") this.#phase = "statement";
        return "taken";
      case "1":
        if (this.#phase === "statement") this.#parsed = true;
        return "taken";
      case "t":
        if (this.#phase !== "statement" || !this.#parsed)
          return this.#broken("the server's answer is out of order");
        this.#parameterTypes = decodeParameterDescription(body).types;
        return "taken";
      case "T":
      case "n":
        if (this.#phase !== "statement" || this.#parameterTypes === null)
          return this.#broken("the server's answer is out of order");
        this.#columns = type === "T" ? decodeRowDescription(body).fields : null;
        this.#phase = "described";
        return "taken";
      case "3":
        this.#closes++;
        return this.#flush && this.#closes === askCloses ? this.#finish(null) : "taken";
      case "2":
      case "D":
        return "taken";
      case "S":
      case "A":
        return this.#form === "connection" ? "taken" : "relay";
      case "Z":
        return this.#finish(decodeReadyForQuery(body).status);
      default:
        return this.#broken("the server's answer is out of order");
    }
  }

  /** Other LOG messages come, too: statements, durations, whatever the server's settings say. */
  #notice(body: Buffer): void {
    if (this.#phase !== "statement" || this.#parsed) return;
    const fields = decodeErrorFields(body);
    // elog_node_display() in print.c: neither the text nor this severity is translated.
    if (fields.get("V") !== "LOG" || fields.get("M") !== "rewritten parse tree:") return;
    const tree = fields.get("D");
    if (tree === undefined) {
      this.#fail("XX000", "the server printed no tree");
      return;
    }
    this.#treeLength += tree.length;
    if (this.#treeLength > this.#maxTreeLength) {
      this.#trees.length = 0;
      this.#fail("54000", "the statement's query tree is too large");
    } else this.#trees.push(tree);
  }

  #error(body: Buffer): Taken {
    const fields = decodeErrorFields(body);
    const code = fields.get("C") ?? "";
    this.#failure = {
      sqlstate: /^[0-9A-Z]{5}$/.test(code) ? code : "XX000",
      message: fields.get("M") ?? "",
      fields,
      stage: this.#phase === "statement" ? "statement" : "settings",
    };
    const severity = fields.get("V") ?? fields.get("S") ?? "";
    if (severity === "FATAL" || severity === "PANIC") return this.#conclude(null, true);
    // Without a Sync of ours no ReadyForQuery comes: the client's own Sync ends what failed.
    return this.#flush ? this.#conclude(null, false) : "taken";
  }

  #fail(sqlstate: string, message: string): void {
    this.#failure ??= { sqlstate, message, fields: new Map(), stage: "statement" };
  }

  #broken(message: string, sqlstate = "08P01"): Taken {
    this.#fail(sqlstate, message);
    return this.#conclude(null, true);
  }

  #finish(status: TransactionStatus | null): Taken {
    if (this.#failure === null && this.#phase !== "described")
      return this.#broken("the server's answer is not complete");
    return this.#conclude(status, false);
  }

  #conclude(status: TransactionStatus | null, broken: boolean): Taken {
    this.result =
      this.#failure === null
        ? {
            ok: true,
            trees: this.#trees,
            parameterTypes: this.#parameterTypes ?? [],
            columns: this.#columns,
            status,
          }
        : { ok: false, ...this.#failure, broken, status };
    return "done";
  }
}

function failureOf(message: string): AskFailure {
  return {
    ok: false,
    sqlstate: "08006",
    message,
    fields: new Map(),
    stage: "statement",
    broken: true,
    status: null,
  };
}
