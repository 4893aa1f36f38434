--
-- When every step is transactional, the calling session runs the plan in its own transaction: all or nothing, with an error that says which
-- statement of which revision failed.
--
SELECT migration_register('f1', 'first', NULL, 'CREATE TABLE fg_a (id int PRIMARY KEY); INSERT INTO fg_a VALUES (1), (2);');
SELECT migration_register('f2', 'second', 'f1', 'ALTER TABLE fg_a ADD COLUMN b text NOT NULL DEFAULT ''x'';');
SELECT migration_register('f3', 'third', 'f2', E'CREATE TABLE fg_b (id int);\n-- a comment\nINSERT INTO fg_b SELECT id FROM fg_a;\nALTER TABLE fg_b ADD UNIQUE (id), ADD FOREIGN KEY (id) REFERENCES fg_a (no_such);\nSELECT 1;', '');
-- Nothing is left of a run that fails, not even the revisions before.
SELECT migration_upgrade();
\echo :SQLSTATE
SELECT mtest.applied(), to_regclass('fg_a'), to_regclass('fg_b'), (SELECT count(*) FROM migration_runs()) AS runs;
SELECT state, pending FROM migration_status();
-- Mended (it is not applied, so its text may change), the rest runs. Then there is nothing to do.
SELECT migration_register('f3', 'third', 'f2', 'CREATE TABLE fg_b (id int); INSERT INTO fg_b SELECT id FROM fg_a;', 'DROP TABLE fg_b');
SELECT migration_upgrade();
SELECT mtest.applied();
SELECT migration_upgrade();
SELECT run_id, direction, target, state, background, steps, steps_done, role = current_user AS mine, took IS NOT NULL AS timed FROM migration_runs();
SELECT event, revision, step FROM migration_log() ORDER BY event_id;
SELECT state, current, pending, run_id FROM migration_status();
-- Any transaction around it decides.
BEGIN;
SELECT migration_downgrade('f2', allow_data_loss => true);
SELECT mtest.applied(), to_regclass('fg_b');
SELECT migration_upgrade('+1');
ROLLBACK;
SELECT mtest.applied(), (SELECT count(*) FROM fg_b);
BEGIN;
SAVEPOINT s;
SELECT migration_downgrade('base');
ROLLBACK TO s;
SELECT mtest.applied();
SELECT migration_downgrade('f2', allow_data_loss => true) IS NOT NULL AS ran;
COMMIT;
SELECT mtest.applied(), to_regclass('fg_b');
-- Also in a function, a REPEATABLE READ transaction, from a prepared statement, as one of several columns.
DO $$ BEGIN PERFORM migration_upgrade(); END $$;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT migration_downgrade('f2', allow_data_loss => true) IS NOT NULL AS ran;
COMMIT;
PREPARE up(text) AS SELECT migration_upgrade($1) IS NOT NULL AS ran, 'more' AS text;
EXECUTE up('head');
SELECT mtest.applied();
-- The settings of a script end with it, and so does everything else about the session.
SELECT migration_register('f4', 'settings', 'f3', 'SET work_mem = ''123kB''; SET search_path = pg_catalog; SET LOCAL statement_timeout = ''1h''; CREATE TABLE public.fg_c (t text); INSERT INTO public.fg_c VALUES (current_setting(''work_mem''))', '');
SET work_mem = '2MB';
SELECT migration_upgrade() IS NOT NULL AS ran;
SELECT t FROM fg_c;
SHOW work_mem;
SHOW search_path;
SHOW statement_timeout;
SELECT current_user = session_user AS same_user;
-- A statement that fails because of data: DETAIL and HINT of the server are kept.
SELECT migration_register('f5', 'fails on data', 'f4', 'INSERT INTO fg_a VALUES (1)', '');
SELECT migration_upgrade();
\echo :SQLSTATE
SELECT migration_register('f5', 'fails with a hint', 'f4', 'SELECT 1; SELECT no_such_function(1);', '');
SELECT migration_upgrade();
\echo :SQLSTATE
SELECT migration_register('f5', 'fails with words of its own', 'f4', E'DO $$BEGIN\n  RAISE EXCEPTION USING ERRCODE = ''AB123'', MESSAGE = ''no'', DETAIL = ''because'', HINT = ''wait'';\nEND$$', '');
SELECT migration_upgrade();
\echo :SQLSTATE
SELECT migration_register('f5', 'commits in a block', 'f4', 'DO $$BEGIN COMMIT; END$$', '');
SELECT migration_upgrade();
\echo :SQLSTATE
-- Read-only: refused before any work.
BEGIN READ ONLY;
SELECT migration_upgrade();
\echo :SQLSTATE
ROLLBACK;
BEGIN READ ONLY;
SELECT migration_register('f6', '', NULL, '');
ROLLBACK;
DROP TABLE fg_c;
SELECT migration_unregister('f5');
SET client_min_messages = warning;
SELECT mtest.applied();
DROP TABLE fg_a, fg_b;
SELECT mtest.clean();
