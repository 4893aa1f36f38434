--
-- A downgrade that was not given is derived from the statements where they tell the way back, and is never guessed. Each line: the script,
-- its downgrade, and what the schema says after up and down; the round trip runs inside a transaction, in plain forms.
--
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
CREATE TABLE d_t (id int PRIMARY KEY, a int, b text NOT NULL DEFAULT 'x', CONSTRAINT d_check CHECK (a > 0));
CREATE INDEX d_index ON d_t (a);
CREATE TABLE d_other (id int PRIMARY KEY);
CREATE TYPE d_enum AS ENUM ('one', 'two');
CREATE TYPE d_comp AS (x int);
CREATE DOMAIN d_domain AS int CONSTRAINT d_dc CHECK (VALUE > 0);
CREATE FUNCTION d_func() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER d_trigger AFTER INSERT ON d_t FOR EACH ROW EXECUTE FUNCTION d_func();
CREATE VIEW d_view AS SELECT id FROM d_t;
CREATE MATERIALIZED VIEW d_matview AS SELECT 1 AS x;
CREATE SEQUENCE d_seq;
CREATE POLICY d_policy ON d_t USING (true);
CREATE TABLE d_part (id int) PARTITION BY RANGE (id);
CREATE TABLE d_part1 (id int);
CREATE TABLE d_child (id int NOT NULL);
CREATE SCHEMA d_schema;
CREATE FUNCTION pg_temp.round_trip(script text) RETURNS text LANGUAGE plpgsql AS $f$
DECLARE before text := mtest.schema('public'); after text; kind text; down text; m text; h text;
BEGIN
  PERFORM migration_register('d', 'm', NULL, script);
  SELECT downgrade_kind, downgrade INTO kind, down FROM migration_show('d');
  IF down IS NULL THEN RAISE SQLSTATE 'TEST1'; END IF;
  PERFORM migration_upgrade('d', online => false);
  PERFORM migration_downgrade('base', online => false, allow_data_loss => true);
  after := mtest.same(before, mtest.schema('public'));
  RAISE SQLSTATE 'TEST2';
EXCEPTION WHEN SQLSTATE 'TEST1' THEN RETURN '  ' || kind;
WHEN SQLSTATE 'TEST2' THEN
  RETURN format('  %s: %s', kind, replace(rtrim(down, E'\n'), E'\n', ' ')) || CASE WHEN after <> 'same' THEN E'\n  NOT RESTORED: ' || after ELSE '' END;
WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, h = PG_EXCEPTION_DETAIL;
  RETURN format('  %s: %s' || E'\n  FAILED: %s %s (%s)', kind, down, SQLSTATE, m, h);
