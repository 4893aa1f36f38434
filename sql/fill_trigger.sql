--
-- Fill triggers: made before a backfill where a later step relies on there being no gap, dropped behind it; plain
-- PL/pgSQL that fills what the statement would fill.
--
SET client_min_messages = warning;
CREATE SCHEMA fill_app;
SET search_path = fill_app, public;
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL, kind text);
INSERT INTO users SELECT i, 'n' || i, CASE WHEN i % 10 = 0 THEN 'bot' END FROM generate_series(1, 2000) i;
SELECT migration_register('f1', 'email', NULL, $$
ALTER TABLE users ADD COLUMN email text, ADD COLUMN since date;
UPDATE users AS u SET email = lower(u.name) || '@example.com', since = '2020-01-02' WHERE email IS NULL;
ALTER TABLE users ALTER email SET NOT NULL$$, 'ALTER TABLE users DROP COLUMN email, DROP COLUMN since');
SELECT step, kind, statement, lock_mode, transaction, note FROM migration_plan('f1') ORDER BY step;
-- Offline nothing is needed.
SELECT step, kind, statement FROM migration_plan('f1', online => false);
-- The script that psql runs holds the same.
SELECT migration_sql('f1') LIKE '%ENABLE ALWAYS TRIGGER zzz_migration_fill_email_%SET NOT NULL%DROP TRIGGER IF EXISTS zzz_migration_fill_email_%' AS same;
SELECT migration_upgrade();
SELECT count(*), count(email), min(email), max(since) FROM users;
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid = 'users'::regclass;
SELECT count(*) AS functions FROM pg_proc WHERE proname LIKE 'zzz\_migration%';
SELECT code, object FROM migration_check() WHERE code = 'fill_trigger';
SELECT step, kind, state FROM migration_ext.step WHERE run_id = (SELECT max(run_id) FROM migration_ext.run) ORDER BY step;

-- What it fills, looked at while it stands: the next step fails until the table lets it pass.
SELECT migration_register('f2', 'nick', 'f1', $$
ALTER TABLE users ADD COLUMN nick text;
UPDATE users SET nick = name || '!' WHERE nick IS NULL AND kind IS NULL;
ALTER TABLE users ADD CONSTRAINT has_nick CHECK (nick IS NOT NULL OR kind IS NOT NULL), ADD CONSTRAINT later CHECK (id < 3000)$$, 'ALTER TABLE users DROP CONSTRAINT has_nick, DROP CONSTRAINT later, DROP COLUMN nick');
INSERT INTO users VALUES (4000, 'too great', NULL, 'x');
SELECT migration_upgrade('f2');
SELECT tgenabled, tgtype, tgname ~ '^zzz_migration_fill_nick_[0-9a-f]{8}$' AS named, p.prosecdef, l.lanname, p.proconfig
FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_language l ON l.oid = p.prolang WHERE t.tgrelid = 'users'::regclass;
INSERT INTO users VALUES (2001, 'new', NULL, 'x'), (2002, 'robot', 'bot', 'x');
INSERT INTO users VALUES (2003, 'own', NULL, 'x', NULL, 'mine');
UPDATE users SET nick = NULL WHERE id = 1;
SET search_path = pg_catalog;
SET session_replication_role = replica;
INSERT INTO fill_app.users VALUES (2004, 'replicated', NULL, 'x');
RESET session_replication_role;
SET search_path = fill_app, public;
SELECT id, nick FROM users WHERE id IN (1, 2001, 2002, 2003, 2004) ORDER BY id;
-- A run that can go on needs it; one that was given up leaves it behind, and says how to be rid of it.
SELECT code, object FROM migration_check() WHERE code = 'fill_trigger';
SELECT migration_cancel();
SELECT code, severity, message, hint FROM migration_check() WHERE code = 'fill_trigger';
SELECT hint AS drop_it FROM migration_check() WHERE code = 'fill_trigger' \gset
:drop_it
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid = 'users'::regclass;
DELETE FROM users WHERE id = 4000;
SELECT migration_upgrade('f2');
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid = 'users'::regclass;

