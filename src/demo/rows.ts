/** The sample shop's rows, made from one seed; every call gives the same ones. */
import { type Random, seeded } from "./random.ts";
import {
  catalogue,
  firstNames,
  lastNames,
  places,
  streets,
  styles,
  testCards,
  ticketSubjects,
} from "./words.ts";

type Value = string | number | boolean | null;

/** One table's rows: columns with their types, then the values column by column. */
export interface TableRows {
  readonly table: string;
  readonly columns: readonly (readonly [name: string, type: string])[];
  readonly rows: readonly (readonly Value[])[];
}

const day = 86_400_000;
const opened = Date.UTC(2025, 0, 2);
const closed = Date.UTC(2026, 10, 20);

/** All tables in an order that keeps foreign keys true. `scale` 1 is about 2,000 customers and 10,000 orders. */
export function shopRows(scale = 1): readonly TableRows[] {
  const random = seeded(20_261_122);
  const customers = Math.round(2000 * scale);
  const products = productRows(random);
  return [
    customerRows(random, customers),
    products,
    ...orderRows(random, Math.round(10_000 * scale), customers, products),
    ticketRows(random, Math.round(400 * scale), customers),
  ];
}

function customerRows(random: Random, count: number): TableRows {
  const seen = new Map<string, number>();
  const rows = Array.from({ length: count }, (_, i) => {
    const first = random.pick(firstNames);
    const last = random.pick(lastNames);
    const [city, country, phone] = random.pick(places);
    const name = `${first}.${last}`.toLowerCase();
    const again = seen.get(name) ?? 0;
    seen.set(name, again + 1);
    return [
      i + 1,
      `${first} ${last}`,
      `${name}${again === 0 ? "" : again + 1}@example.com`,
      random.chance(0.9) ? phone.replaceAll("#", () => digits(random, 1)) : null,
      // The 900s are no numbers the Social Security Administration issues.
      country === "US" || random.chance(0.3)
        ? `9${digits(random, 2)}-${String(random.int(1, 49)).padStart(2, "0")}-${digits(random, 4)}`
        : null,
      iso(Date.UTC(random.int(1945, 2006), random.int(0, 11), random.int(1, 28))).slice(0, 10),
      `${random.int(1, 180)} ${random.pick(streets)} Street`,
      city,
      country,
      `$scrypt$ln=15,r=8,p=1$${hex(random, 32)}$${hex(random, 64)}`,
      random.chance(0.4),
      iso(opened - random.int(0, 700) * day + random.int(0, day - 1)),
    ];
  });
  const columns =
    "id:bigint full_name:text email:text phone:text ssn:text birth_date:date street:text city:text country:text password_hash:text newsletter:boolean created_at:timestamptz";
  return { table: "customers", columns: typed(columns), rows };
}

function productRows(random: Random): TableRows {
  const rows: Value[][] = [];
  for (const [category, things, low, high] of catalogue) {
    for (const thing of things) {
      const chosen = styles.filter(() => random.chance(0.45));
      for (const style of chosen.length > 0 ? chosen : [random.pick(styles)]) {
        const sku = `${category.slice(0, 3).toUpperCase()}-${1001 + rows.length}`;
        // Shops end prices in 90 cents.
        const price = (Math.floor(random.int(low, high) / 100) * 100 + 90) / 100;
        rows.push([
          rows.length + 1,
          sku,
          `${style} ${thing}`,
          category,
          price.toFixed(2),
          random.int(0, 240),
          random.chance(0.94),
        ]);
      }
    }
  }
  return {
    table: "products",
    columns: typed("id:bigint sku:text name:text category:text price:numeric stock:integer active:boolean"),
    rows,
  };
}

function orderRows(
  random: Random,
  count: number,
  customers: number,
  products: TableRows,
): readonly TableRows[] {
  const orders: Value[][] = [];
  const items: Value[][] = [];
  const payments: Value[][] = [];
  for (let id = 1; id <= count; id++) {
    // A square draw: some customers come often. Times rise with the number and crowd towards the end, as in a shop that grows.
    const customer = 1 + Math.floor(random.next() ** 2 * customers);
    const at = opened + Math.floor(Math.sqrt((id - random.next()) / count) * (closed - opened));
    const age = (closed - at) / day;
    const status = random.chance(0.04)
      ? "cancelled"
      : age > 14
        ? random.chance(0.06)
          ? "returned"
          : "delivered"
        : age > 3
          ? "shipped"
          : "paid";
    let cents = 0;
    const lines = 1 + Math.floor(random.next() ** 1.6 * 5);
    for (let line = 1; line <= lines; line++) {
      const product = random.pick(products.rows);
      const quantity = random.chance(0.75) ? 1 : random.int(2, 4);
      cents += Math.round(Number(product[4]) * 100) * quantity;
      items.push([id, line, product[0] ?? null, quantity, product[4] ?? null]);
    }
    const total = (cents / 100).toFixed(2);
    orders.push([id, customer, status, iso(at), total]);
    const [network, card] = random.pick(testCards);
    const method = random.chance(0.82) ? "card" : random.chance(0.8) ? "transfer" : "voucher";
    const refunded =
      status === "returned" || status === "cancelled"
        ? iso(Math.min(at + random.int(1, 12) * day, closed))
        : null;
    payments.push([
      id,
      id,
      method,
      method === "card" ? network : null,
      method === "card" ? card : null,
      total,
      iso(at + random.int(5, 90) * 1000),
      refunded,
    ]);
  }
  return [
    {
      table: "orders",
      columns: typed("id:bigint customer_id:bigint status:text ordered_at:timestamptz total:numeric"),
      rows: orders,
    },
    {
      table: "order_items",
      columns: typed("order_id:bigint line:integer product_id:bigint quantity:integer unit_price:numeric"),
      rows: items,
    },
    {
      table: "payments",
      columns: typed(
        "id:bigint order_id:bigint method:text card_network:text card_number:text amount:numeric paid_at:timestamptz refunded_at:timestamptz",
      ),
      rows: payments,
    },
  ];
}

function ticketRows(random: Random, count: number, customers: number): TableRows {
  const rows = Array.from({ length: count }, (_, i) => {
    const [subject, body] = random.pick(ticketSubjects);
    const at = opened + Math.floor(((i + random.next()) / count) * (closed - opened));
    const status = closed - at > 40 * day ? "closed" : random.pick(["open", "waiting", "closed"]);
    return [
      i + 1,
      random.int(1, customers),
      subject,
      body,
      status,
      random.pick(["web form", "mail", "phone desk"]),
      iso(at),
    ];
  });
  return {
    table: "support_tickets",
    columns: typed(
      "id:bigint customer_id:bigint subject:text body:text status:text opened_by:text opened_at:timestamptz",
    ),
    rows,
  };
}

function typed(text: string): readonly (readonly [string, string])[] {
  return text.split(" ").map((column) => {
    const [name = "", type = ""] = column.split(":");
    return [name, type] as const;
  });
}

function digits(random: Random, length: number): string {
  return String(random.int(0, 10 ** length - 1)).padStart(length, "0");
}

function hex(random: Random, length: number): string {
  let text = "";
  while (text.length < length) text += random.int(0, 0xff_ffff).toString(16).padStart(6, "0");
  return text.slice(0, length);
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
