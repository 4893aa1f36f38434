--
-- migration_tune: what it takes, what it refuses, what it leaves behind; nothing runs here, for the run is queued in a transaction.
--
SET client_min_messages = warning;
CREATE TABLE tune_t (id int PRIMARY KEY, a int);
CREATE FUNCTION pg_temp.tune(settings jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RETURN (SELECT string_agg(format('%s=%s', key, value), ' ' ORDER BY key COLLATE "C") FROM jsonb_each(migration_tune(NULL, settings)) e(key, value)
    WHERE key IN (SELECT jsonb_object_keys(settings)));
END $$;
\pset format unaligned
\pset tuples_only on
SELECT mtest.try('SELECT migration_tune(NULL, ''{}'')');
SELECT mtest.try('SELECT migration_tune(987654321, ''{}'')');
BEGIN;
SELECT migration_backfill('tune_t', 'a = 1', 'a IS NULL') IS NOT NULL AS queued;
-- All settings that may change, with what they are now.
SELECT key, value FROM jsonb_each(migration_tune(NULL, '{}')) ORDER BY key COLLATE "C";
SELECT migration_tune(NULL, NULL) = migration_tune(NULL, '{}') AS null_looks_too;
-- Accepted: as text or number, units, whatever the case; and how it is written back.
SELECT sql, mtest.try(format('SELECT pg_temp.tune(%L)', sql)) FROM unnest(ARRAY[
  '{"batch_target": 50}', '{"batch_target": "1500 ms"}', '{"batch_target": "1h"}', '{"max_batch_rows": 5000}', '{"max_batch_wal": "1.5 mb"}', '{"passes": 24}', '{"passes": "off"}',
  '{"window_blocks": 500}', '{"vacuum": "20%"}', '{"workers": "1"}', '{"synchronous_commit": "OFF"}', '{"max_errors": 100}', '{"priority": -5}',
  '{"max_lag": "1GB", "max_lag_time": "10s", "max_slot_retention": "off", "max_archive_backlog": 10}', '{"max_wal_rate": "20MB", "max_active": 16, "max_waiters": 3}',
  '{"autovacuum": "yield", "max_xmin_age": "00:10:00", "max_size": "1TB"}', '{"check": "a < 1"}', '{"throttle": true}', '{"throttle": "no"}',
  '{"window": "22:00-05:00 europe/berlin"}', '{"window": "Mon-Fri 22:00-05:00, Sat 00:00-24:00 UTC"}', '{"start_at": "2030-01-31 22:00 Europe/Berlin"}', '{"every": "1 day"}', '{"every": "1h 30min"}']) sql;
-- What has been given stays, null puts back what the run was made with, the others are untouched.
SELECT tuned FROM migration_ext.run ORDER BY run_id DESC LIMIT 1;
SELECT pg_temp.tune('{"batch_target": null, "window": null, "max_lag": null, "max_wal_rate": null, "check": null, "workers": 1, "start_at": null, "every": null}');
SELECT tuned FROM migration_ext.run ORDER BY run_id DESC LIMIT 1;
SET LOCAL migration_ext.batch_target = '7s';
SELECT pg_temp.tune('{"batch_target": null}') AS what_the_run_was_made_with;
-- Refused; nothing changes. Names, ranges and units are in the texts.
SELECT sql, mtest.try(format('SELECT pg_temp.tune(%L)', sql)) FROM unnest(ARRAY[
  '{"batch_targt": "1s"}', '{"": 1}', '{"batch_target": "2h"}', '{"batch_target": 0}', '{"batch_target": ["1s"]}', '{"batch_target": {"a": 1}}', '{"batch_target": "1MB"}', '{"workers": 0}', '{"workers": 65}', '{"workers": 1.5}',
  '{"passes": 1}', '{"vacuum": "0%"}', '{"vacuum": 20}', '{"synchronous_commit": "maybe"}', '{"max_errors": -1}', '{"max_lag": "10s"}', '{"max_lag_time": 10}', '{"max_wal_rate": "1"}',
  '{"autovacuum": "on"}', '{"throttle": "maybe"}', '{"window": "22:00-05:00"}', '{"window": "22:00-05:00 Mars/Olympus"}', '{"window": "25:00-26:00 UTC"}', '{"start_at": "soon"}', '{"start_at": "infinity"}', '{"every": "1s"}',
  '{"check": "a <"}', '{"check": "true) FROM pg_authid WHERE (true"}', '{"check": "true; DROP TABLE tune_t"}', '{"check": "true THEN 1 END, CASE WHEN true"}', '{"check": "1) + (1"}',
  '{"cursor": "ctid"}', '{"action": "delete"}', '{"key": ["id"]}', '{"workers": 3, "from": "x"}', '[]', '7', '"x"']) sql;
SELECT tuned FROM migration_ext.run ORDER BY run_id DESC LIMIT 1;
-- What was changed is in the log.
SELECT event, message FROM migration_log() WHERE event = 'tuned' ORDER BY event_id DESC LIMIT 1;
-- Rights: as for pause; the expression runs as the run's role, so only who may be that role gives it.
CREATE ROLE regress_mig_tune;
SELECT cardinality(migration_grant('regress_mig_tune', 'operator')) > 0;
SET LOCAL ROLE regress_mig_tune;
SELECT mtest.state('SELECT migration_tune(NULL, ''{}'')'), mtest.state('SELECT migration_tune(NULL, ''{"check": "true"}'')');
RESET ROLE;
-- A run that has ended has nothing to tune.
SELECT migration_cancel();
SELECT replace(mtest.try(format('SELECT migration_tune(%s, ''{"priority": 2}'')', run_id)), run_id::text, 'N') FROM migration_ext.run ORDER BY run_id DESC LIMIT 1;
ROLLBACK;
-- Of an upgrade: what its backfill was given.
BEGIN;
SELECT migration_register('tune_r', 'with options', NULL, $$SELECT migration_backfill('tune_t', 'a = 1', 'a IS NULL', '{"workers": 4, "max_errors": 7}')$$, 'irreversible') IS NOT NULL AS registered;
SELECT migration_upgrade('tune_r', wait => false) IS NOT NULL AS queued;
SELECT migration_tune(NULL, '{}') ->> 'workers' AS workers, migration_tune(NULL, '{"max_errors": 9}') ->> 'max_errors' AS max_errors, migration_tune(NULL, '{"max_errors": null}') ->> 'max_errors' AS as_made;
ROLLBACK;
-- A paused run can be tuned.
BEGIN;
SELECT migration_backfill('tune_t', 'a = 1', 'a IS NULL') IS NOT NULL AS queued;
SELECT migration_pause();
SELECT pg_temp.tune('{"max_lag": "off"}');
ROLLBACK;
-- What is tuned is obeyed.
BEGIN;
SELECT migration_backfill('tune_t', 'a = 1', 'a IS NULL') IS NOT NULL AS queued;
SELECT pg_temp.tune('{"workers": 1, "batch_target": "20ms", "check": "EXISTS (SELECT FROM tune_t) OR true"}');
COMMIT;
SELECT migration_wait();
SELECT throttled_by IS NULL AS free, throttled >= '0' AS counted, batches >= 0 AS worked FROM migration_ext.job ORDER BY job_id DESC LIMIT 1;
DROP TABLE tune_t;
SELECT mtest.clean();
