-- Rows that a backfill cannot change: found, set aside, tried again.
SET client_min_messages = warning;
DROP EXTENSION migration_ext CASCADE;
CREATE EXTENSION migration_ext;
CREATE TABLE q (id int PRIMARY KEY, a text, n int, k int NOT NULL DEFAULT 0);
INSERT INTO q SELECT i, CASE WHEN i IN (7, 500, 1500) THEN 'bad' ELSE i::text END FROM generate_series(1, 2000) i;
-- Waits for the end of a run that may not succeed.
CREATE FUNCTION pg_temp.ended(run bigint, OUT state text, OUT message text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. 3000 LOOP
    SELECT r.state, regexp_replace(r.message, 'ctid \(\d+,\d+\)', 'ctid (B,O)'), replace(r.hint, run::text, 'N')
      INTO state, message, hint FROM migration_ext.run r WHERE run_id = run;
    EXIT WHEN state NOT IN ('queued', 'running');
    PERFORM pg_sleep(0.02);
  END LOOP;
END $$;
CREATE FUNCTION pg_temp.retried(job bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE m text; d text; h text;
BEGIN
  RETURN migration_retry_quarantine(job);
EXCEPTION WHEN object_not_in_prerequisite_state THEN
  GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
  RETURN regexp_replace(concat_ws(' / ', m, d, h), '\d+', 'N', 'g');
END $$;
-- Up to max_errors of them the job goes on.
SELECT migration_backfill('q', 'n = a::int', 'n IS NULL', '{"max_errors": 10}') AS run \gset
SELECT migration_wait(:run, '60 s');
SELECT max(job_id) AS job FROM (SELECT job AS job_id FROM migration_quarantine()) j \gset
SELECT relation, key, row_id, image, sqlstate, message FROM migration_quarantine(:job);
SELECT id FROM q WHERE n IS NULL ORDER BY id;
SELECT event, sqlstate, message, detail FROM migration_log(:run) WHERE event = 'quarantined' ORDER BY event_id;
-- Tried again: nothing has been mended, then two are.
SELECT migration_retry_quarantine(:job);
UPDATE q SET a = id::text WHERE a = 'bad' AND id < 1000;
SELECT migration_retry_quarantine(:job);
SELECT id FROM q WHERE n IS NULL;
UPDATE q SET a = id::text WHERE a = 'bad';
SELECT migration_retry_quarantine(:job);
SELECT count(*) FROM migration_quarantine();
SELECT count(*) FROM q WHERE n IS DISTINCT FROM id;
-- By default the first one stops it; it says which row that was, and how to go on.
UPDATE q SET n = NULL;
UPDATE q SET a = 'x' WHERE id = 1234;
SELECT migration_backfill('q', 'n = a::int', 'n IS NULL') AS run \gset
SELECT * FROM pg_temp.ended(:run) \gx
SELECT migration_tune(:run, '{"max_errors": 5}') -> 'max_errors' AS max_errors;
SELECT migration_resume(:run);
SELECT migration_wait(:run, '60 s');
SELECT id FROM q WHERE n IS NULL;
-- By key: every other row exactly once, also in the second half of a failed batch, and those set aside once, later.
UPDATE q SET a = id::text, n = id;
UPDATE q SET a = 'z' WHERE id IN (1, 1000, 2000);
SELECT migration_backfill('q', 'k = k + 1 + a::int * 0', NULL, '{"max_errors": 5}') AS run \gset
SELECT migration_wait(:run, '60 s');
SELECT max(job) AS job FROM migration_quarantine() \gset
SELECT relation, key, row_id, image ->> 'a' AS a, sqlstate FROM migration_quarantine(:job) ORDER BY key[1]::int;
SELECT k, count(*) FROM q GROUP BY k ORDER BY k;
UPDATE q SET a = id::text;
SELECT migration_retry_quarantine(:job), migration_retry_quarantine(:job);
SELECT k, count(*) FROM q GROUP BY k ORDER BY k;
-- A constraint that is checked at the end of the transaction counts, too.
CREATE TABLE owner_of (id int PRIMARY KEY);
INSERT INTO owner_of VALUES (0), (1), (2);
ALTER TABLE q ADD o int DEFAULT 0 REFERENCES owner_of DEFERRABLE INITIALLY DEFERRED;
SELECT migration_backfill('q', 'o = CASE WHEN id = 42 THEN 3 ELSE 1 END', 'o = 0', '{"max_errors": 1}') AS run \gset
SELECT migration_wait(:run, '60 s');
SELECT o, count(*) FROM q GROUP BY o ORDER BY o;
SELECT sqlstate, image ->> 'id' AS id FROM migration_quarantine() WHERE image ->> 'id' = '42';
-- A proof by scan is made or refused, also by key, and knows the rows that were set aside.
UPDATE q SET n = NULL, a = CASE WHEN id = 77 THEN 'bad' ELSE id::text END;
SELECT migration_backfill('q', 'n = a::int', 'n IS NULL', '{"max_errors": 1, "verify": "scan", "cursor": "keyset"}') AS run \gset
SELECT state, message FROM pg_temp.ended(:run);
SELECT id FROM q WHERE n IS NULL;
SELECT migration_backfill('q', 'n = n + 1', 'n > 0', '{"verify": "scan"}') AS run \gset
SELECT state, message FROM pg_temp.ended(:run);
SELECT migration_cancel(:run);
SELECT count(*) FROM q WHERE n <> id;
-- A job by blocks that has not come to its end has rows before it that were never tried.
UPDATE q SET n = NULL;
SELECT migration_backfill('q', 'n = a::int', 'n IS NULL', '{"max_errors": 1, "throttle": true}') AS run \gset
DO $$ BEGIN FOR i IN 1 .. 3000 LOOP EXIT WHEN EXISTS (SELECT FROM migration_progress() WHERE throttled_by IS NOT NULL); PERFORM pg_sleep(0.02); END LOOP; END $$;
SELECT max(job_id) AS job FROM migration_ext.job WHERE run_id = :run \gset
SELECT pg_temp.retried(:job);
SELECT state IN ('cancelling', 'cancelled') AS cancelled FROM migration_cancel(:run) state;
SELECT state FROM pg_temp.ended(:run);
SELECT pg_temp.retried(:job);
SELECT count(*) FROM q WHERE n IS NULL;
UPDATE q SET a = id::text, n = id;
-- Purging leaves what others refer to.
CREATE TABLE p (id int PRIMARY KEY);
INSERT INTO p SELECT generate_series(1, 300);
CREATE TABLE c (p int REFERENCES p);
INSERT INTO c VALUES (5), (250);
SELECT migration_register('purge', 'purge', NULL, $$SELECT migration_backfill('p', NULL, 'id > 1', '{"action": "delete", "max_errors": 2}')$$, 'irreversible');
SELECT step, kind, statement, note FROM migration_plan('purge');
SELECT migration_upgrade('purge') AS run \gset
SELECT id FROM p ORDER BY id;
SELECT sqlstate, image FROM migration_quarantine() WHERE relation = 'public.p' ORDER BY image ->> 'id';
-- Wrong arguments.
SELECT migration_retry_quarantine(NULL);
SELECT migration_retry_quarantine(-1);
-- A changed row that still meets the condition is never met twice.
SELECT migration_backfill('q', 'k = k + 1', 'k > 0', '{"cursor": "ctid"}') AS run \gset
SELECT * FROM pg_temp.ended(:run) \gx
SELECT k, count(*) FROM q GROUP BY k ORDER BY k;
SELECT migration_cancel(:run);
-- Options.
SELECT migration_backfill('q', 'k = 1', NULL, '{"foo": 1}');
SELECT migration_backfill('q', 'k = 1', NULL, '{"cursor": "ctid"}');
SELECT migration_backfill('q', 'k = 1', NULL, '{"workers": "banana"}');
SELECT migration_backfill('q', 'k = 1', NULL, '{"into": "p"}');
SELECT migration_register('o', 'options', NULL, $$SELECT migration_backfill('q', 'k = 1', NULL, '{"batch_target": -1}')$$);
SELECT migration_backfill('q', NULL, 'k = 1');
SELECT migration_backfill('q', 'k = 1', NULL, '{"action": "delete"}');
-- An alias, a condition over a column that is set, a name with quotes.
CREATE TABLE "Odd ""t" (id int PRIMARY KEY, "C c" int);
INSERT INTO "Odd ""t" SELECT g, g FROM generate_series(1, 1000) g;
SELECT migration_register('odd', 'alias', NULL, $$UPDATE "Odd ""t" AS x SET "C c" = 0 WHERE x."C c" > 0$$, 'irreversible');
SELECT migration_upgrade('odd') AS run \gset
SELECT count(*) FROM "Odd ""t" WHERE "C c" <> 0;
SELECT cursor_kind, rows_done FROM migration_ext.job WHERE relation LIKE '%Odd%';
-- One that stays true goes by key, and each row is written once.
CREATE TABLE w (id int PRIMARY KEY, n int, writes int NOT NULL DEFAULT 0);
INSERT INTO w SELECT g, 6 FROM generate_series(1, 1000) g;
CREATE FUNCTION w_count() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.writes := OLD.writes + 1; RETURN NEW; END $$;
CREATE TRIGGER w_count BEFORE UPDATE ON w FOR EACH ROW EXECUTE FUNCTION w_count();
SELECT migration_backfill('w', 'n = 7', 'n > 5') AS run \gset
SELECT migration_wait(:run, '60 s');
SELECT n, writes, count(*) FROM w GROUP BY n, writes;
-- A parameter is nobody's.
SELECT migration_backfill('w', 'n = $1', 'n > 5');
SELECT migration_register('par', 'parameter', NULL, 'UPDATE w SET n = $1::int WHERE n IS NULL', 'irreversible');
SELECT step, kind FROM migration_plan('par');
-- What a row holds is for who may read the table.
UPDATE q SET a = 'secret', n = NULL WHERE id = 9;
SELECT migration_backfill('q', 'n = a::int', 'n IS NULL', '{"max_errors": 1}') AS run \gset
SELECT migration_wait(:run, '60 s');
CREATE ROLE quarantine_reader;
SELECT migration_grant('quarantine_reader', 'reader') IS NOT NULL AS granted;
SET ROLE quarantine_reader;
SELECT relation, key, image, sqlstate, message FROM migration_quarantine() WHERE row_id IS NOT NULL ORDER BY at DESC LIMIT 1;
RESET ROLE;
GRANT SELECT ON q TO quarantine_reader;
SET ROLE quarantine_reader;
SELECT relation, image ->> 'a' AS a, sqlstate, message FROM migration_quarantine() WHERE row_id IS NOT NULL ORDER BY at DESC LIMIT 1;
RESET ROLE;
ALTER TABLE q ENABLE ROW LEVEL SECURITY;
SET ROLE quarantine_reader;
SELECT relation, image, message FROM migration_quarantine() WHERE row_id IS NOT NULL ORDER BY at DESC LIMIT 1;
RESET ROLE;
SELECT migration_stamp('base', purge => true);
SELECT migration_unregister('purge');
SELECT migration_unregister('odd'), migration_unregister('par');
DROP TABLE c, p, q, owner_of, w, "Odd ""t";
DROP FUNCTION w_count();
SELECT migration_revoke('quarantine_reader') IS NOT NULL AS revoked;
DROP ROLE quarantine_reader;
DROP EXTENSION migration_ext CASCADE;
CREATE EXTENSION migration_ext;
