-- Batches run as the owner of their table (sec_trigger): what the owner chose to run never has the rights of somebody else.
SET client_min_messages = warning;
CREATE ROLE regress_mig_owner;
CREATE ROLE regress_mig_runner;
CREATE SCHEMA own AUTHORIZATION regress_mig_owner;
GRANT USAGE ON SCHEMA own TO PUBLIC;
CREATE TABLE own.seen (what text, who text, note text);
GRANT INSERT ON own.seen TO PUBLIC;
CREATE FUNCTION pg_temp.ended(run bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
  FOR i IN 1 .. 3000 LOOP
    SELECT x.state, x.sqlstate, x.message, x.hint INTO r FROM migration_ext.run x WHERE x.run_id = run;
    EXIT WHEN r.state NOT IN ('queued', 'running') AND NOT EXISTS (SELECT FROM pg_stat_activity
      WHERE datname = current_database() AND backend_type = 'migration_ext executor');
    PERFORM pg_sleep(0.02), pg_stat_clear_snapshot();
  END LOOP;
  RETURN concat_ws(' | ', r.state, r.sqlstate, r.message, regexp_replace(replace(r.hint, run::text, 'N'), ' WITH SET TRUE', ''));
END $$;
-- What the owner plants: a trigger, a deferred one, a CHECK, a DEFAULT, a generated column, an index expression.
SET ROLE regress_mig_owner;
SET search_path = own;
CREATE FUNCTION tell(what text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN INSERT INTO own.seen VALUES (what, current_user, current_setting('is_superuser')); RETURN true; END $$;
CREATE FUNCTION told(what text, n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN PERFORM own.tell(what); RETURN n; END $$;
CREATE FUNCTION hop() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE s text;
BEGIN
  PERFORM own.tell(TG_NAME);
  FOREACH s IN ARRAY ARRAY['RESET ROLE', 'SET ROLE postgres', 'SET SESSION AUTHORIZATION postgres', 'RESET SESSION AUTHORIZATION',
    'SELECT set_config(''role'', ''postgres'', false)', 'CREATE TEMP TABLE left_behind ()', 'LISTEN left_behind'] LOOP
    BEGIN
      EXECUTE s;
      INSERT INTO own.seen VALUES (TG_NAME || ': ' || s, current_user, 'done');
    EXCEPTION WHEN OTHERS THEN INSERT INTO own.seen VALUES (TG_NAME || ': ' || s, current_user, SQLSTATE);
    END;
  END LOOP;
  RETURN NEW;
END $$;
CREATE TABLE t (id int PRIMARY KEY, a int, b int DEFAULT told('default', 5), g int GENERATED ALWAYS AS (told('generated', a)) STORED,
  CONSTRAINT c CHECK (tell('check')));
INSERT INTO t (id, b) SELECT i, NULL FROM generate_series(1, 3) i;
CREATE INDEX ON t (told('index', a));
CREATE TRIGGER before_row BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION hop();
CREATE CONSTRAINT TRIGGER at_commit AFTER UPDATE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hop();
RESET ROLE;
RESET search_path;
TRUNCATE own.seen;
-- By a superuser: never with a superuser's rights, and nothing of the session can be changed.
SELECT migration_backfill('own.t', 'a = 1, b = DEFAULT', 'a IS NULL') AS run \gset
SELECT pg_temp.ended(:run);
SELECT count(*) FROM own.t WHERE a = 1 AND b = 5;
SELECT what, who, note FROM own.seen GROUP BY 1, 2, 3 ORDER BY what COLLATE "C", 2, 3;
-- By key, too, and with the trigger's other ways through the batches: a row that fails, tried again.
TRUNCATE own.seen;
SELECT migration_backfill('own.t', 'a = a + 1 + 0 / (3 - id)', NULL, '{"max_errors": 5}') AS run \gset
SELECT pg_temp.ended(:run);
SELECT max(job) AS job FROM migration_quarantine() \gset
SELECT migration_retry_quarantine(:job);
SELECT id, a FROM own.t ORDER BY id;
SELECT DISTINCT who FROM own.seen;
-- The plan says so; a member of the owner may, and sees the same.
SELECT migration_register('o1', 'owned', NULL, 'UPDATE own.t SET a = 7 WHERE a IS NULL', '');
SELECT note ~ '; runs as owner "regress_mig_owner"$' AS told FROM migration_plan('o1');
SELECT cardinality(migration_grant('regress_mig_runner', 'operator')) > 0 AS granted;
-- Without a right to it: refused when it is called, when it is planned, and by the worker.
GRANT ALL ON own.t TO regress_mig_runner;
SELECT migration_approve('o1');
SET ROLE regress_mig_runner;
SELECT regexp_replace(mtest.try($$SELECT migration_backfill('own.t', 'a = 1', 'a IS NULL')$$), ' WITH SET TRUE', '');
SELECT regexp_replace(mtest.try($$SELECT migration_upgrade('o1')$$), ' WITH SET TRUE', '');
SELECT note ~ 'runs as owner "regress_mig_owner", which role "regress_mig_runner" may not$' AS told FROM migration_plan('o1');
RESET ROLE;
SELECT count(*) AS runs_left FROM migration_ext.run WHERE state = 'queued';
GRANT regress_mig_owner TO regress_mig_runner;
TRUNCATE own.seen;
UPDATE own.t SET a = NULL;
TRUNCATE own.seen;
SET ROLE regress_mig_runner;
SELECT migration_backfill('own.t', 'a = 1', 'a IS NULL', '{"start_at": "2040-01-01 UTC"}') AS run \gset
RESET ROLE;
REVOKE regress_mig_owner FROM regress_mig_runner;
SELECT count(migration_resume(:run));
SELECT pg_temp.ended(:run);
GRANT regress_mig_owner TO regress_mig_runner;
SELECT count(migration_resume(:run));
SELECT pg_temp.ended(:run);
SELECT DISTINCT who FROM own.seen;
SELECT count(*) FROM own.t WHERE a = 1;
-- What the owner may not read, its backfill does not.
CREATE TABLE own.secret (id int, word text);
INSERT INTO own.secret SELECT i, 'xyzzy' FROM generate_series(1, 3) i;
CREATE FUNCTION own.peek(i int) RETURNS text LANGUAGE sql AS $$SELECT word FROM own.secret WHERE id = i$$;
CREATE TABLE own.plain (id int PRIMARY KEY, w text);
INSERT INTO own.plain SELECT generate_series(1, 3);
ALTER TABLE own.plain OWNER TO regress_mig_owner;
SELECT migration_backfill('own.plain', 'w = own.peek(id)', 'w IS NULL') AS run \gset
SELECT split_part(pg_temp.ended(:run), ' | hint', 1);
SELECT count(w) FROM own.plain;
SELECT migration_cancel(:run);
-- Another owner from the next start on: as that one.
ALTER TABLE own.plain OWNER TO regress_mig_runner;
CREATE FUNCTION own.me() RETURNS text LANGUAGE sql STABLE AS 'SELECT current_user::text';
SELECT migration_backfill('own.plain', 'w = own.me()', 'w IS NULL') AS run \gset
SELECT pg_temp.ended(:run);
SELECT DISTINCT w FROM own.plain;
-- Partitions by their blocks as their owners, by key as the owner of the parent.
CREATE TABLE own.p (id int PRIMARY KEY, w text, k text DEFAULT '') PARTITION BY RANGE (id);
CREATE TABLE own.p1 PARTITION OF own.p FOR VALUES FROM (0) TO (10);
CREATE TABLE own.p2 PARTITION OF own.p FOR VALUES FROM (10) TO (20);
INSERT INTO own.p SELECT generate_series(1, 19);
ALTER TABLE own.p OWNER TO regress_mig_owner;
ALTER TABLE own.p2 OWNER TO regress_mig_runner;
ALTER TABLE own.p1 OWNER TO regress_mig_owner;
SELECT migration_backfill('own.p', 'w = own.me()', 'w IS NULL') AS run \gset
SELECT pg_temp.ended(:run);
SELECT migration_backfill('own.p', 'k = k || own.me()', NULL) AS run \gset
SELECT pg_temp.ended(:run);
SELECT tableoid::regclass AS partition, w AS by_blocks, k AS by_key, count(*) FROM own.p GROUP BY 1, 2, 3 ORDER BY 1;
-- A transactional step of a worker: a deferred trigger cannot wait for the commit to become who logged in.
TRUNCATE own.seen;
GRANT regress_mig_owner TO regress_mig_runner;
SELECT migration_register('o2', 'step', NULL, $$UPDATE own.t SET a = 3 WHERE id = 1 /* one */ AND id IN (SELECT 1);
VACUUM own.plain;$$, '');
SELECT migration_upgrade('o2');
SELECT what, note FROM own.seen WHERE what ~ '^at_commit: .*ROLE|AUTH' GROUP BY 1, 2 ORDER BY what COLLATE "C";
DROP SCHEMA own CASCADE;
SELECT cardinality(migration_revoke('regress_mig_runner')) >= 0 AS revoked;
DROP OWNED BY regress_mig_owner, regress_mig_runner;
DROP ROLE regress_mig_owner;
DROP ROLE regress_mig_runner;
DELETE FROM migration_ext.quarantine;
SELECT mtest.clean();
