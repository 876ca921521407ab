import { expect, test } from "vitest";
import type { ColumnsContext } from "../../src/audit/index.ts";
import { columnsOf } from "../../src/gateway/statement/answer/columns.ts";
import type { Judgement } from "../../src/gateway/statement/judgement.ts";
import type { Walk } from "../../src/gateway/statement/state.ts";
import { encodeBackend } from "../../src/protocol/index.ts";

test("descriptions of results of one database are not another's, though their catalogs count alike", () => {
  const described: unknown[] = [];
  const audit = {
    columns: (columns: unknown) => {
      described.push(columns);
      return {} as ColumnsContext;
    },
  };
  const walk = { columnsCache: new Map(), audit } as unknown as Walk;
  const judged = (name: string) =>
    ({
      plan: null,
      view: {
        catalog: {
          epoch: 1,
          relation: () => ({ schema: "public", name }),
          column: () => ({ name: "id" }),
        },
      },
    }) as unknown as Judgement;
  const message = encodeBackend({
    type: "rowDescription",
    fields: [{ name: "id", table: 16384, column: 1, typeOid: 23, typeSize: 4, typeModifier: -1, format: 0 }],
  });
  const orders = judged("orders");
  for (const one of [orders, judged("people"), orders]) columnsOf(walk, message, 5, message.length, one);
  expect(described).toMatchObject([[{ origin: "public.orders.id" }], [{ origin: "public.people.id" }]]);
});
