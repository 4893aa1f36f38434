--
-- A downgrade that would lose data says what, and does nothing until it is told that this is meant.
--
SET client_min_messages = warning;
CREATE TABLE loss_old (id int PRIMARY KEY);
INSERT INTO loss_old VALUES (1), (2);
SELECT migration_register('l1', 'table and column', NULL, $$
  CREATE TABLE loss_new (id int); CREATE TABLE loss_empty (id int); CREATE TABLE "loss ""quoted""" (id int);
  ALTER TABLE loss_old ADD COLUMN kept text, ADD COLUMN unused int;
  CREATE SCHEMA loss_s; CREATE TABLE loss_s.t (id int);
$$, $$
  DROP SCHEMA loss_s CASCADE;
  ALTER TABLE loss_old DROP COLUMN kept, DROP COLUMN unused;
  DROP TABLE loss_new, loss_empty, "loss ""quoted""";
$$);
SELECT migration_upgrade();
-- Nothing in them yet: nothing to lose.
BEGIN;
SELECT migration_downgrade('base') IS NOT NULL AS ran;
ROLLBACK;
INSERT INTO loss_new SELECT generate_series(1, 10);
INSERT INTO "loss ""quoted""" VALUES (1);
INSERT INTO loss_s.t VALUES (1);
UPDATE loss_old SET kept = 'x' WHERE id = 1;
ANALYZE loss_new;
SELECT migration_downgrade('base');
\echo :SQLSTATE
SELECT migration_downgrade('base', online => false);
SELECT migration_downgrade('base', wait => false);
SELECT mtest.applied(), (SELECT count(*) FROM loss_new) AS rows, (SELECT count(*) FROM migration_runs()) AS runs;
-- The hint is what to type.
BEGIN;
SELECT migration_downgrade('base', allow_data_loss => true);
SELECT to_regclass('loss_new'), to_regclass('loss_s.t');
ROLLBACK;
-- Values of NULL and empty tables are no loss; TRUNCATE is one like DROP.
DELETE FROM loss_new; DELETE FROM "loss ""quoted"""; DELETE FROM loss_s.t; UPDATE loss_old SET kept = NULL;
SELECT migration_downgrade('base') IS NOT NULL AS ran;
SELECT migration_upgrade() IS NOT NULL AS ran;
SELECT migration_register('l2', 'truncates on the way back', 'l1', 'SELECT 1', 'TRUNCATE loss_new');
SELECT migration_upgrade() IS NOT NULL AS ran;
SELECT migration_downgrade('l1') IS NOT NULL AS ran;
SELECT migration_upgrade() IS NOT NULL AS ran;
INSERT INTO loss_new VALUES (1);
SELECT migration_downgrade('l1');
-- Only what the downgrade comes by counts.
SELECT migration_register('l3', 'on top', 'l2', 'CREATE TABLE loss_top ()', 'DROP TABLE loss_top');
SELECT migration_upgrade() IS NOT NULL AS ran;
SELECT migration_downgrade('l2') IS NOT NULL AS ran;
-- In a worker the same holds, before anything is done.
SELECT migration_register('l3', 'on top', 'l2', 'CREATE INDEX CONCURRENTLY loss_i ON loss_new (id)', 'DROP INDEX CONCURRENTLY loss_i');
SELECT migration_upgrade();
SELECT migration_downgrade('base');
\echo :SQLSTATE
SELECT to_regclass('loss_i') IS NOT NULL AS still_there, mtest.applied();
SELECT migration_downgrade('base', allow_data_loss => true);
SELECT to_regclass('loss_i'), to_regclass('loss_new'), mtest.applied();
DROP TABLE loss_old;
SELECT mtest.clean();
