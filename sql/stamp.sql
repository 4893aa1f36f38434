--
-- Stamping says where a database stands without running anything: adoption, correction, the way out of an unknown id.
--
\pset format unaligned
\pset tuples_only on
\pset fieldsep ' | '
-- An unstamped database with tables says so.
CREATE TABLE stamp_t (id int);
SELECT state, hint FROM migration_status();
SET client_min_messages = warning;
SELECT mtest.node('aaaa'), mtest.node('bbbb', 'aaaa'), mtest.node('c1c1', 'bbbb', 'c1branch'), mtest.node('d1d1', 'c1c1'), mtest.node('c2c2', 'bbbb', 'c2branch'), mtest.node('d2d2', 'c2c2');
SELECT state, hint FROM migration_status();
RESET client_min_messages;
-- Nothing runs: these scripts would fail.
SELECT migration_register('eeee', 'fails', 'd2d2', 'SELECT 1/0', 'SELECT 1/0');
SELECT migration_stamp('eeee');
SELECT mtest.applied();
SELECT revision, state, applied_by = current_user, took, applied_at IS NOT NULL FROM migration_history('bbbb:c2c2');
SELECT migration_stamp('eeee');
SELECT migration_stamp('c1branch@head');
SELECT migration_stamp('bbbb');
SELECT migration_stamp('base');
SELECT mtest.applied();
SELECT migration_unregister('eeee');
-- From where, to what, heads afterwards.
CREATE FUNCTION pg_temp.stamped(have text, target text, purge boolean DEFAULT false) RETURNS text LANGUAGE plpgsql SET client_min_messages = warning AS $$
BEGIN
  PERFORM migration_stamp(have, purge => true);
  RETURN mtest.try(format('SELECT migration_stamp(%L, %L)', target, purge)) || ' = ' || mtest.applied();
END $$;
SELECT have, target, pg_temp.stamped(have, target) FROM (VALUES (1, 'd1d1, c2c2', 'bbbb'), (2, 'd1d1, c2c2', 'c1branch@base'), (3, 'bbbb', 'heads'), (4, 'bbbb', 'head'), (5, 'd1d1', 'heads'),
  (6, 'bbbb', 'd1d1 d2d2'), (7, 'd2d2', 'aaaa d1d1'), (8, 'base', 'aaaa bbbb'), (9, 'd1d1', 'zzzz'), (10, 'd1d1', '+1'), (11, 'd1d1', 'aaaa:bbbb'), (12, 'd1d1', ''), (13, 'd1d1', 'c1c1'),
  (14, 'd1d1', 'c2c2'), (15, 'd1d1, d2d2', 'base'), (16, 'd1d1', 'c1br'), (17, 'd1d1', 'current')) v(n, have, target) ORDER BY n;
-- Adoption of an Alembic database: its version table is all that is needed.
CREATE TABLE alembic_version (version_num varchar(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY);
INSERT INTO alembic_version VALUES ('d1d1'), ('c2c2');
SELECT migration_stamp(string_agg(version_num, ', ' ORDER BY version_num), purge => true) FROM alembic_version;
SELECT mtest.applied();
SELECT state, pending FROM migration_status();
-- Unknown ids: refused, unless the old set is thrown away.
INSERT INTO migration_ext.applied (revision, fingerprint, applied_at, applied_by, stamped) VALUES ('gone', '', now(), 'x', true);
SELECT mtest.try('SELECT migration_stamp(''d2d2'')');
SELECT mtest.applied();
SELECT migration_stamp('d2d2', purge => true);
SELECT mtest.applied();
-- In a transaction like anything else.
BEGIN;
SELECT migration_stamp('base');
ROLLBACK;
SELECT mtest.applied();
-- The log keeps what was said.
SELECT event, role = current_user, message FROM migration_log() WHERE event = 'stamped' ORDER BY event_id DESC LIMIT 2;
DROP TABLE stamp_t, alembic_version;
SELECT mtest.clean();