END $f$;
CREATE TEMP TABLE script (n serial, text text);
INSERT INTO script (text) VALUES
  ('CREATE TABLE d_new (id int PRIMARY KEY, r int REFERENCES d_t)'), ('CREATE TABLE IF NOT EXISTS d_new (id int)'), ('CREATE TABLE d_new AS SELECT 1 AS x'), ('SELECT 1 AS x INTO d_new'),
  ('CREATE TABLE "d New" ("a b" int)'), ('CREATE TABLE d_new (id int); CREATE INDEX ON d_new (id); INSERT INTO d_new VALUES (1)'), ('CREATE TABLE d_part2 PARTITION OF d_part FOR VALUES FROM (0) TO (1)'),
  ('ALTER TABLE d_t ADD COLUMN c int'), ('ALTER TABLE d_t ADD c int NOT NULL DEFAULT 1, ADD d text'), ('ALTER TABLE d_t ADD COLUMN IF NOT EXISTS c int'), ('ALTER TABLE IF EXISTS d_t ADD c int'),
  ('ALTER TABLE d_t ADD c int; UPDATE d_t SET c = 1; ALTER TABLE d_t ALTER c SET NOT NULL; CREATE INDEX d_c ON d_t (c)'), ('ALTER TABLE d_t DROP COLUMN a'),
  ('ALTER TABLE d_t ALTER a SET NOT NULL'), ('ALTER TABLE d_t ALTER b DROP NOT NULL'), ('ALTER TABLE d_t ALTER a SET DEFAULT 1'), ('ALTER TABLE d_t ALTER b DROP DEFAULT'), ('ALTER TABLE d_t ALTER a TYPE bigint'),
  ('ALTER TABLE d_t ADD CONSTRAINT d_c CHECK (a > 1) NOT VALID; ALTER TABLE d_t VALIDATE CONSTRAINT d_c'), ('ALTER TABLE d_t ADD CHECK (a > 1)'), ('ALTER TABLE d_t ADD CONSTRAINT d_u UNIQUE (a)'),
  ('ALTER TABLE d_t ADD CONSTRAINT d_f FOREIGN KEY (a) REFERENCES d_other'), ('ALTER TABLE d_t DROP CONSTRAINT d_check'), ('ALTER TABLE d_t RENAME CONSTRAINT d_check TO d_checked'),
  ('CREATE UNIQUE INDEX d_u ON d_t (a); ALTER TABLE d_t ADD CONSTRAINT d_u UNIQUE USING INDEX d_u'),
  ('ALTER TABLE d_t RENAME TO d_renamed'), ('ALTER TABLE d_t RENAME a TO z'), ('ALTER TABLE d_t RENAME TO d_x; ALTER TABLE d_x RENAME COLUMN a TO y; ALTER TABLE d_x ADD COLUMN q int'),
  ('ALTER TABLE d_t ENABLE ROW LEVEL SECURITY'), ('ALTER TABLE d_t FORCE ROW LEVEL SECURITY'), ('ALTER TABLE d_t DISABLE TRIGGER d_trigger'), ('ALTER TABLE d_t SET UNLOGGED'), ('ALTER TABLE d_t SET (fillfactor = 50)'),
  ('ALTER TABLE d_t ALTER id ADD GENERATED ALWAYS AS IDENTITY'), ('ALTER TABLE public.d_t SET SCHEMA d_schema'), ('ALTER TABLE d_t OWNER TO CURRENT_USER'), ('ALTER TABLE d_t CLUSTER ON d_index'),
  ('CREATE INDEX d_i ON d_t (b)'), ('CREATE INDEX CONCURRENTLY d_i ON d_t (b)'), ('CREATE INDEX ON d_t (b)'), ('CREATE INDEX IF NOT EXISTS d_i ON d_t (b)'), ('DROP INDEX d_index'), ('ALTER INDEX d_index RENAME TO d_index2'),
  ('CREATE VIEW d_v AS SELECT 1 AS x'), ('CREATE OR REPLACE VIEW d_view AS SELECT id FROM d_t WHERE id > 0'), ('CREATE MATERIALIZED VIEW d_m AS SELECT 1 AS x'), ('CREATE SEQUENCE d_s'), ('ALTER SEQUENCE d_seq RENAME TO d_seq2'),
  ('CREATE FUNCTION d_f(a int, b text DEFAULT ''x'') RETURNS int LANGUAGE sql AS ''SELECT 1'''), ('CREATE OR REPLACE FUNCTION d_f() RETURNS int LANGUAGE sql AS ''SELECT 1'''), ('CREATE PROCEDURE d_pr() LANGUAGE sql AS ''SELECT 1'''),
  ('CREATE FUNCTION d_g() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NULL; END''; CREATE TRIGGER d_tr AFTER UPDATE ON d_t FOR EACH ROW EXECUTE FUNCTION d_g()'), ('DROP TRIGGER d_trigger ON d_t'),
  ('ALTER FUNCTION d_func() RENAME TO d_func2'), ('CREATE TYPE d_e AS ENUM (''a'')'), ('ALTER TYPE d_enum RENAME VALUE ''one'' TO ''uno'''), ('ALTER TYPE d_enum ADD VALUE ''three'''), ('CREATE TYPE d_c AS (x int)'),
  ('ALTER TYPE d_comp ADD ATTRIBUTE y int'), ('CREATE DOMAIN d_d AS text'), ('ALTER DOMAIN d_domain SET NOT NULL'), ('ALTER DOMAIN d_domain ADD CONSTRAINT d_dd CHECK (VALUE < 9)'), ('CREATE TYPE d_r AS RANGE (subtype = int4)'),
  ('CREATE POLICY d_p2 ON d_t USING (false)'), ('ALTER POLICY d_policy ON d_t RENAME TO d_pol'), ('CREATE RULE d_rule AS ON DELETE TO d_t DO INSTEAD NOTHING'), ('CREATE STATISTICS d_st ON id, a FROM d_t'),
  ('GRANT SELECT, UPDATE (a) ON d_t TO PUBLIC'), ('REVOKE SELECT ON d_t FROM PUBLIC'), ('COMMENT ON TABLE d_t IS ''x'''),
  ('COMMENT ON COLUMN d_t.a IS NULL'), ('COMMENT ON FUNCTION d_func() IS ''x'''), ('COMMENT ON TYPE d_enum IS ''x'''), ('COMMENT ON TRIGGER d_trigger ON d_t IS ''x'''), ('COMMENT ON SCHEMA public IS ''x'''),
  ('CREATE TABLE d_new (id int, v int CONSTRAINT d_ck CHECK (v > 0)); COMMENT ON TABLE d_new IS ''x''; COMMENT ON COLUMN d_new.v IS ''x''; COMMENT ON CONSTRAINT d_ck ON d_new IS ''x'''),
  ('ALTER TABLE d_t ADD d_col int, ADD CONSTRAINT d_con CHECK (id > 0) NOT VALID; COMMENT ON COLUMN d_t.d_col IS ''x''; COMMENT ON CONSTRAINT d_con ON d_t IS ''x'''), ('CREATE INDEX d_ix ON d_t (id); COMMENT ON INDEX d_ix IS ''x'''),
  ('CREATE FUNCTION d_f(a int, b text) RETURNS int LANGUAGE sql AS ''SELECT 1''; COMMENT ON FUNCTION d_f(int, text) IS ''x'''), ('CREATE TYPE d_e AS ENUM (); COMMENT ON TYPE d_e IS ''x'''), ('CREATE SCHEMA d_s2; COMMENT ON SCHEMA d_s2 IS ''x'''),
  ('CREATE VIEW d_v AS SELECT 1 AS x; COMMENT ON VIEW d_v IS ''x''; COMMENT ON COLUMN d_v.x IS ''x'''), ('CREATE OR REPLACE VIEW d_view AS SELECT id FROM d_t; COMMENT ON VIEW d_view IS ''x'''), ('CREATE TABLE d_new (id int); COMMENT ON TABLE d_other IS ''x'''), ('CREATE SCHEMA d_s2'), ('CREATE AGGREGATE d_a(int) (sfunc = int4pl, stype = int)'),
  ('CREATE CAST (d_comp AS text) WITH INOUT'), ('CREATE COLLATION d_co (locale = ''C'')'), ('CREATE OPERATOR ### (leftarg = int, rightarg = int, function = int4pl)'),
  ('ALTER TABLE d_part ATTACH PARTITION d_part1 FOR VALUES FROM (0) TO (1)'), ('ALTER TABLE d_child INHERIT d_other'),
  ('INSERT INTO d_t VALUES (1)'), ('UPDATE d_t SET a = 1'), ('DELETE FROM d_t'), ('TRUNCATE d_t'), ('DROP TABLE d_other'), ('DROP VIEW d_view'), ('SELECT 1'), ('SELECT set_config(''a.b'', ''c'', false)'), ('DO ''BEGIN END'''),
  ('SET work_mem = ''1MB'''), ('ANALYZE d_t'), ('REFRESH MATERIALIZED VIEW d_matview'), (''), ('-- nothing'), ('CREATE TABLE d_new (id int); DROP TABLE d_new'), ('CREATE TABLE d_new (id int); ALTER TABLE d_new RENAME TO d_newer; ALTER TABLE d_newer ADD c int'),
  ('CREATE TABLE public.d_new (id int); ALTER TABLE public.d_new SET SCHEMA d_schema; ALTER TABLE d_schema.d_new ADD c int'), ('CREATE TABLE d_new (id int); ALTER TABLE d_new SET SCHEMA d_schema'),
  ('CREATE FUNCTION public.d_f() RETURNS int LANGUAGE sql AS ''SELECT 1''; ALTER FUNCTION public.d_f() SET SCHEMA d_schema'), ('CREATE TYPE d_e AS ENUM (); ALTER TYPE d_e SET SCHEMA d_schema'),
  ('CREATE TABLE d_new (id int PRIMARY KEY); CREATE TABLE d_new2 (r int UNIQUE REFERENCES d_new); ALTER TABLE d_new ADD FOREIGN KEY (id) REFERENCES d_new2 (r) NOT VALID');
SELECT text || E'\n' || pg_temp.round_trip(text) FROM script ORDER BY n;
-- Where there is no way back, it is said at registration and again when it is asked for.
RESET client_min_messages;
SELECT migration_register('d1', 'one way', NULL, 'DROP VIEW d_view; UPDATE d_t SET a = 1; CREATE TABLE d_new (id int)');
SELECT migration_register('d2', 'declared', 'd1', 'SELECT 1', ' Irreversible ');
SELECT migration_stamp('d2');
SELECT migration_downgrade('d1');
\echo :SQLSTATE
SELECT migration_stamp('d1');
SELECT migration_downgrade('base');
\echo :SQLSTATE
SELECT code, object, message FROM migration_check();
SELECT migration_stamp('base');
SET client_min_messages = warning;
DROP MATERIALIZED VIEW d_matview;
DROP TABLE d_t, d_other, d_child, d_part, d_part1 CASCADE;
DROP TYPE d_enum, d_comp;
DROP DOMAIN d_domain;
DROP FUNCTION d_func;
DROP SEQUENCE d_seq;
DROP SCHEMA d_schema;
SELECT mtest.clean();
