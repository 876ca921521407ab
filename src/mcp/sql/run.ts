/**
 * One statement through one in-process session: always by the extended protocol, so that parameters are bound and a text holds
 * one statement (PostgreSQL manual, "Extended Query"). Nothing of the session is left behind.
 */
import type { Duplex } from "node:stream";
import {
  decodeCommandComplete,
  decodeDataRow,
  decodeErrorFields,
  decodeParameterDescription,
  decodeRowDescription,
  encodeCopyFail,
  encodeFrontend,
  type Frame,
  FrameReader,
  ProtocolError,
  sync,
  terminate,
} from "../../protocol/index.ts";
import { cellCost, type Json, jsonCell, parameterText } from "./values.ts";

export interface RunLimits {
  /** Rows that are asked for. */
  readonly rows: number;
  /** Characters of the rows as JSON, about. */
  readonly characters: number;
  /** Longest cell, characters. */
  readonly cell: number;
  readonly timeoutMs: number;
}

export interface Column {
  readonly name: string;
  readonly type: number;
}

/** What one statement gave. */
export type RunResult =
  | {
      readonly kind: "done";
      /** null: it gives no rows. */
      readonly columns: readonly Column[] | null;
      readonly rows: readonly (readonly Json[])[];
      /** Why rows or parts of cells are missing; null: none are known to be. */
      readonly truncated: "rows" | "size" | "cells" | null;
      /** CommandComplete's tag; null: more rows remained. */
      readonly tag: string | null;
    }
  /** An ErrorResponse: its fields. `fatal`: the session never began or was ended. */
  | { readonly kind: "error"; readonly fields: ReadonlyMap<string, string>; readonly fatal: boolean }
  | { readonly kind: "timeout" | "cancelled" | "too-large" | "copy" | "lost" };

/** A client's end of stream stays open this long for its last words. */
const goodbyeMs = 2_000;
/** Bytes that are read and thrown away before the statement is cancelled. */
const maxDiscarded = 4 * 1024 * 1024;
/** One row may be as long as this; PostgreSQL itself allows 1 GiB. */
const maxRowBytes = 16 * 1024 * 1024;

/**
 * Runs `sql` with its parameters. Never rejects but for faults of ours.
 * @param stream as Gateway.attach() gives it.
 * @param execute false: only prepares, and describes what it would give.
 * @param signal cancels the statement.
 */
export function runStatement(
  stream: Duplex,
  sql: string,
  parameters: readonly Json[],
  limits: RunLimits,
  signal: AbortSignal,
  execute = true,
): Promise<RunResult> {
  return new Promise((resolve) => {
    new Run(stream, sql, parameters, limits, signal, execute, resolve).begin();
  });
}

class Run {
  readonly #stream: Duplex;
  readonly #sql: string;
  readonly #parameters: readonly Json[];
  readonly #limits: RunLimits;
  readonly #signal: AbortSignal;
  readonly #execute: boolean;
  readonly #resolve: (result: RunResult) => void;
  readonly #reader = new FrameReader("backend", { maxMessage: maxRowBytes });
  readonly #timer: NodeJS.Timeout;
  readonly #rows: (readonly Json[])[] = [];
  #phase: "starting" | "describing" | "running" | "over" = "starting";
  #types: readonly number[] = [];
  #columns: Column[] | null = null;
  #tag: string | null = null;
  #characters = 0;
  #discarded = 0;
  #truncated: Extract<RunResult, { kind: "done" }>["truncated"] = null;
  #failure: RunResult | null = null;

  constructor(
    stream: Duplex,
    sql: string,
    parameters: readonly Json[],
    limits: RunLimits,
    signal: AbortSignal,
    execute: boolean,
    resolve: (result: RunResult) => void,
  ) {
    this.#stream = stream;
    this.#sql = sql;
    this.#parameters = parameters;
    this.#limits = limits;
    this.#signal = signal;
    this.#execute = execute;
    this.#resolve = resolve;
    this.#timer = setTimeout(() => this.#break({ kind: "timeout" }), limits.timeoutMs);
  }

