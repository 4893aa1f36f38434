-- A backfill outside revisions makes its fill trigger and its proof by itself, and drops them.
SET client_min_messages = warning;
CREATE SCHEMA alone;
SET search_path = alone, public;
CREATE TABLE t (id int PRIMARY KEY, c text, n int);
INSERT INTO t SELECT generate_series(1, 500);
-- The trigger and the constraint are there while the batches go on; a row is filled as it is written.
CREATE TABLE seen (triggers bigint, checks bigint);
CREATE FUNCTION look(i int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  IF i = 100 THEN
    INSERT INTO alone.seen SELECT (SELECT count(*) FROM pg_trigger WHERE tgrelid = 'alone.t'::regclass AND tgenabled = 'A'),
      (SELECT count(*) FROM pg_constraint WHERE conrelid = 'alone.t'::regclass AND contype = 'c');
    INSERT INTO alone.t VALUES (1001);
  END IF;
  RETURN 'f' || i;
END $$;
SELECT migration_backfill('t', 'c = look(id)', 'c IS NULL', '{"trigger": "on", "cursor": "keyset"}') AS run \gset
SELECT migration_wait(:run, '60 s');
SELECT step, kind, state, completes, regexp_replace(left(split_part(statements[1], E'\n', 1), 60), '_[0-9a-f]{8}', '_X', 'g') AS first FROM migration_ext.step WHERE run_id = :run ORDER BY step;
SELECT * FROM seen;
SELECT count(*) FILTER (WHERE c = 'f' || id) AS filled, count(*) FROM t;
SELECT count(*) AS left_over FROM pg_trigger WHERE tgname LIKE 'zzz%';
SELECT migration_backfill('t', 'n = 1', 'n IS NULL', '{"verify": "constraint"}') AS run \gset
SELECT migration_wait(:run, '60 s');
SELECT step, kind, state, cardinality(statements) AS statements FROM migration_ext.step WHERE run_id = :run ORDER BY step;
SELECT count(*) FILTER (WHERE n = 1) AS filled, count(*) FROM t;
SELECT count(*) AS left_over FROM pg_constraint WHERE conname LIKE 'zzz%';
SELECT count(*) AS left_over FROM migration_check() WHERE code = 'fill_trigger';
-- Refused, with the reason, and nothing is queued.
SELECT sql, mtest.try(sql) FROM unnest(ARRAY[
  $$SELECT migration_backfill('t', 'n = n + 1', NULL, '{"trigger": "on"}')$$,
  $$SELECT migration_backfill('t', NULL, 'n IS NULL', '{"trigger": "on", "action": "delete"}')$$,
  $$SELECT migration_backfill('t', 'n = 1', 'n <> 1', '{"verify": "constraint"}')$$,
  $$SELECT migration_backfill('t', 'c = ctid::text', 'c IS NULL', '{"trigger": "on"}')$$]) sql;
SELECT count(*) AS queued FROM migration_ext.run WHERE state = 'queued';
-- Given up: what is left is named, with the statement that removes it.
UPDATE t SET c = NULL;
CREATE FUNCTION fail(i int) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN 1 / (i - 77); END';
SELECT migration_backfill('t', 'c = fail(id)', 'c IS NULL', '{"trigger": "on"}') AS run \gset
\set VERBOSITY sqlstate
SELECT migration_wait(:run, '60 s');
\set VERBOSITY default
SELECT count(*) AS left_over FROM migration_check() WHERE code = 'fill_trigger';
SELECT migration_cancel(:run);
SELECT regexp_replace(message, '_[0-9a-f]{8}', '_X', 'g') AS message FROM migration_check() WHERE code = 'fill_trigger';
SELECT hint AS drop_it FROM migration_check() WHERE code = 'fill_trigger' \gset
:drop_it
SELECT count(*) AS left_over FROM pg_trigger WHERE tgname LIKE 'zzz%';
RESET search_path;
DROP SCHEMA alone CASCADE;
DELETE FROM mtest.hint WHERE hint LIKE '%alone.t%';  -- z_hints resolves names, and the table is gone
SELECT mtest.clean();
