--
-- The plan shows what would run, in which step and transaction, under which lock and what that keeps others from doing. Planning changes nothing.
--
SET client_min_messages = warning;
CREATE TABLE plan_t (id int PRIMARY KEY, a int, b text);
CREATE TABLE plan_nokey (a int);
INSERT INTO plan_t SELECT i, i FROM generate_series(1, 1000) i;
INSERT INTO plan_nokey SELECT 1;
ANALYZE plan_t, plan_nokey;
SELECT migration_register('p1', 'only transactions', NULL, $$
  CREATE TABLE plan_new (id int);
  ALTER TABLE plan_t ADD COLUMN c int;
  CREATE INDEX plan_i ON plan_t (a);
  INSERT INTO plan_new VALUES (1);
  UPDATE plan_new SET id = 2;
  COMMENT ON TABLE plan_t IS 'x';
  GRANT SELECT ON plan_t TO PUBLIC;
  SELECT 1;
$$, '');
SELECT step, revision, direction, kind, split_part(statement, ' (', 1) AS statement, relation, lock_mode, blocks, rewrites, scans, est_rows, transaction, note FROM migration_plan();
SELECT migration_register('p2', 'everything', 'p1', $$
  SET work_mem = '1MB';
  CREATE INDEX CONCURRENTLY plan_j ON plan_t (b);
  ALTER TABLE plan_t ADD COLUMN d int DEFAULT 1;
  UPDATE plan_t SET d = 2 WHERE d IS NULL;
  UPDATE plan_t SET a = a + 1;
  UPDATE plan_nokey SET a = a + 1;
  /* migration: as written */ UPDATE plan_t SET a = a + 1;
  DELETE FROM plan_t WHERE a < 0;
  UPDATE plan_t t SET a = n.a FROM plan_nokey n;
  SELECT migration_backfill('plan_t', 'b = ''x''', 'b IS NULL');
  ALTER TABLE plan_t ALTER a TYPE bigint;
  ALTER TABLE plan_t ADD CONSTRAINT positive CHECK (a > 0) NOT VALID;
  ALTER TABLE plan_t VALIDATE CONSTRAINT positive;
  ALTER TYPE plan_e ADD VALUE 'x';
  VACUUM plan_t;
  ANALYZE plan_t;
  REFRESH MATERIALIZED VIEW CONCURRENTLY plan_m;
  REINDEX TABLE CONCURRENTLY plan_t;
  DROP INDEX CONCURRENTLY plan_j;
  DROP TABLE plan_nokey, plan_new;
  TRUNCATE plan_t;
  LOCK TABLE plan_t IN SHARE MODE;
$$, '');
SELECT step, revision, kind, split_part(statement, E'\n', 1) AS statement, relation, lock_mode, blocks, rewrites, scans, est_rows, transaction, note FROM migration_plan('p2');
-- A revision can ask to be run as written.
SELECT migration_register('p3', 'as written', 'p2', 'UPDATE plan_t SET a = a + 1', '', options => '{"online": false}');
SELECT step, revision, kind, statement FROM migration_plan('p3') WHERE revision = 'p3';
SELECT migration_unregister('p3');
-- Down: the derived statements of what is applied; a missing way back shows as a note.
SELECT migration_register('p2', 'no way back', 'p1', 'DROP TABLE plan_nokey');
SELECT migration_stamp('p2', purge => true);
SELECT step, revision, direction, kind, statement, note FROM migration_plan('base');
SELECT step, revision, direction, kind, statement, note FROM migration_plan('p1');
SELECT count(*) FROM migration_plan('head');
-- SET NOT NULL reads the table, unless a validated CHECK (or NOT NULL) says already what it would find.
DELETE FROM plan_t;
ALTER TABLE plan_t ADD nn1 int, ADD nn2 int, ADD nn3 int, ADD nn4 int NOT NULL DEFAULT 1, ADD "nn 5" int, ADD nn6 int, ADD nn7 int CONSTRAINT nn7_ck CHECK (nn7 IS NOT NULL),
  ADD CONSTRAINT nn1_ck CHECK (nn1 IS NOT NULL), ADD CONSTRAINT nn2_ck CHECK (nn2 IS NOT NULL) NOT VALID, ADD CONSTRAINT nn3_ck CHECK (nn3 > 0 AND nn3 IS NOT NULL) NOT VALID;
ALTER TABLE plan_t VALIDATE CONSTRAINT nn3_ck;
SELECT migration_register('nn', 'not null', 'p2', 'ALTER TABLE plan_t ALTER nn1 SET NOT NULL; ALTER TABLE plan_t ALTER nn2 SET NOT NULL; ALTER TABLE plan_t ALTER nn3 SET NOT NULL; ALTER TABLE plan_t ALTER nn4 SET NOT NULL;
  ALTER TABLE plan_t ADD CONSTRAINT nn5_ck CHECK ("nn 5" IS NOT NULL) NOT VALID; ALTER TABLE plan_t VALIDATE CONSTRAINT nn5_ck; ALTER TABLE plan_t ALTER "nn 5" SET NOT NULL; ALTER TABLE plan_t DROP CONSTRAINT nn5_ck; ALTER TABLE plan_t ALTER "nn 5" SET NOT NULL;
  ALTER TABLE plan_t ALTER nn7 SET NOT NULL, DROP CONSTRAINT nn7_ck;
  ALTER TABLE plan_t ADD CONSTRAINT nn6_ck CHECK (Nn6 is  not null) NOT VALID; ALTER TABLE plan_t ALTER nn6 SET NOT NULL', '');
SELECT scans, statement FROM migration_plan('nn') WHERE revision = 'nn' AND statement LIKE '%SET NOT NULL%';
SELECT migration_unregister('nn');
-- Nothing happened, nothing is logged as a run.
SELECT count(*) AS runs FROM migration_runs();
SELECT to_regclass('plan_new') IS NULL AS nothing_made;
-- Also in a read-only transaction, and with online => false.
BEGIN READ ONLY;
SELECT count(*) > 0 AS works FROM migration_plan('base');
SELECT migration_sql('base', 'p1') <> '' AS works;
COMMIT;
DROP TABLE plan_t, plan_nokey;
SELECT mtest.clean();
