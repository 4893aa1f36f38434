--
-- migration_sql() is a script for psql that ends where the run itself ends: the same schema, the same rows, the same applied set, up and down.
--
SET client_min_messages = warning;
CREATE TABLE script_t (id int PRIMARY KEY, a int);
INSERT INTO script_t SELECT i FROM generate_series(1, 100) i;
SELECT migration_register('s1', E'first\n\\! echo a line for psql', NULL, $$
  CREATE TABLE script_new (id int GENERATED ALWAYS AS IDENTITY, note text DEFAULT 'it''s; -- no comment');
  COMMENT ON TABLE script_new IS E'two\nlines';
  CREATE FUNCTION script_f(x int) RETURNS int LANGUAGE plpgsql AS $f$ BEGIN RETURN x + 1; END $f$;
$$);
SELECT migration_register('s2', 'second', 's1', $$
  SET search_path = public, pg_catalog;
  CREATE INDEX CONCURRENTLY script_i ON script_t (a) -- last comment
$$);
SELECT migration_register('s3', 'third', 's2', $$
  UPDATE script_t SET a = id WHERE a IS NULL;
  SELECT migration_backfill('script_t', 'a = script_f(a)', 'id <= 50');
  ALTER TABLE script_t ADD COLUMN b text; ALTER TABLE script_t ALTER b SET DEFAULT ':not_a_variable'
$$, $$ALTER TABLE script_t DROP COLUMN b; UPDATE script_t SET a = NULL;$$);
SELECT migration_register('s4', 'nothing to do', 's3', '', '');
\pset format unaligned
\pset tuples_only on
-- For review.
SELECT strpos(migration_sql(), (SELECT fingerprint FROM migration_show('s1'))) > 0 AS ledger_included;
SELECT regexp_replace(migration_sql(), '[0-9a-f]{64}', '<sha256>', 'g');
-- For running.
\set file `mktemp`
SELECT mtest.schema('public') AS start \gset
SELECT migration_sql() AS script \g (tuples_only=on format=unaligned) :file
\set ECHO none
\i :file
\set ON_ERROR_STOP off
\set ECHO all
SELECT mtest.schema('public') || (SELECT string_agg(t::text, ' ' ORDER BY id) FROM script_t t) AS by_script \gset
SELECT mtest.applied();
SELECT state, pending FROM migration_status();
SELECT migration_sql('base') AS script \g (tuples_only=on format=unaligned) :file
SELECT regexp_replace(migration_sql('base'), '[0-9a-f]{64}', '<sha256>', 'g');
\set ECHO none
\i :file
\set ON_ERROR_STOP off
\set ECHO all
SELECT mtest.applied();
SELECT mtest.same(:'start', mtest.schema('public'));
SELECT count(a) FROM script_t;
SELECT migration_upgrade();
SELECT mtest.same(:'by_script', mtest.schema('public') || (SELECT string_agg(t::text, ' ' ORDER BY id) FROM script_t t));
SELECT mtest.applied();
SELECT migration_downgrade('base', allow_data_loss => true);
SELECT mtest.same(:'start', mtest.schema('public'));
-- As if something else were applied; and when there is nothing to do.
SELECT regexp_replace(migration_sql('s1', 'base'), '[0-9a-f]{64}', '<sha256>', 'g');
SELECT regexp_replace(migration_sql('s3', 's4'), '[0-9a-f]{64}', '<sha256>', 'g');
SELECT migration_sql('s4', 's4');
SELECT migration_sql('base');
SELECT mtest.try('SELECT migration_sql(''s1:s2'')');
SELECT mtest.try('SELECT migration_sql(''s1'', ''nobody'')');
-- A downgrade that is not there.
SELECT migration_register('s5', 'one way', 's4', 'SELECT 1', 'irreversible');
SELECT mtest.try('SELECT migration_sql(''s4'', ''s5'')');
\setenv FILE :file
\! rm -f "$FILE"
DROP TABLE script_t;
SELECT mtest.clean();
