-- The \d family.
create schema app; set search_path = app, public;
create table customer(id int primary key generated always as identity, email text unique not null, name varchar(50) default 'n/a', credit numeric(10,2) check (credit >= 0), tags text[], made timestamptz default '2024-01-01Z', lower_email text generated always as (lower(email)) stored);
create table orders(id bigserial primary key, customer int not null references customer on delete cascade, total numeric, note text collate "C", at date) ;
create index on orders(customer, at desc); create index orders_note on orders(lower(note)) where note is not null;
create table part(k int, v text) partition by range (k); create table part_1 partition of part for values from (0) to (100); create table part_d partition of part default;
create table child(extra int) inherits (customer);
create view customer_mails as select id, email from customer where credit > 0; create materialized view totals as select customer, sum(total) s from orders group by 1 with no data;
create function add(a int, b int default 1) returns int language sql immutable as 'select a + b';
create procedure noop(inout x int) language plpgsql as $$ begin x := x + 1; end $$;
create aggregate mysum(int) (sfunc = int4pl, stype = int, initcond = '0');
create operator === (leftarg = int, rightarg = int, function = int4eq);
create type status as enum ('new', 'done'); create type address as (street text, no int); create domain mail as text check (value like '%@%');
create rule no_delete as on delete to customer_mails do instead nothing;
create function trg() returns trigger language plpgsql as 'begin return new; end'; create trigger before_customer before insert or update on customer for each row execute function trg();
alter table customer enable row level security; create policy mine on customer for select using (name = current_user);
comment on table customer is 'who buys'; comment on column customer.email is 'where to write';
create role conformance_reader; grant select on customer to conformance_reader; grant usage on schema app to conformance_reader; grant update(name) on customer to conformance_reader;
create sequence numbers start 100 increment 5 maxvalue 1000 cycle; create statistics stat (dependencies) on customer, at from orders;
create publication pub for table orders;
\d
\dt
\dt+ app.*
\d customer
\d+ customer
\d orders
\d+ part
\d part_1
\d child
\d customer_mails
\d+ customer_mails
\d totals
\d numbers
\d orders_note
\di
\di+ app.*
\ds
\dv
\dm
\dn
\dn+ app
\df app.*
\df+ app.add
\da app.*
\do app.*
\dT app.*
\dT+ app.status
\dD app.*
\dp app.*
\ddp
\du conformance*
\drds
\dy
\dx
\db
\dc app.*
\dC (integer as bigint)
\dL
\dO app.*
\dF
\dFd simple
\dP
\dP+
\dRp
\dRp+
\dX
\dd app.*
\des
\dew
\det
\dl
\sf app.add
\sf+ app.noop
\sv app.customer_mails
\dt nothing.like.this
\d nothing
\df int4pl
\dconfig work_mem
\encoding
\dt *.part*
\d "Quoted Name"
\d app.cust*
drop schema app cascade; drop publication pub; drop owned by conformance_reader; drop role conformance_reader;