-- Names that need quotes, partitions, settings of the script, both proofs.
CREATE SCHEMA "Fill ""App";
SET search_path = "Fill ""App", "$user", public;
CREATE TABLE "Big T" (id int, "Col 1" int, b text) PARTITION BY RANGE (id);
CREATE TABLE "Big T 1" PARTITION OF "Big T" FOR VALUES FROM (0) TO (1000);
CREATE TABLE "Big T 2" PARTITION OF "Big T" FOR VALUES FROM (1000) TO (10000);
INSERT INTO "Big T" SELECT i FROM generate_series(1, 1500) i;
SELECT migration_register('f3', 'both proofs', 'f2', $$
SET timezone = 'UTC';
SELECT migration_backfill('"Big T"', '"Col 1" = "Big T".id + 1', '"Col 1" IS NULL', '{"verify": "constraint"}');
SELECT migration_backfill('"Big T"', 'b = ''it''''s''', 'b IS NULL', '{"verify": "scan"}')$$, 'SELECT 1');
SELECT step, kind, statement FROM migration_plan('f3') ORDER BY step;
SELECT migration_upgrade();
SELECT count(*), count("Col 1"), count(b), min(b) FROM "Big T";
SELECT count(*) AS left_over FROM pg_constraint WHERE conname LIKE 'zzz%';
SELECT count(*) AS triggers FROM pg_trigger WHERE tgname LIKE 'zzz%';
-- A trigger on a parent stands ALWAYS on every partition, also on one that comes later.
SELECT migration_register('f4', 'stops', 'f3', $$
SELECT migration_backfill('"Big T"', 'b = ''y''', 'b IS NULL', '{"trigger": "on"}');
SELECT 1 / 0$$, 'SELECT 1');
UPDATE "Big T" SET b = NULL WHERE id = 7;
BEGIN;
CREATE FUNCTION at_drop() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN
  IF current_setting('application_name') <> 'off' THEN RAISE 'not yet'; END IF; END$$;
CREATE EVENT TRIGGER at_drop ON ddl_command_start WHEN tag IN ('DROP TRIGGER') EXECUTE FUNCTION at_drop();
COMMIT;
SELECT migration_upgrade();
SET application_name = 'off';
DROP EVENT TRIGGER at_drop;
CREATE TABLE "Big T 3" PARTITION OF "Big T" FOR VALUES FROM (10000) TO (20000);
SELECT tgrelid::regclass, tgenabled FROM pg_trigger WHERE tgname LIKE 'zzz%' ORDER BY 1;
INSERT INTO "Big T" (id) VALUES (8), (15000);
SELECT id, b FROM "Big T" WHERE id IN (7, 8, 15000) ORDER BY 1, 2;
SELECT migration_cancel();

-- Refused: a condition that a constraint cannot hold; options that do not exist.
SELECT migration_register('f5', 'mutable', 'f3', $$
SELECT migration_backfill('"Big T"', 'b = ''x''', 'b IS NULL AND now() > ''2020-01-01''', '{"verify": "constraint"}')$$, 'SELECT 1');
SELECT migration_upgrade('f5');
\echo :SQLSTATE
SELECT migration_cancel();
SELECT code, message FROM migration_check() WHERE code = 'fill_trigger' ORDER BY 2;
SELECT migration_register('f6', 'option', 'f3', $$SELECT migration_backfill('"Big T"', 'b = ''x''', 'b IS NULL', '{"trigger": "always"}')$$, 'SELECT 1');
SELECT string_agg(hint, ' ') AS drop_it FROM migration_check() WHERE code = 'fill_trigger' \gset
:drop_it
SELECT count(*) AS left_over FROM migration_check() WHERE code = 'fill_trigger';
-- The script for psql ends where the upgrade would.
INSERT INTO "Big T" (id) VALUES (9);
SELECT migration_register('f9', 'by psql', 'f3', $$UPDATE "Big T" SET b = 'z' WHERE b IS NULL; ALTER TABLE "Big T" ALTER b SET NOT NULL$$, 'SELECT 1');
SELECT substr(script, position(E'\n' IN script)) AS script FROM migration_sql('f9') script \gset
:script
SET search_path = "Fill ""App", "$user", public;
SELECT count(*) FILTER (WHERE b = 'z') AS filled, count(*) FILTER (WHERE b IS NULL) AS left FROM "Big T";
SELECT attnotnull FROM pg_attribute WHERE attrelid = '"Big T"'::regclass AND attname = 'b';
SELECT revision FROM migration_ext.applied WHERE revision = 'f9';
SELECT count(*) AS triggers FROM pg_trigger WHERE tgname LIKE 'zzz%';
ALTER TABLE "Big T" ALTER b DROP NOT NULL;
-- No trigger where it could not mean the same.
SELECT migration_register('f7', 'ctid', 'f3', $$UPDATE "Big T" SET b = ctid::text WHERE b IS NULL; ALTER TABLE "Big T" ALTER b SET NOT NULL$$, 'SELECT 1');
SELECT step, kind, statement, note FROM migration_plan('f7');
-- What does not resolve fails before an application can meet it.
SELECT migration_register('f8', 'no such function', 'f3', $$UPDATE "Big T" SET b = nothing(id) WHERE b IS NULL; ALTER TABLE "Big T" ALTER b SET NOT NULL$$, 'SELECT 1');
SELECT migration_upgrade('f8');

