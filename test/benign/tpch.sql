-- The tables of TPC-H, with a few rows each: enough for every query to be planned and run.
CREATE SCHEMA tpch;
SET search_path = tpch;
CREATE TABLE region (r_regionkey int PRIMARY KEY, r_name char(25) NOT NULL, r_comment varchar(152));
CREATE TABLE nation (n_nationkey int PRIMARY KEY, n_name char(25) NOT NULL, n_regionkey int NOT NULL REFERENCES region, n_comment varchar(152));
CREATE TABLE supplier (s_suppkey int PRIMARY KEY, s_name char(25) NOT NULL, s_address varchar(40) NOT NULL, s_nationkey int NOT NULL REFERENCES nation,
  s_phone char(15) NOT NULL, s_acctbal numeric(15,2) NOT NULL, s_comment varchar(101) NOT NULL);
CREATE TABLE customer (c_custkey int PRIMARY KEY, c_name varchar(25) NOT NULL, c_address varchar(40) NOT NULL, c_nationkey int NOT NULL REFERENCES nation,
  c_phone char(15) NOT NULL, c_acctbal numeric(15,2) NOT NULL, c_mktsegment char(10) NOT NULL, c_comment varchar(117) NOT NULL);
CREATE TABLE part (p_partkey int PRIMARY KEY, p_name varchar(55) NOT NULL, p_mfgr char(25) NOT NULL, p_brand char(10) NOT NULL, p_type varchar(25) NOT NULL,
  p_size int NOT NULL, p_container char(10) NOT NULL, p_retailprice numeric(15,2) NOT NULL, p_comment varchar(23) NOT NULL);
CREATE TABLE partsupp (ps_partkey int REFERENCES part, ps_suppkey int REFERENCES supplier, ps_availqty int NOT NULL, ps_supplycost numeric(15,2) NOT NULL,
  ps_comment varchar(199) NOT NULL, PRIMARY KEY (ps_partkey, ps_suppkey));
CREATE TABLE orders (o_orderkey int PRIMARY KEY, o_custkey int NOT NULL REFERENCES customer, o_orderstatus char(1) NOT NULL, o_totalprice numeric(15,2) NOT NULL,
  o_orderdate date NOT NULL, o_orderpriority char(15) NOT NULL, o_clerk char(15) NOT NULL, o_shippriority int NOT NULL, o_comment varchar(79) NOT NULL);
CREATE TABLE lineitem (l_orderkey int NOT NULL REFERENCES orders, l_partkey int NOT NULL, l_suppkey int NOT NULL, l_linenumber int NOT NULL, l_quantity numeric(15,2) NOT NULL,
  l_extendedprice numeric(15,2) NOT NULL, l_discount numeric(15,2) NOT NULL, l_tax numeric(15,2) NOT NULL, l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL,
  l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL, l_comment varchar(44) NOT NULL,
  PRIMARY KEY (l_orderkey, l_linenumber));
INSERT INTO region VALUES (0, 'EUROPE', ''), (1, 'ASIA', ''), (2, 'AMERICA', '');
INSERT INTO nation VALUES (0, 'GERMANY', 0, ''), (1, 'FRANCE', 0, ''), (2, 'BRAZIL', 2, ''), (3, 'SAUDI ARABIA', 1, ''), (4, 'CANADA', 2, '');
INSERT INTO supplier SELECT g, 'Supplier#' || g, 'street ' || g, g % 5, '13-' || g, g * 100, 'quick' FROM generate_series(1, 10) g;
INSERT INTO customer SELECT g, 'Customer#' || g, 'street ' || g, g % 5, (10 + g) || '-555', g * 50 - 100, CASE g % 2 WHEN 0 THEN 'BUILDING' ELSE 'MACHINERY' END, 'c' FROM generate_series(1, 25) g;
INSERT INTO part SELECT g, 'forest green ' || g, 'Manufacturer#1', 'Brand#' || (10 + g), 'LARGE POLISHED BRASS', g, 'SM BOX', 900 + g, 'p' FROM generate_series(1, 20) g;
INSERT INTO partsupp SELECT p, s, 100 + p, 10 + s, 'ps' FROM generate_series(1, 20) p, generate_series(1, 10) s WHERE (p + s) % 4 = 0;
INSERT INTO orders SELECT g, 1 + g % 20, 'F', 1000 * g, DATE '1993-01-01' + g * 20, '1-URGENT', 'Clerk#1', 0, 'none' FROM generate_series(1, 60) g;
INSERT INTO lineitem SELECT o, 1 + (o + l) % 20, 1 + (o * l) % 10, l, 10 + o, 1000 + l, 0.06, 0.02, 'R', 'F', DATE '1993-01-05' + o * 20, DATE '1993-01-01' + o * 20 + l, DATE '1993-01-10' + o * 20,
  'DELIVER IN PERSON', 'AIR', 'l' FROM generate_series(1, 60) o, generate_series(1, 3) l;
RESET search_path;
ANALYZE;
