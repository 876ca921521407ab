/**
 * libpg-query 18 (PostgreSQL's own grammar in WebAssembly) behind a loader of our own, so that an instance can be thrown
 * away: an exception that unwinds its WASM frames leaves its stack pointer and memory contexts wrong, and after some thirty
 * of them the instance is dead (MASKING.md 1.4). The module is compiled once; a new instance costs 2 to 10 ms.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { UnreadableSql } from "./limits.ts";
import type { JsonObject } from "./tree.ts";
import { isObject, numberAt, objectAt } from "./tree.ts";

/** One statement as the parser gives it; places are UTF-8 bytes. */
export interface RawStatement {
  readonly node: JsonObject;
  readonly location: number;
  /** 0: up to the end of the text. */
  readonly length: number;
}

/** The part of the Emscripten module that is used (wasm/index.js of libpg-query is the reference for its calls). */
interface PgQueryModule {
  _malloc(bytes: number): number;
  _free(pointer: number): void;
  _wasm_parse_query_raw(query: number): number;
  _wasm_free_parse_result(result: number): void;
  /** The instance's memory; another view once that has grown. */
  readonly HEAPU8: Uint8Array;
}
/** The part of the WebAssembly API that is used; Node has it, TypeScript only declares it with the browser's library. */
interface WasmInstance {
  readonly exports: object;
}
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => WasmInstance;
};
type ModuleFactory = (options: {
  instantiateWasm(imports: object, done: (instance: WasmInstance) => void): object;
  print(line: string): void;
  printErr(line: string): void;
}) => Promise<PgQueryModule>;

const require = createRequire(import.meta.url);
const folder = dirname(require.resolve("libpg-query"));
const factory = require(join(folder, "libpg-query.js")) as ModuleFactory;
// V8's optimizing compiler takes 60 to 130 MB for this module and makes a parse some 20 % faster: not worth it. The three
// flags go together (--liftoff-only implies the others only on the command line); they act on WebAssembly alone.
for (const flag of ["--liftoff-only", "--no-wasm-tier-up", "--no-wasm-dynamic-tiering"])
  setFlagsFromString(flag);
const compiled = new WebAssembly.Module(readFileSync(join(folder, "libpg-query.wasm")));

/** The grammar accepted nothing. Says no more: the parser's message repeats the text. */
class GrammarError extends Error {}

/** One instance. Every method throws GrammarError, or anything else when the instance is ruined. */
class Parser {
  readonly #module: PgQueryModule;
  #seen: Uint8Array | null = null;
  #buffer: Buffer = Buffer.alloc(0);

  private constructor(module: PgQueryModule) {
    this.#module = module;
  }

  static async create(): Promise<Parser> {
    const module = await factory({
      instantiateWasm(imports, done) {
        const instance = new WebAssembly.Instance(compiled, imports);
        done(instance);
        return instance.exports;
      },
      print: () => {},
      printErr: () => {},
    });
    return new Parser(module);
  }

  parse(text: string): RawStatement[] {
    const module = this.#module;
    const query = this.#copyIn(text);
    const result = module._wasm_parse_query_raw(query);
    if (result === 0) throw new Error("no result");
    const memory = this.#memory();
    // PgQueryParseResult: parse_tree, stderr_buffer, error
    const tree = memory.readUInt32LE(result);
    const failed = memory.readUInt32LE(result + 8) !== 0;
    const json = failed || tree === 0 ? null : textAt(memory, tree);
    module._wasm_free_parse_result(result);
    module._free(query);
    if (failed) throw new GrammarError();
    if (json === null) throw new Error("no tree");
    return rawStatements(JSON.parse(json));
  }

  /** The instance's memory, quicker to read and write than by Emscripten's own functions. */
  #memory(): Buffer {
    const { HEAPU8 } = this.#module;
    if (HEAPU8 !== this.#seen) {
      this.#seen = HEAPU8;
      this.#buffer = Buffer.from(HEAPU8.buffer, HEAPU8.byteOffset, HEAPU8.byteLength);
    }
    return this.#buffer;
  }

  #copyIn(text: string): number {
    const bytes = Buffer.byteLength(text);
    const pointer = this.#module._malloc(bytes + 1);
    if (pointer === 0) throw new Error("no memory");
    // Behind malloc: it may have grown the memory.
    const memory = this.#memory();
    if (memory.write(text, pointer, bytes, "utf8") !== bytes) throw new Error("not all of the text");
    memory[pointer + bytes] = 0;
    return pointer;
  }
}

/** A text that ends with a NUL. */
function textAt(memory: Buffer, pointer: number): string {
  const end = memory.indexOf(0, pointer);
  if (end < 0) throw new Error("the text does not end");
  return memory.toString("utf8", pointer, end);
}

function rawStatements(tree: unknown): RawStatement[] {
  const statements = isObject(tree) ? tree.stmts : undefined;
  if (!Array.isArray(statements)) throw new Error("not a parse result");
  return statements.map((raw: unknown) => {
    const node = objectAt(raw, "stmt");
    if (node === undefined || !isObject(raw)) throw new Error("not a statement");
    return { node, location: numberAt(raw, "stmt_location"), length: numberAt(raw, "stmt_len") };
  });
}

/** The instances of one thread: one in use, spares behind it. Every failure is an UnreadableSql. */
export class ParserPool {
  /** How many instances were thrown away. */
  poisoned = 0;
  readonly #ready: Parser[];
  readonly #size: number;
  #coming = 0;

  private constructor(ready: Parser[]) {
    this.#ready = ready;
    this.#size = ready.length;
  }

  /** @param size instances kept ready, the one in use included */
  static async create(size = 2): Promise<ParserPool> {
    return new ParserPool(await Promise.all(Array.from({ length: size }, () => Parser.create())));
  }

  /**
   * The text's statements. Throws UnreadableSql: "syntax"; "parser-failed" when the instance broke down and was thrown away;
   * "parser-busy" when none is ready (new ones are, as soon as the running turn of the event loop ends).
   */
  parse(text: string): RawStatement[] {
    return this.#use((parser) => parser.parse(text));
  }

  #use<T>(work: (parser: Parser) => T): T {
    const parser = this.#ready[0];
    if (parser === undefined) {
      this.#refill();
      throw new UnreadableSql("parser-busy");
    }
    const exitCode = process.exitCode;
    try {
      return work(parser);
    } catch (error) {
      if (error instanceof GrammarError) throw new UnreadableSql("syntax");
      // Emscripten's exit() sets the process' exit code before it throws.
      process.exitCode = exitCode;
      this.#ready.shift();
      this.poisoned++;
      this.#refill();
      throw new UnreadableSql("parser-failed");
    }
  }

  #refill(): void {
    while (this.#ready.length + this.#coming < this.#size) {
      this.#coming++;
      Parser.create().then(
        (parser) => {
          this.#coming--;
          this.#ready.push(parser);
        },
        () => {
          // No memory just now: the next statement asks again.
          this.#coming--;
        },
      );
    }
  }
}

/** The parsers of this thread, shared by all readers: an instance costs memory, not time. */
export const parsers: ParserPool = await ParserPool.create();
