--
-- Whoever was there first keeps what they have: a schema or a function with our name makes CREATE EXTENSION fail, and nothing is taken over.
-- In a database of its own, because the extension is installed in this one.
--
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE DATABASE regression_mig_squat;
SELECT current_database() AS here \gset
\c regression_mig_squat
CREATE ROLE regress_mig_squatter;
CREATE SCHEMA migration_ext AUTHORIZATION regress_mig_squatter;
CREATE EXTENSION migration_ext;
\echo :SQLSTATE
SELECT count(*) AS made FROM pg_proc WHERE proname LIKE 'migration\_%';
DROP SCHEMA migration_ext;
-- A function in the way, in pg_catalog (only a superuser can have put it there).
BEGIN;
SET LOCAL allow_system_table_mods = on;
CREATE FUNCTION pg_catalog.migration_upgrade(text, boolean, boolean) RETURNS bigint LANGUAGE sql AS 'SELECT 666::bigint';
CREATE EXTENSION migration_ext;
\echo :SQLSTATE
ROLLBACK;
SELECT count(*) AS schemas FROM pg_namespace WHERE nspname = 'migration_ext';
-- The same function in public changes nothing: ours is found first, from any path but one that says otherwise.
CREATE FUNCTION public.migration_upgrade(target text DEFAULT 'head') RETURNS bigint LANGUAGE sql AS 'SELECT 666::bigint';
CREATE FUNCTION public.migration_status() RETURNS text LANGUAGE sql AS 'SELECT ''evil''';
CREATE TYPE public.regrole AS (x int);
CREATE EXTENSION migration_ext;
SELECT state FROM migration_status();
SELECT DISTINCT o.rolname = current_user AS mine FROM pg_extension e JOIN pg_depend d ON d.refobjid = e.oid AND d.deptype = 'e' JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
JOIN pg_roles o ON o.oid = p.proowner WHERE e.extname = 'migration_ext';
-- Only a superuser installs it, also with the right to create things here.
GRANT CREATE ON DATABASE regression_mig_squat TO regress_mig_squatter;
DROP EXTENSION migration_ext;
SELECT count(*) AS left_over FROM pg_namespace WHERE nspname = 'migration_ext';
SET ROLE regress_mig_squatter;
CREATE EXTENSION migration_ext;
\echo :SQLSTATE
RESET ROLE;
-- It cannot be put anywhere else.
CREATE EXTENSION migration_ext SCHEMA public;
\echo :SQLSTATE
\c :here
DROP DATABASE regression_mig_squat;
DROP ROLE regress_mig_squatter;
