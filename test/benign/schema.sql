-- A shop with one of everything that browsing tools look for. Protected: shop.customers.email and shop.customers.phone.
CREATE SCHEMA shop;
COMMENT ON SCHEMA shop IS 'what we sell, and to whom';
CREATE EXTENSION pg_trgm SCHEMA shop;
CREATE TYPE shop.status AS ENUM ('open', 'paid', 'sent');
CREATE DOMAIN shop.cents AS int CHECK (VALUE >= 0);
CREATE TYPE shop.place AS (street text, town text);
CREATE SEQUENCE shop.invoice_numbers START 1000;
CREATE TABLE shop.customers (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  email text UNIQUE NOT NULL,
  phone text,
  name text NOT NULL DEFAULT 'n.n.',
  region text CHECK (region IN ('EU', 'US')),
  address shop.place,
  tags text[] NOT NULL DEFAULT '{}',
  created timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE shop.customers IS 'people who buy';
COMMENT ON COLUMN shop.customers.region IS 'where they live';
CREATE TABLE shop.orders (
  id bigint PRIMARY KEY DEFAULT nextval('shop.invoice_numbers'),
  customer_id int NOT NULL REFERENCES shop.customers ON DELETE CASCADE,
  state shop.status NOT NULL DEFAULT 'open',
  amount shop.cents NOT NULL,
  doubled int GENERATED ALWAYS AS (amount * 2) STORED,
  note varchar(200),
  UNIQUE (customer_id, id)
);
CREATE TABLE shop.leads (id serial PRIMARY KEY, email text UNIQUE NOT NULL, name text);
CREATE UNIQUE INDEX leads_email ON shop.leads (lower(email));
CREATE INDEX orders_state ON shop.orders (state) WHERE state <> 'sent';
CREATE INDEX orders_note ON shop.orders USING gin (note shop.gin_trgm_ops);
CREATE INDEX orders_lower ON shop.orders (lower(note), amount DESC);
CREATE TABLE shop.events (id int, day date NOT NULL, what text) PARTITION BY RANGE (day);
CREATE TABLE shop.events_2026 PARTITION OF shop.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE VIEW shop.big_orders AS SELECT id, customer_id, amount FROM shop.orders WHERE amount > 100;
CREATE VIEW shop.contacts AS SELECT id, email, name FROM shop.customers;
CREATE MATERIALIZED VIEW shop.totals AS SELECT customer_id, sum(amount) AS total FROM shop.orders GROUP BY 1;
CREATE FUNCTION shop.vat(amount int) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$ SELECT amount * 0.2 $$;
CREATE FUNCTION shop.stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
CREATE TRIGGER stamp BEFORE UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.stamp();
CREATE PROCEDURE shop.close_year(year int) LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
CREATE STATISTICS shop.orders_stat ON customer_id, state FROM shop.orders;
ALTER TABLE shop.events ENABLE ROW LEVEL SECURITY;
CREATE POLICY everyone ON shop.events USING (true);
CREATE RULE no_delete AS ON DELETE TO shop.events_2026 DO INSTEAD NOTHING;
CREATE TABLE public.notes (id int PRIMARY KEY, body text, kind char(3));
INSERT INTO shop.customers (email, phone, name, region)
  SELECT format('p%s@private.example', g), '+4930' || g, 'Name ' || g, CASE g % 2 WHEN 0 THEN 'EU' ELSE 'US' END FROM generate_series(1, 20) g;
INSERT INTO shop.orders (customer_id, amount, note) SELECT 1 + g % 20, g * 10, 'note ' || g FROM generate_series(1, 60) g;
INSERT INTO shop.events VALUES (1, '2026-02-02', 'x');
INSERT INTO public.notes VALUES (1, 'hello', 'abc');
REFRESH MATERIALIZED VIEW shop.totals;
ANALYZE;
