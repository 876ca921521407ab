/** Statements of about 1 kB, as agents and reporting tools write them; `form` makes another shape, `literal` other values. */
export interface Template {
  readonly name: string;
  text(form: number, literal: number): string;
}

/** The tables that they speak of. */
export const schema = `
create table customers (id int primary key, full_name text, email text, phone text, city text, created timestamptz, balance numeric);
create table orders (id int primary key, customer_id int references customers, placed timestamptz, status text, total numeric, note text);
create table items (order_id int references orders, line int, product text, quantity int, price numeric, discount numeric, primary key (order_id, line));
`;

export const templates: readonly Template[] = [
  {
    name: "list of columns",
    text: (form, literal) => `
SELECT c${form}.id AS customer_number, c${form}.city AS customer_city, c${form}.created AS customer_since, c${form}.balance AS current_balance,
  o.id AS order_number, o.placed AS order_placed_at, o.status AS order_status, o.total AS order_total, o.note AS order_note,
  i.line AS line_number, i.product AS product_name, i.quantity AS ordered_quantity, i.price AS unit_price, i.discount AS line_discount,
  c${form}.full_name AS customer_name, c${form}.email AS customer_email, c${form}.phone AS customer_phone
FROM customers AS c${form} JOIN orders AS o ON o.customer_id = c${form}.id JOIN items AS i ON i.order_id = o.id
WHERE c${form}.city = 'Rothenburg ${literal}' AND o.status IN ('open', 'packed', 'sent', 'returned') AND o.total > ${1000 + literal}
  AND o.placed BETWEEN '2025-01-01' AND '2026-01-01' AND i.quantity > 2 AND i.discount < 0.5
  AND (o.note IS NULL OR o.note <> 'internal') AND c${form}.balance > 0 AND i.product IN ('lamp', 'table', 'chair', 'shelf')
ORDER BY o.placed DESC, o.id, i.line LIMIT 100 OFFSET 20`,
  },
  {
    name: "CTE, joins, aggregates",
    text: (form, literal) => `
WITH revenue${form} AS (
  SELECT o.customer_id, date_trunc('month', o.placed) AS month, sum(i.quantity * i.price * (1 - coalesce(i.discount, 0))) AS amount, count(DISTINCT o.id) AS orders
  FROM orders o JOIN items i ON i.order_id = o.id
  WHERE o.placed >= '2025-01-01' AND o.status <> 'cancelled' AND i.quantity > ${literal}
  GROUP BY o.customer_id, date_trunc('month', o.placed)
), ranked AS (
  SELECT r.customer_id, r.month, r.amount, r.orders, rank() OVER (PARTITION BY r.month ORDER BY r.amount DESC) AS place,
    sum(r.amount) OVER (PARTITION BY r.customer_id ORDER BY r.month) AS running
  FROM revenue${form} r
)
SELECT c.id, c.city, c.created::date AS since, upper(c.city) AS town, ranked.month, round(ranked.amount, 2) AS amount, ranked.orders, ranked.place,
  CASE WHEN ranked.place <= 10 THEN 'top' WHEN ranked.place <= 100 THEN 'middle' ELSE 'rest' END AS class, ranked.running / nullif(c.balance, 0) AS share
FROM ranked JOIN customers c ON c.id = ranked.customer_id
WHERE ranked.amount > ${literal + 17} AND c.city <> 'Rothenburg' ORDER BY ranked.month, ranked.place LIMIT 50`,
  },
];
