--
-- A half-done revision is in the way of those that build on it and of undoing what it builds on; of nobody else.
--
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
SELECT migration_register('a1', 'base', NULL, 'CREATE TABLE hd (id int)', 'DROP TABLE hd');
SELECT migration_register('b1', 'left', 'a1', 'CREATE TABLE hd_b (id int); CREATE INDEX CONCURRENTLY hd_b_id ON hd_b (id); SELECT 1 / 0', 'DROP TABLE hd_b');
SELECT migration_register('b2', 'left, more', 'b1', 'CREATE TABLE hd_b2 (id int)', 'DROP TABLE hd_b2');
SELECT migration_register('c1', 'right', 'a1', 'CREATE TABLE hd_c (id int)', 'DROP TABLE hd_c');
SELECT migration_register('c2', 'right, in the background', 'c1', 'CREATE INDEX CONCURRENTLY hd_c_id ON hd_c (id)', 'DROP INDEX CONCURRENTLY hd_c_id');
SELECT migration_upgrade('b2');
\echo :SQLSTATE
SELECT state, hint FROM migration_status();
SELECT code, object, hint FROM migration_check() WHERE code = 'half_done';
-- Another branch, here and in the background.
SELECT migration_upgrade('c1');
SELECT migration_upgrade('c2');
SELECT mtest.applied();
-- The run that stopped was planned from what was applied then; it is closed, and the revision goes on from where it is.
SELECT run_id, state, detail FROM migration_runs() ORDER BY 1;
SELECT state, waiting_for, hint FROM migration_status();
SELECT code, object, hint FROM migration_check() WHERE code = 'half_done';
SELECT migration_downgrade('c1');
SELECT migration_downgrade('a1');
SELECT mtest.applied();
-- Undoing what it builds on is not possible, nor is it with what stands behind it.
SELECT mtest.try($$SELECT migration_downgrade('base')$$);
SELECT mtest.try($$SELECT migration_downgrade('base', wait => false)$$);
SELECT mtest.applied();
-- Repaired behind the finished statements, it goes on; the steps before are not run again.
SELECT migration_register('b1', 'left', 'a1', 'CREATE TABLE hd_b (id int); CREATE INDEX CONCURRENTLY hd_b_id ON hd_b (id); SELECT 1 / 1', 'DROP TABLE hd_b');
SELECT migration_upgrade('b2');
SELECT mtest.applied(), (SELECT state FROM migration_status());
SELECT migration_upgrade('heads');

-- Half undone: what builds on it waits, other branches do not.
SELECT migration_register('d1', 'comes off in pieces', 'a1', 'CREATE TABLE hd_d (id int); CREATE INDEX hd_d_id ON hd_d (id)', 'DROP INDEX CONCURRENTLY hd_d_id; SELECT 1 / 0; DROP TABLE hd_d');
SELECT migration_register('d2', 'on it', 'd1', 'CREATE TABLE hd_d2 (id int)', 'DROP TABLE hd_d2');
SELECT migration_register('e1', 'elsewhere', 'a1', 'CREATE TABLE hd_e (id int)', 'DROP TABLE hd_e');
SELECT migration_upgrade('d1');
SELECT migration_downgrade('d1@-1');
SELECT mtest.try($$SELECT migration_upgrade('d2')$$);
SELECT migration_upgrade('e1');
SELECT mtest.try($$SELECT migration_upgrade('d2')$$);
SELECT state, hint FROM migration_status();
SELECT code, object, hint FROM migration_check() WHERE code = 'half_done';
SELECT migration_downgrade('d1@-1');
DROP TABLE hd, hd_b, hd_b2, hd_c, hd_d, hd_e;
SELECT mtest.clean();

-- A build that failed and was cleaned up has done nothing: cancelled, the revision is as pending as before.
CREATE TABLE hd_u (v int);
INSERT INTO hd_u VALUES (1), (1);
SELECT migration_register('u1', 'unique', NULL, 'CREATE UNIQUE INDEX CONCURRENTLY hd_u_v ON hd_u (v)', 'DROP INDEX CONCURRENTLY hd_u_v');
SELECT migration_upgrade();
\echo :SQLSTATE
SELECT state FROM migration_status();
SELECT migration_cancel();
SELECT state, waiting_for, hint FROM migration_status();
SELECT code, object FROM migration_check() WHERE code <> 'pending';
SELECT migration_unregister('u1');
DELETE FROM hd_u WHERE ctid = '(0,1)';
SELECT migration_register('u1', 'unique', NULL, 'CREATE UNIQUE INDEX CONCURRENTLY hd_u_v ON hd_u (v)', 'DROP INDEX CONCURRENTLY hd_u_v');
SELECT migration_upgrade();
-- The same for a drop that cannot be.
ALTER TABLE hd_u ADD CONSTRAINT hd_u_key UNIQUE USING INDEX hd_u_v;
SELECT migration_register('u2', 'drop', 'u1', 'DROP INDEX CONCURRENTLY hd_u_key', '');
SELECT migration_upgrade();
SELECT migration_cancel();
SELECT state FROM migration_status();
DROP TABLE hd_u;
SELECT mtest.clean();
