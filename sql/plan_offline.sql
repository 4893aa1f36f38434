--
-- online => false runs everything as written in the caller's transaction, CONCURRENTLY left out, one NOTICE each; ROLLBACK leaves nothing.
--
SET client_min_messages = warning;
CREATE TYPE off_e AS ENUM ('a');
CREATE TABLE off_t (id int PRIMARY KEY, a int);
INSERT INTO off_t SELECT i, NULL FROM generate_series(1, 100) i;
CREATE INDEX off_old ON off_t (a);
CREATE TABLE off_p (id int) PARTITION BY RANGE (id);
CREATE TABLE off_p1 PARTITION OF off_p FOR VALUES FROM (0) TO (10);
CREATE TABLE off_p2 PARTITION OF off_p FOR VALUES FROM (10) TO (20);
CREATE MATERIALIZED VIEW off_m AS SELECT id FROM off_t;
CREATE UNIQUE INDEX ON off_m (id);
SELECT migration_register('o1', 'all of it', NULL, $$
  CREATE INDEX CONCURRENTLY off_i ON off_t (a);
  CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS off_u ON off_t (id, a);
  DROP INDEX CONCURRENTLY off_old;
  REINDEX INDEX CONCURRENTLY off_i;
  UPDATE off_t SET a = id WHERE a IS NULL;
  SELECT migration_backfill('off_t', 'a = a + 1', 'id > 50');
  REFRESH MATERIALIZED VIEW CONCURRENTLY off_m;
  ALTER TABLE off_p DETACH PARTITION off_p2 CONCURRENTLY;
  ALTER TYPE off_e ADD VALUE 'b';
  VACUUM (ANALYZE) off_t;
  ANALYZE off_t;
  ALTER TABLE off_t ADD CONSTRAINT off_c CHECK (id > 0) NOT VALID;
  ALTER TABLE off_t VALIDATE CONSTRAINT off_c;
$$, $$
  ALTER TABLE off_t DROP CONSTRAINT off_c;
  ALTER TABLE off_p ATTACH PARTITION off_p2 FOR VALUES FROM (10) TO (20);
  CREATE INDEX CONCURRENTLY off_old ON off_t (a);
  DROP INDEX CONCURRENTLY off_u;
  DROP INDEX CONCURRENTLY IF EXISTS off_i;
$$);
SELECT step, kind, statement, transaction, note FROM migration_plan(online => false);
SELECT mtest.schema('public') AS before \gset
RESET client_min_messages;
BEGIN;
SELECT migration_upgrade(online => false) IS NOT NULL AS ran;
SELECT sum(a) FROM off_t;
SELECT mtest.applied();
SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relname LIKE 'off\_%' ORDER BY 1;
SELECT migration_downgrade('base', online => false) IS NOT NULL AS ran;
SELECT migration_upgrade(online => false) IS NOT NULL AS ran;
ROLLBACK;
SELECT mtest.same(:'before', mtest.schema('public'));
SELECT mtest.applied(), (SELECT count(*) FROM migration_runs()) AS runs, (SELECT count(a) FROM off_t) AS filled;
-- Inside a function, too: the test of an application.
DO $$ BEGIN PERFORM migration_upgrade(online => false); RAISE NOTICE 'applied: %', mtest.applied(); PERFORM migration_downgrade('base', online => false); END $$;
SELECT enum_range(NULL::off_e);
-- What cannot wait must not: the same without online => false is refused before any work.
DO $$ BEGIN PERFORM migration_upgrade(); END $$;
\echo :SQLSTATE
SELECT mtest.applied();
SET client_min_messages = warning;
DROP MATERIALIZED VIEW off_m;
DROP TABLE off_t, off_p;
DROP TABLE IF EXISTS off_p2;
DROP TYPE off_e;
SELECT mtest.clean();