-- A partition key is not for a trigger to fill, and generated columns have no value yet when it looks.
SET search_path = fill_app, public;
CREATE TABLE keyed (k int, c int, g int, d int) PARTITION BY LIST (k);
CREATE TABLE keyed_0 PARTITION OF keyed DEFAULT;
CREATE TABLE made (c int, g int GENERATED ALWAYS AS (c * 2) STORED, d int);
SELECT migration_register('k1', 'key', 'f2', $$UPDATE keyed SET k = 1 WHERE k IS NULL; ALTER TABLE keyed ALTER k SET NOT NULL; UPDATE made SET d = g WHERE d IS NULL; ALTER TABLE made ALTER d SET NOT NULL$$, 'SELECT 1');
SELECT step, kind, statement, note FROM migration_plan('k1');
-- With a trigger that stands all the time nobody looks at the whole table again. A value that stays NULL tells: it is
-- asked for by the batch alone, whose rows the trigger is not called for, or by the batch and by the last look.
CREATE SEQUENCE asked;
CREATE TABLE looked (id int, c text);
INSERT INTO looked SELECT generate_series(1, 100);
CREATE FUNCTION ask(id int) RETURNS text LANGUAGE sql AS $$SELECT CASE WHEN id = 7 THEN nullif(nextval('asked'), currval('asked'))::text ELSE 'x' END$$;
SELECT migration_register('l1', 'without', 'f2', $$SELECT migration_backfill('looked', 'c = ask(id)', 'c IS NULL', '{"trigger": "off"}')$$, 'SELECT 1');
SELECT migration_register('l2', 'with', 'l1', $$SELECT migration_backfill('looked', 'c = ask(id)', 'c IS NULL', '{"trigger": "on"}')$$, 'SELECT 1');
SELECT migration_upgrade('l1');
SELECT last_value AS batch_and_last_look FROM asked;
SELECT setval('asked', 1, false);
UPDATE looked SET c = NULL;
SELECT migration_upgrade('l2');
SELECT last_value AS batch_alone, count(c) AS filled FROM asked, looked GROUP BY 1;

-- A row trigger says nothing about tables that inherit; the last look does.
CREATE TABLE fill_parent (id int, c int);
CREATE TABLE fill_heir () INHERITS (fill_parent);
INSERT INTO fill_parent SELECT generate_series(1, 100);
INSERT INTO fill_heir SELECT generate_series(101, 200);
SELECT migration_backfill('fill_parent', 'c = id', 'c IS NULL', '{"trigger": "on"}');
SELECT migration_backfill('fill_parent', 'c = id', 'c IS NULL') AS run \gset
SELECT migration_wait(:run);
SELECT count(*) FROM fill_parent WHERE c = id;
SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('fill_parent'::regclass, 'fill_heir'::regclass);
DROP TABLE fill_parent CASCADE;

DROP SCHEMA fill_app CASCADE;
DROP SCHEMA "Fill ""App" CASCADE;
SELECT mtest.clean();
