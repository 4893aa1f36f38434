--
-- migration_check(): one row per thing that is wrong or unfinished, with what to type; raise => true makes it an error for CI.
--
SET client_min_messages = warning;
\pset format unaligned
SELECT * FROM migration_check();
SELECT * FROM migration_check(raise => true);
SELECT mtest.node('a1'), migration_register('b1', 'no way back', 'a1', 'SELECT mtest.applied()'), mtest.node('b2', 'a1'), mtest.node('x2', 'x1');
SELECT * FROM migration_check();
SELECT * FROM migration_check(raise => true);
\echo :SQLSTATE
-- A warning alone is no error.
SELECT migration_unregister('b2'), migration_unregister('x2'), migration_stamp('b1');
SELECT * FROM migration_check(raise => true);
-- Ids that nobody knows, text that is not what was applied (only the owner of the ledger can get there), an index that is not valid.
INSERT INTO migration_ext.applied (revision, fingerprint, applied_at, applied_by, stamped) VALUES ('gone', '', now(), 'x', true);
UPDATE migration_ext.applied SET fingerprint = 'other' WHERE revision = 'a1';
CREATE TABLE "check T" (id int);
INSERT INTO "check T" VALUES (1), (1);
CREATE UNIQUE INDEX CONCURRENTLY "check I" ON "check T" (id);
SELECT * FROM migration_check();
SELECT * FROM migration_check(raise => true);
DELETE FROM migration_ext.applied WHERE revision = 'gone';
UPDATE migration_ext.applied SET fingerprint = (SELECT fingerprint FROM migration_ext.revision WHERE revision = 'a1') WHERE revision = 'a1';
SELECT hint FROM migration_check() WHERE code = 'invalid_index' \gexec
SELECT * FROM migration_check() WHERE severity = 'error';
-- A revision that is half done.
SELECT migration_register('c1', 'half', 'b1', 'ALTER TABLE "check T" ADD COLUMN a int; CREATE UNIQUE INDEX CONCURRENTLY "check J" ON "check T" (id)', 'SELECT 1');
SELECT migration_upgrade();
SELECT * FROM migration_check() WHERE severity = 'error';
SELECT state, hint FROM migration_status();
DELETE FROM "check T";
SELECT hint FROM migration_check() WHERE code = 'half_done' \gexec
SELECT * FROM migration_check(raise => true);
-- Everybody may ask.
CREATE ROLE regress_mig_check;
SET ROLE regress_mig_check;
SELECT code FROM migration_check();
RESET ROLE;
DROP ROLE regress_mig_check;
DROP TABLE "check T";
SELECT mtest.clean();
