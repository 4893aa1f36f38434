--
-- What has been: runs and events, who did it and how it ended, kept for migration_ext.log_retention days.
--
SET client_min_messages = warning;
\pset format unaligned
SELECT mtest.node('a1'), mtest.node('b1', 'a1');
SELECT migration_register('c1', 'concurrent', 'b1', 'CREATE TABLE log_t (id int); CREATE INDEX CONCURRENTLY log_i ON log_t (id)');
SELECT migration_upgrade('b1');
SELECT migration_upgrade();
SELECT migration_downgrade('b1');
SELECT migration_stamp('a1');
CREATE TABLE log_u (id int PRIMARY KEY, a int);
INSERT INTO log_u VALUES (1);
SELECT migration_backfill('log_u', 'a = 1', 'a IS NULL');
SELECT migration_wait(4);
SELECT migration_backfill('log_u', 'a = 1 / 0');
SELECT migration_wait(5);
\echo :SQLSTATE
SELECT migration_pause(5);
SELECT migration_cancel(5);
SELECT migration_cancel(5);
SELECT migration_resume(5);
\set VERBOSITY terse
SELECT migration_wait(5);
\set VERBOSITY default
\echo :SQLSTATE
SELECT run_id, direction, target, state, desired, role = current_user AS mine, background, steps, steps_done, queued_at <= started_at AS a, started_at <= ended_at AS b, took >= '0' AS c, waiting_for, sqlstate, replace(message, current_user, 'me') AS message, hint FROM migration_runs();
SELECT event_id, run, revision, step, event, role = current_user AS mine, took IS NOT NULL AS timed, sqlstate, message FROM migration_log() ORDER BY event_id;
SELECT count(*) FROM migration_log(4);
SELECT bool_and(run = 2) FROM migration_log(2);
SELECT count(*) FROM migration_progress();
-- Retention: what is older goes when a run ends.
UPDATE migration_ext.log SET at = at - interval '91 days' WHERE run_id = 2;
SELECT migration_backfill('log_u', 'a = 2');
SELECT migration_wait();
SELECT count(*) FROM migration_log(2);
SELECT count(*) > 0 AS kept FROM migration_log(1);
-- The limits of the parameters.
\set VERBOSITY sqlstate
SET migration_ext.lock_timeout = 0;
SET migration_ext.batch_target = '2min';
SET migration_ext.lock_retries = -1;
SET migration_ext.enabled = off;
\set VERBOSITY default
CREATE ROLE regress_mig_log;
SET ROLE regress_mig_log;
SET migration_ext.log_retention = 1;
SET migration_ext.lock_timeout = '5s';
SHOW migration_ext.lock_timeout;
RESET ALL;
RESET ROLE;
DROP ROLE regress_mig_log;
DROP TABLE log_u;
SELECT mtest.clean();
