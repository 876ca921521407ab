import { describe, expect, it } from "vitest";
import { shopRows, type TableRows } from "../../src/demo/rows.ts";

const tables = new Map(shopRows().map((rows) => [rows.table, rows]));

function column(table: string, name: string): readonly unknown[] {
  const rows = tables.get(table) as TableRows;
  const at = rows.columns.findIndex(([n]) => n === name);
  expect(at, `${table}.${name}`).toBeGreaterThanOrEqual(0);
  return rows.rows.map((row) => row[at]);
}

function passesLuhn(number: string): boolean {
  const sum = [...number].reverse().reduce((total, digit, i) => {
    const doubled = Number(digit) * (i % 2 === 0 ? 1 : 2);
    return total + (doubled > 9 ? doubled - 9 : doubled);
  }, 0);
  return sum % 10 === 0;
}

describe("the sample shop", () => {
  it("is the same each time", () => {
    expect(shopRows(0.1)).toEqual(shopRows(0.1));
  });

  it("has the promised size", () => {
    expect(column("customers", "id")).toHaveLength(2000);
    expect(column("orders", "id")).toHaveLength(10_000);
    expect(column("products", "id").length).toBeGreaterThan(150);
    expect(column("products", "id").length).toBeLessThan(260);
    expect(column("order_items", "order_id").length).toBeGreaterThan(15_000);
  });

  it("names nobody real", () => {
    const emails = column("customers", "email") as string[];
    expect(new Set(emails).size).toBe(emails.length);
    expect(emails.filter((email) => !/^[a-z]+\.[a-z]+\d*@example\.com$/.test(email))).toEqual([]);
    // 9xx with a group below 50 is neither a social security number nor a taxpayer number.
    const numbers = (column("customers", "ssn") as (string | null)[]).filter((ssn) => ssn !== null);
    expect(numbers.length).toBeGreaterThan(500);
    expect(numbers.filter((ssn) => !/^9\d\d-[0-4]\d-\d{4}$/.test(ssn))).toEqual([]);
    const cards = new Set(column("payments", "card_number") as (string | null)[]);
    expect([...cards].filter((card) => card !== null && !passesLuhn(card))).toEqual([]);
    expect(cards.size).toBe(9);
    const phones = (column("customers", "phone") as (string | null)[]).filter((phone) => phone !== null);
    expect(phones.filter((phone) => !/^\+\d[\d ]+\d$/.test(phone))).toEqual([]);
  });

  it("adds up: orders to their items, payments to their orders", () => {
    const totals = new Map<unknown, number>();
    const items = tables.get("order_items") as TableRows;
    for (const [order, , , quantity, price] of items.rows) {
      totals.set(order, (totals.get(order) ?? 0) + Number(quantity) * Math.round(Number(price) * 100));
    }
    const orders = column("orders", "id");
    const amounts = column("orders", "total");
    expect(orders.filter((id, i) => totals.get(id) !== Math.round(Number(amounts[i]) * 100))).toEqual([]);
    expect(column("payments", "amount")).toEqual(amounts);
  });

  it("keeps times in order", () => {
    const times = column("orders", "ordered_at") as string[];
    expect(times.filter((time, i) => i > 0 && time < (times[i - 1] ?? ""))).toEqual([]);
  });
});