  begin(): void {
    const { aborted } = this.#signal;
    this.#stream.on("error", () => undefined);
    this.#stream.on("close", () => this.#break({ kind: "lost" }));
    this.#stream.on("end", () => this.#break({ kind: "lost" }));
    this.#stream.on("data", (chunk: Buffer) => this.#take(chunk));
    if (aborted) this.#onAbort();
    else this.#signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  readonly #onAbort = (): void => this.#break({ kind: "cancelled" });

  #take(chunk: Buffer): void {
    if (this.#phase === "over") return;
    try {
      this.#reader.push(chunk);
      for (let frame = this.#reader.next(); frame !== null; frame = this.#reader.next()) {
        this.#on(frame);
        if (this.#isOver()) return;
      }
    } catch (error) {
      // A row longer than anyone would read, or a fault of the stream: the session ends with it.
      this.#break({ kind: error instanceof ProtocolError ? "too-large" : "lost" });
      if (!(error instanceof ProtocolError)) throw error;
    }
  }

  #on({ type, body }: Frame): void {
    switch (String.fromCharCode(type)) {
      case "Z":
        this.#ready();
        return;
      case "E": {
        const fields = new Map(decodeErrorFields(body));
        const severity = fields.get("V") ?? fields.get("S") ?? "ERROR";
        const fatal = severity === "FATAL" || severity === "PANIC";
        this.#failure ??= { kind: "error", fields, fatal };
        if (fatal) this.#end(this.#failure);
        return;
      }
      case "t":
        this.#types = decodeParameterDescription(body).types;
        return;
      case "T":
        this.#columns = decodeRowDescription(body).fields.map(({ name, typeOid }) => ({
          name,
          type: typeOid,
        }));
        return;
      case "D":
        this.#row(body);
        return;
      case "C":
        this.#tag = decodeCommandComplete(body).tag;
        return;
      case "s":
        this.#truncated ??= "rows";
        return;
      case "G":
        // The Sync before it is ignored while the server waits for data (manual, "COPY Operations").
        this.#failure ??= { kind: "copy" };
        this.#stream.write(Buffer.concat([encodeCopyFail("COPY is not possible here"), sync]));
        return;
      case "H":
        this.#failure ??= { kind: "copy" };
        return;
      case "d":
        this.#discard(body.length);
        return;
      default:
    }
  }

  /** ReadyForQuery: of the start-up, of a Describe, or the end. */
  #ready(): void {
    switch (this.#phase) {
      case "starting": {
        this.#phase = "describing";
        const parse = encodeFrontend({
          type: "parse",
          name: "",
          text: this.#sql,
          bytes: Buffer.from(this.#sql),
          parameterTypes: [],
        });
        const describe = encodeFrontend({ type: "describe", target: "statement", name: "" });
        // Only what a list or an object becomes depends on the parameter's type.
        const waits =
          !this.#execute || this.#parameters.some((value) => typeof value === "object" && value !== null);
        if (waits) this.#stream.write(Buffer.concat([parse, describe, sync]));
        else this.#run([parse]);
        return;
      }
      case "describing":
        if (this.#failure === null && this.#execute) this.#run([]);
        else this.#end(this.#failure ?? this.#done());
        return;
      case "running":
        this.#end(this.#failure ?? this.#done());
        return;
      case "over":
    }
  }

  #isOver(): boolean {
    return this.#phase === "over";
  }

  #done(): RunResult {
    return {
      kind: "done",
      columns: this.#columns,
      rows: this.#rows,
      truncated: this.#truncated,
      tag: this.#tag,
    };
  }

  #run(before: readonly Buffer[]): void {
    this.#phase = "running";
    const values = this.#parameters.map((value, i) => parameterText(value, this.#types[i] ?? 0));
    const messages = [
      ...before,
      encodeFrontend({
        type: "bind",
        portal: "",
        statement: "",
        parameterFormats: [],
        parameters: values.map((text) => (text === null ? null : Buffer.from(text))),
        resultFormats: [],
      }),
      encodeFrontend({ type: "describe", target: "portal", name: "" }),
      encodeFrontend({ type: "execute", portal: "", maxRows: this.#limits.rows }),
      sync,
    ];
    this.#stream.write(Buffer.concat(messages));
  }

  #row(body: Buffer): void {
    if (this.#truncated === "size" || this.#failure !== null) {
      this.#discard(body.length);
      return;
    }
    const { values } = decodeDataRow(body);
    const row: Json[] = [];
    let cost = 2;
    for (const [i, value] of values.entries()) {
      const cell = jsonCell(value, this.#columns?.[i]?.type ?? 25, this.#limits.cell);
      if (cell.cut) this.#truncated ??= "cells";
      cost += cellCost(cell.value) + 1;
      row.push(cell.value);
    }
    if (this.#rows.length > 0 && this.#characters + cost > this.#limits.characters) {
      this.#truncated = "size";
      this.#discard(body.length);
      return;
    }
    this.#characters += cost;
    this.#rows.push(row);
  }

  #discard(bytes: number): void {
    this.#discarded += bytes;
    if (this.#discarded > maxDiscarded) this.#break({ kind: "too-large" });
  }

  /** Leaves without waiting for the server: what runs is cancelled. */
  #break(result: RunResult): void {
    if (this.#phase === "over") return;
    this.#over(this.#failure ?? result);
    this.#stream.destroy();
  }

  /** Leaves a session that is at rest: its connection to the database can serve another. */
  #end(result: RunResult): void {
    this.#over(result);
    const { writable } = this.#stream;
    if (writable) this.#stream.end(terminate);
    this.#stream.resume();
    setTimeout(() => this.#stream.destroy(), goodbyeMs).unref();
  }

  #over(result: RunResult): void {
    this.#phase = "over";
    clearTimeout(this.#timer);
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#resolve(result);
  }
}
