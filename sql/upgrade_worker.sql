--
-- A step that cannot be part of a transaction makes the whole run a background worker's; the session waits and hears its NOTICEs. What is
-- done stays done; a failed run goes on where it stopped.
--
CREATE TABLE w_t (id int PRIMARY KEY, a int, n int NOT NULL DEFAULT 0, gone boolean NOT NULL DEFAULT false);
INSERT INTO w_t (id, gone) SELECT i, i % 10 = 0 FROM generate_series(1, 20000) i;
CREATE TYPE w_e AS ENUM ('old');
CREATE TABLE w_p (id int, at int) PARTITION BY RANGE (id);
CREATE TABLE w_p1 PARTITION OF w_p FOR VALUES FROM (0) TO (100);
CREATE TABLE w_p2 PARTITION OF w_p FOR VALUES FROM (100) TO (200);
CREATE TABLE w_p3 PARTITION OF w_p FOR VALUES FROM (200) TO (300);
INSERT INTO w_p SELECT i, i FROM generate_series(0, 299) i;
CREATE MATERIALIZED VIEW w_m AS SELECT count(*) FROM w_t;
CREATE UNIQUE INDEX ON w_m (count);
-- A concurrent build, with what a user sees of it.
SELECT migration_register('w1', 'index', NULL, 'CREATE INDEX CONCURRENTLY w_i ON w_t (a)');
SELECT migration_upgrade();
SELECT indisvalid FROM pg_index WHERE indexrelid = 'w_i'::regclass;
SELECT run_id, direction, target, state, background, steps, steps_done FROM migration_runs();
SELECT event, revision, step FROM migration_log() ORDER BY event_id;
SELECT mtest.applied();
-- Backfills: a filled column, a delete, one where every row must be touched exactly once, one by call, one over partitions.
SELECT migration_register('w2', 'rows', 'w1', $$
  UPDATE w_t SET a = id WHERE a IS NULL;
  DELETE FROM w_t WHERE gone;
  UPDATE w_t SET n = n + 1;
  SELECT migration_backfill('w_t', 'a = a + 1', 'id % 2 = 0');
  UPDATE w_p SET at = NULL WHERE at IS NOT NULL;
  UPDATE w_p SET at = -1 WHERE at IS NULL;
$$, '');
SELECT step, kind, split_part(note, ';', 1) AS note FROM migration_plan();
SELECT migration_upgrade();
SELECT count(*), min(n), max(n), count(a), sum(a - id), count(*) FILTER (WHERE gone) AS gone FROM w_t;
SELECT count(*), min(at), max(at) FROM w_p;
SELECT step, action, relation, cursor_kind, state, rows_done FROM migration_ext.job ORDER BY step;
-- A value of an enum can be used by the next statement; the settings of a script hold for every later step of it.
SELECT migration_register('w3', 'enum and settings', 'w2', $$
  SET search_path = public, pg_catalog;
  SET work_mem = '123kB';
  ALTER TYPE w_e ADD VALUE 'new';
  CREATE TABLE w_u (e w_e DEFAULT 'new', mem text);
  INSERT INTO w_u (mem) SELECT current_setting('work_mem');
  CREATE INDEX CONCURRENTLY w_ui ON w_u (e);
  INSERT INTO w_u (mem) SELECT current_setting('work_mem') || ' after';
$$, 'DROP TABLE w_u');
SET client_min_messages = warning;
SELECT migration_upgrade();
SELECT * FROM w_u;
-- Maintenance and partitions.
SELECT migration_register('w4', 'maintenance', 'w3', $$
  VACUUM (ANALYZE) w_t;
  REFRESH MATERIALIZED VIEW CONCURRENTLY w_m;
  REINDEX INDEX CONCURRENTLY w_i;
  ALTER TABLE w_p DETACH PARTITION w_p3 CONCURRENTLY;
  CREATE INDEX CONCURRENTLY w_pi ON w_p (at);
  ALTER TABLE w_t ADD CONSTRAINT w_c CHECK (id > 0) NOT VALID;
  ALTER TABLE w_t VALIDATE CONSTRAINT w_c;
  DROP INDEX CONCURRENTLY w_i;
$$, '');
SELECT migration_upgrade();
SELECT i.indexrelid::regclass, i.indisvalid, i.indrelid::regclass FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relname LIKE 'w\_p%' ORDER BY 3;
SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'w_p'::regclass ORDER BY 1;
SELECT * FROM w_m;
SELECT convalidated FROM pg_constraint WHERE conname = 'w_c';
SELECT to_regclass('w_i');
-- A failing step: the ones before it are done, the revision is not; status says what to type.
SELECT migration_register('w5', 'unique', 'w4', $$
  ALTER TABLE w_t ADD COLUMN u int;
  UPDATE w_t SET u = least(id, 17) WHERE u IS NULL;
  CREATE UNIQUE INDEX CONCURRENTLY w_uniq ON w_t (u);
  ALTER TABLE w_t ADD CONSTRAINT w_uniq UNIQUE USING INDEX w_uniq;
$$, '');
SELECT migration_register('w6', 'after it', 'w5', 'CREATE TABLE w_after ()', 'DROP TABLE w_after');
SELECT migration_upgrade();
\echo :SQLSTATE
SELECT mtest.applied(), to_regclass('w_after'), (SELECT count(u) FROM w_t) AS filled;
SELECT state, step, waiting_for, hint FROM migration_status();
SELECT state, steps, steps_done, sqlstate, message, hint FROM migration_runs() LIMIT 1;
SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE NOT indisvalid;
-- Waiting for it, or for anything that failed, is an error again.
SELECT migration_wait();
\echo :SQLSTATE
-- The text of a half-done revision: what is done must stay as it is, what is not may change.
SELECT migration_register('w5', 'unique', 'w4', $$
  ALTER TABLE w_t ADD COLUMN u bigint;
  UPDATE w_t SET u = least(id, 17) WHERE u IS NULL;
  CREATE UNIQUE INDEX CONCURRENTLY w_uniq ON w_t (u);
  ALTER TABLE w_t ADD CONSTRAINT w_uniq UNIQUE USING INDEX w_uniq;
$$, '');
SELECT migration_upgrade();
\echo :SQLSTATE
SELECT migration_register('w5', 'unique', 'w4', $$
  ALTER TABLE w_t ADD COLUMN u int;
  UPDATE w_t SET u = least(id, 17) WHERE u IS NULL;
  CREATE UNIQUE INDEX CONCURRENTLY w_uniq ON w_t (u) WHERE id > 0;
  CREATE TABLE w_second_thought ();
$$, '');
-- After the data is mended it goes on: nothing is done twice.
UPDATE w_t SET u = id;
SELECT migration_upgrade();
SELECT mtest.applied(), to_regclass('w_after') IS NOT NULL AS after, to_regclass('w_second_thought') IS NOT NULL AS second;
SELECT indisvalid, pg_get_indexdef(indexrelid) FROM pg_index WHERE indexrelid = 'w_uniq'::regclass;
SELECT state, waiting_for, hint FROM migration_status();
-- Resume does the same for the plan as it was.
SELECT migration_register('w7', 'not null', 'w6', $$
  UPDATE w_t SET a = NULL WHERE id = 3;
  ALTER TABLE w_t ALTER a SET NOT NULL;
  CREATE INDEX CONCURRENTLY w_k ON w_t (a);
$$, '');
SELECT migration_upgrade();
\echo :SQLSTATE
UPDATE w_t SET a = 0 WHERE a IS NULL;
SELECT migration_resume();
SELECT migration_wait();
SELECT mtest.applied();
SELECT migration_resume();
-- A backfill that fails on one row leaves the batches before it; a column that is not there.
SELECT migration_backfill('w_t', 'n = 1 / (id - 777)');
SELECT migration_wait();
\echo :SQLSTATE
SELECT migration_cancel();
-- What names nothing is refused at once; what a function does is known when it runs.
SELECT migration_backfill('w_t', 'no_such = 1') IS NOT NULL AS queued;
CREATE FUNCTION w_no_such() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN no_such FROM w_t; END';
SELECT migration_backfill('w_t', 'a = w_no_such()') IS NOT NULL AS queued;
SELECT migration_wait();
\echo :SQLSTATE
SELECT migration_cancel();
DROP FUNCTION w_no_such();
-- wait => false: starts at COMMIT, ROLLBACK takes it back.
SELECT migration_register('w8', 'later', 'w7', 'CREATE TABLE w_later ()', 'DROP TABLE w_later');
BEGIN;
SELECT migration_upgrade(wait => false) IS NOT NULL AS queued;
SELECT state FROM migration_status();
ROLLBACK;
SELECT state FROM migration_status();
BEGIN;
SELECT migration_upgrade(wait => false) AS run \gset
COMMIT;
SELECT migration_wait(:run);
SELECT mtest.applied();
SELECT migration_wait(:run);
-- Down through workers, too.
SELECT migration_downgrade('w7', wait => false) AS run \gset
SELECT migration_wait(:run);
SELECT to_regclass('w_later');
-- Who cannot wait is told so before anything happens.
SELECT migration_register('w9', 'concurrent', 'w7', 'CREATE INDEX CONCURRENTLY w_l ON w_t (gone)');
SELECT migration_unregister('w8');
BEGIN;
CREATE TABLE w_dirty ();
SELECT migration_upgrade();
\echo :SQLSTATE
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT migration_upgrade();
ROLLBACK;
DO $$ BEGIN PERFORM migration_upgrade(); END $$;
SELECT migration_upgrade() FROM generate_series(1, 2);
SELECT (SELECT migration_upgrade());
SELECT to_regclass('w_l'), (SELECT state FROM migration_status());
-- These can wait: a transaction that has only read, a constant beside the call, SELECT * FROM. EXECUTE keeps a snapshot and cannot.
BEGIN;
SELECT count(*) > 0 FROM w_t;
SELECT migration_upgrade(), 'and a constant';
COMMIT;
SELECT indisvalid FROM pg_index WHERE indexrelid = 'w_l'::regclass;
SELECT * FROM migration_downgrade('w7') AS d(run);
SELECT to_regclass('w_l');
PREPARE up(text) AS SELECT migration_upgrade($1);
EXECUTE up('w9');
SELECT indisvalid FROM pg_index WHERE indexrelid = 'w_l'::regclass;
SELECT code, object, message FROM migration_check() WHERE code NOT IN ('pending', 'no_downgrade');
DROP MATERIALIZED VIEW w_m;
DROP TABLE w_t, w_p, w_p3, w_u, w_after, w_second_thought;
DROP TYPE w_e;
SELECT mtest.clean();
