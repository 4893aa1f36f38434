--
-- Whose text may run with whose rights: your own, a superuser's, that of who could become you anyway, or a text that somebody trusted has
-- approved, to the letter.
--
CREATE ROLE regress_mig_author LOGIN;
CREATE ROLE regress_mig_operator LOGIN;
CREATE ROLE regress_mig_member LOGIN;
GRANT regress_mig_operator TO regress_mig_member;
SELECT migration_grant('regress_mig_author', 'author') IS NOT NULL, migration_grant('regress_mig_operator', 'operator') IS NOT NULL, migration_grant('regress_mig_member', 'author') IS NOT NULL;
GRANT CREATE ON SCHEMA public TO regress_mig_operator, regress_mig_author;
\set VERBOSITY default
-- The classic: a low role registers, a superuser runs.
SET SESSION AUTHORIZATION regress_mig_author;
SELECT migration_register('t1', 'harmless', NULL, 'ALTER ROLE regress_mig_author SUPERUSER', '');
RESET SESSION AUTHORIZATION;
SELECT regexp_replace(mtest.try('SELECT migration_upgrade()'), quote_ident(session_user), 'superuser', 'g') AS refused;
SELECT regexp_replace(mtest.try('SELECT migration_upgrade(online => false)'), '\n.*', '') <> '' AS refused;
SELECT mtest.state('SELECT migration_upgrade(wait => false)');
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_mig_author';
SELECT mtest.applied(), (SELECT count(*) FROM migration_runs()) AS runs;
-- Planning and showing it are safe; that is how one reads it.
SELECT step, statement FROM migration_plan();
SELECT registered_by, approved_by FROM migration_show('t1');
-- The author cannot approve.
SET SESSION AUTHORIZATION regress_mig_author;
SELECT migration_approve('t1');
RESET SESSION AUTHORIZATION;
-- Approved: this text runs, and only this text. Other comments and other layout are the same text.
SELECT migration_approve('t1'), migration_approve('t1');
SELECT approved_by = ARRAY[current_user::text] AS by_me FROM migration_show('t1');
SET SESSION AUTHORIZATION regress_mig_author;
SELECT migration_register('t1', 'harmless', NULL, 'ALTER ROLE regress_mig_author SUPERUSER CREATEDB', '');
RESET SESSION AUTHORIZATION;
SELECT approved_by FROM migration_show('t1');
SELECT mtest.state('SELECT migration_upgrade()');
SET SESSION AUTHORIZATION regress_mig_author;
SELECT migration_register('t1', 'harmless', NULL, 'alter role regress_mig_author SUPERUSER -- ha', '');
RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
SELECT migration_upgrade() IS NOT NULL AS ran;
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_mig_author';
ALTER ROLE regress_mig_author NOSUPERUSER;
-- Downgrades are text as well: a changed downgrade of an applied revision is refused, an approval does not carry over.
SELECT migration_stamp('base');
SET SESSION AUTHORIZATION regress_mig_author;
SELECT migration_register('t1', 'harmless', NULL, 'alter role regress_mig_author SUPERUSER', 'ALTER ROLE regress_mig_author SUPERUSER');
RESET SESSION AUTHORIZATION;
SELECT migration_stamp('t1');
SELECT mtest.state('SELECT migration_downgrade(''base'')');
SELECT migration_stamp('base');
-- A superuser's text may be run by anybody who may run things; the rights are the caller's.
SELECT migration_register('t1', 'by a superuser', NULL, 'CREATE TABLE trust_t AS SELECT current_user::text AS who', 'DROP TABLE trust_t');
SELECT registered_by = current_user AS mine FROM migration_show('t1');
SET SESSION AUTHORIZATION regress_mig_operator;
SELECT migration_upgrade() IS NOT NULL AS ran;
SELECT who FROM trust_t;
SELECT tableowner FROM pg_tables WHERE tablename = 'trust_t';
SELECT migration_downgrade('base', allow_data_loss => true) IS NOT NULL AS ran;
-- Operator does not trust author; author's own text runs for nobody else. An operator cannot approve.
RESET SESSION AUTHORIZATION;
SELECT migration_unregister('t1');
SET SESSION AUTHORIZATION regress_mig_author;
SELECT migration_register('t2', 'by the author', NULL, 'CREATE TABLE trust_t ()', 'DROP TABLE trust_t');
SET SESSION AUTHORIZATION regress_mig_operator;
SELECT mtest.try('SELECT migration_upgrade()');
SELECT mtest.state('SELECT migration_approve(''t2'')');
-- Who can become the operator anyway is trusted by the operator, not the other way round.
RESET SESSION AUTHORIZATION;
SELECT migration_unregister('t2');
SET SESSION AUTHORIZATION regress_mig_member;
SELECT migration_register('t3', 'by a member', NULL, 'CREATE TABLE trust_t ()', 'DROP TABLE trust_t');
SET SESSION AUTHORIZATION regress_mig_operator;
SELECT migration_upgrade() IS NOT NULL AS ran;
SELECT migration_downgrade('base') IS NOT NULL AS ran;
-- Text approved by another low role does not count for a superuser.
RESET SESSION AUTHORIZATION;
SELECT migration_grant('regress_mig_operator', 'admin') IS NOT NULL;
SELECT migration_unregister('t3');
SET SESSION AUTHORIZATION regress_mig_author;
SELECT migration_register('t4', 'by the author', NULL, 'CREATE TABLE trust_t ()', 'DROP TABLE trust_t');
SET SESSION AUTHORIZATION regress_mig_operator;
SELECT migration_approve('t4');
SELECT migration_upgrade() IS NOT NULL AS operator_trusts_itself;
SELECT migration_downgrade('base') IS NOT NULL AS ran;
RESET SESSION AUTHORIZATION;
SELECT mtest.state('SELECT migration_upgrade()') AS superuser_does_not;
-- A registrant who is gone, or whose name another role has taken, is not trusted.
DROP OWNED BY regress_mig_author;
DROP ROLE regress_mig_author;
SELECT mtest.state('SELECT migration_upgrade()');
CREATE ROLE regress_mig_author SUPERUSER;
SELECT mtest.state('SELECT migration_upgrade()');
DROP ROLE regress_mig_author;
SELECT migration_approve('t4'), mtest.state('SELECT migration_upgrade()');
SELECT migration_downgrade('base') IS NOT NULL AS ran;
DROP OWNED BY regress_mig_operator, regress_mig_member;
DROP ROLE regress_mig_operator, regress_mig_member;
SELECT mtest.clean();
