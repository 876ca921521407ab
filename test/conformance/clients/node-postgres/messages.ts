/** COPY and the extended protocol, message by message. */
import type pg from "pg";
import { failure, json, md5, outcome, part, print } from "../battery.ts";
import { using, type Wire } from "./client.ts";

/** COPY by the driver's hooks for query objects. */
class Copy {
  readonly out: Buffer[] = [];
  readonly done: Promise<string>;
  text: string;
  chunks: readonly Buffer[];
  ending: "done" | "fail" | "nothing";
  resolve: (tag: string) => void = () => {};
  reject: (error: unknown) => void = () => {};
  tag = "";
  constructor(text: string, chunks: readonly Buffer[] = [], ending: "done" | "fail" | "nothing" = "done") {
    this.text = text;
    this.chunks = chunks;
    this.ending = ending;
    this.done = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
  submit(connection: Wire): void {
    connection.query(this.text);
  }
  handleCopyInResponse(connection: Wire): void {
    for (const chunk of this.chunks) connection.sendCopyFromChunk(chunk);
    if (this.ending === "done") connection.endCopyFrom();
    if (this.ending === "fail") connection.sendCopyFail("the client changed its mind");
  }
  handleCopyData(message: { chunk: Buffer }): void {
    this.out.push(Buffer.from(message.chunk));
  }
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleEmptyQuery(): void {}
  handleCommandComplete(message: { text: string }): void {
    this.tag += `${message.text};`;
  }
  handleReadyForQuery(): void {
    this.resolve(this.tag);
  }
  handleError(error: unknown): void {
    this.reject(error);
  }
}

await part("COPY in and out", () =>
  using(async (c) => {
    const copy = async (what: string, ...args: ConstructorParameters<typeof Copy>) => {
      const one = new Copy(...args);
      c.query(one as unknown as pg.Submittable);
      await outcome(what, one.done);
      print(one.out.length, md5(Buffer.concat(one.out)));
    };
    await c.query("create temp table cp(a int, b text)");
    await copy("in", "copy cp from stdin", [Buffer.from("1\tone\n2\t\\N\n")]);
    await copy(
      "rows cut anywhere",
      "copy cp from stdin",
      [..."3\tthree\n44\tfo\\tur\n"].map((x) => Buffer.from(x)),
    );
    await copy("nothing", "copy cp from stdin", []);
    await copy("failed by the client", "copy cp from stdin", [Buffer.from("5\tx\n")], "fail");
    await copy("bad row", "copy cp from stdin", [
      Buffer.from("x\tx\n"),
      Buffer.from("6\tx\n"),
      Buffer.alloc(300_000, "7\tx\n"),
    ]);
    await copy(
      "large",
      "copy cp from stdin",
      Array.from({ length: 200 }, (_, i) => Buffer.from(`${i}\t${"y".repeat(50_000)}\n`)),
    );
    await copy("out", "copy (select a, length(b) from cp order by 1, 2) to stdout csv header");
    await copy("large out", "copy (select a, b from cp order by 1, 2) to stdout");
    await copy("binary out", "copy (select g, g::text from generate_series(1, 1000) g) to stdout binary");
    await copy(
      "between statements",
      "select 1; copy cp from stdin; select 2; copy (select 3) to stdout; select 4",
      [Buffer.from("70\tx\n")],
    );
    await copy("error behind", "copy cp from stdin; select 1/0", [Buffer.from("71\tx\n")]);
    await copy(
      "out fails on the way",
      "copy (select 1 / (5000 - g) from generate_series(1, 9000) g) to stdout",
    );
    print(
      (
        await c.query(
          "select count(*)::int as n, sum(a)::int as s, count(*) filter (where a in (70, 71))::int as m from cp",
        )
      ).rows,
    );
  }),
);

/** The extended protocol by hand. */
class Steps {
  readonly seen: string[] = [];
  send: (connection: Wire) => void;
  constructor(send: (connection: Wire) => void) {
    this.send = send;
  }
  submit(connection: Wire): void {
    this.send(connection);
  }
  handleRowDescription(m: { fields: { name: string }[] }): void {
    this.seen.push(`T ${m.fields.map((f) => f.name).join()}`);
  }
  handleDataRow(m: { fields: unknown[] }): void {
    this.seen.push(`D ${json(m.fields)}`);
  }
  handlePortalSuspended(): void {
    this.seen.push("s");
  }
  handleCommandComplete(m: { text: string }): void {
    this.seen.push(`C ${m.text}`);
  }
  handleEmptyQuery(): void {
    this.seen.push("I");
  }
  handleError(error: unknown): void {
    this.seen.push(`E ${failure(error)}`);
  }
  handleReadyForQuery(): void {}
}

/** Sends steps and collects everything up to the given number of ReadyForQuery. */
async function batches(c: pg.Client, count: number, send: (w: Wire) => void): Promise<string[]> {
  const one = new Steps(send);
  // The driver lets go of a query at its first error or ReadyForQuery: it is given back, as long as more must come.
  const driver = c as unknown as {
    connection: NodeJS.EventEmitter;
    activeQuery: unknown;
    _activeQuery: unknown;
  };
  let left = count;
  const keep = () => {
    if (left > 0) driver._activeQuery = one;
  };
  await new Promise<void>((resolve) => {
    const ready = () => {
      one.seen.push("Z");
      left--;
      keep();
      if (left > 0) return;
      driver.connection.removeListener("readyForQuery", ready);
      driver.connection.removeListener("errorMessage", keep);
      resolve();
    };
    driver.connection.on("readyForQuery", ready);
    driver.connection.on("errorMessage", keep);
    c.query(one as unknown as pg.Submittable);
  });
  return one.seen;
}

await part("extended protocol by hand: portals, suspension, Flush, batches", () =>
  using(async (c) => {
    const steps = async (what: string, send: (w: Wire) => void, count = 1) =>
      print(what, await batches(c, count, send));
    await steps("two portals in turn", (w) => {
      w.parse({ text: "select g from generate_series(1, 6) g", name: "g" });
      w.bind({ statement: "g", portal: "a" });
      w.bind({ statement: "g", portal: "b" });
      w.describe({ type: "P", name: "a" });
      for (const portal of ["a", "b", "a", "b", "a"]) w.execute({ portal, rows: 2 });
      w.flush();
      w.close({ type: "P", name: "b" });
      w.execute({ portal: "a", rows: 100 });
      w.sync();
    });
    await steps("an error skips to Sync", (w) => {
      w.parse({ text: "select 1 as one" });
      w.bind({});
      w.execute({});
      w.parse({ text: "select 1/0" });
      w.bind({});
      w.execute({});
      w.parse({ text: "select 3" });
      w.bind({});
      w.execute({});
      w.sync();
    });
    await steps("missing names", (w) => {
      w.bind({ statement: "nope" });
      w.execute({});
      w.sync();
    });
    await steps("missing portal", (w) => {
      w.execute({ portal: "nope" });
      w.sync();
    });
    await steps("describe what is missing", (w) => {
      w.describe({ type: "S", name: "nope" });
      w.sync();
    });
    await steps("close what is missing, and twice the same name", (w) => {
      w.close({ type: "S", name: "nope" });
      w.parse({ text: "select 2", name: "twice" });
      w.parse({ text: "select 3", name: "twice" });
      w.sync();
    });
    await steps("describe a statement", (w) => {
      w.parse({ text: "select $1::int as x, $2::text as y", name: "d" });
      w.describe({ type: "S", name: "d" });
      w.parse({ text: "set work_mem = '5MB'", name: "n" });
      w.describe({ type: "S", name: "n" });
      w.sync();
    });
    await steps("empty, utility, begin and commit in one batch", (w) => {
      for (const text of [
        "",
        "begin",
        "create temp table ext(x int)",
        "insert into ext values (1) returning x",
        "commit",
        "select count(*) from ext",
      ]) {
        w.parse({ text });
        w.bind({});
        w.execute({});
      }
      w.sync();
    });
    await steps("nothing but Sync", (w) => w.sync());
    await steps("cursor by SQL, fetched by protocol", (w) => {
      for (const text of [
        "begin",
        "declare cur cursor for select g from generate_series(1, 5) g",
        "fetch 2 from cur",
        "move 1 in cur",
        "fetch all from cur",
        "close cur",
        "commit",
      ]) {
        w.parse({ text });
        w.bind({});
        w.execute({});
      }
      w.sync();
    });
    await steps("the portal of a SQL cursor", (w) => {
      for (const text of ["begin", "declare named cursor for select g from generate_series(1, 5) g"]) {
        w.parse({ text });
        w.bind({});
        w.execute({});
      }
      w.describe({ type: "P", name: "named" });
      w.execute({ portal: "named", rows: 2 });
      w.execute({ portal: "named" });
      w.sync();
    });
    await steps("roll back", (w) => w.query("rollback"));
    await steps("simple query inside an extended batch", (w) => {
      w.parse({ text: "select 'unsynced'" });
      w.bind({});
      w.execute({});
      w.query("select 'simple'");
    });
    await steps(
      "many batches, errors among them",
      (w) => {
        for (const text of [
          "select 1",
          "select 1/0",
          "begin",
          "select 2",
          "selct",
          "select 3",
          "rollback",
          "select 4",
        ]) {
          w.parse({ text });
          w.bind({});
          w.execute({});
          w.sync();
        }
      },
      8,
    );
  }),
);

await part("real pipelining: 300 batches sent without waiting", () =>
  using(async (c) => {
    const seen = await batches(c, 300, (w) => {
      for (let i = 0; i < 300; i++) {
        w.parse({
          text: i % 7 === 3 ? "select 1 / ($1::int - $1::int)" : "select $1::int as n, repeat('x', 500)",
          name: i % 2 === 0 ? `p${i}` : "",
        });
        w.bind({
          statement: i % 2 === 0 ? `p${i}` : "",
          values: [i],
          valueMapper: (v: unknown) => String(v),
        });
        w.describe({ type: "P" });
        w.execute({});
        w.sync();
      }
    });
    print(seen.length, seen.filter((s) => s === "Z").length, md5(json(seen)));
  }),
);
