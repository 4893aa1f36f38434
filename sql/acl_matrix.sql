--
-- Who may call what: every function for every level, as EXECUTE rights and by calling it. f = 42501, t = anything else.
--
CREATE ROLE regress_mig_none;
CREATE ROLE regress_mig_reader;
CREATE ROLE regress_mig_author;
CREATE ROLE regress_mig_operator;
CREATE ROLE regress_mig_admin;
SELECT migration_grant('regress_mig_reader', 'reader');
SELECT cardinality(migration_grant('regress_mig_author', 'author')), cardinality(migration_grant('regress_mig_operator', 'operator')), cardinality(migration_grant('regress_mig_admin', 'admin'));
SET client_min_messages = error;
CREATE TEMP TABLE call (function text PRIMARY KEY, sql text);
INSERT INTO call VALUES
  ('migration_approve', 'SELECT migration_approve(NULL)'), ('migration_backfill', 'SELECT migration_backfill(NULL, NULL)'), ('migration_branches', 'SELECT * FROM migration_branches()'),
  ('migration_cancel', 'SELECT migration_cancel()'), ('migration_check', 'SELECT * FROM migration_check()'), ('migration_current', 'SELECT * FROM migration_current()'),
  ('migration_downgrade', 'SELECT migration_downgrade(NULL)'), ('migration_export', 'SELECT migration_export(NULL)'), ('migration_grant', 'SELECT migration_grant(NULL, NULL)'),
  ('migration_heads', 'SELECT * FROM migration_heads()'), ('migration_history', 'SELECT * FROM migration_history()'), ('migration_log', 'SELECT * FROM migration_log()'), ('migration_merge', 'SELECT migration_merge(NULL)'),
  ('migration_pause', 'SELECT migration_pause()'), ('migration_plan', 'SELECT * FROM migration_plan()'), ('migration_quarantine', 'SELECT * FROM migration_quarantine()'), ('migration_retry_quarantine', 'SELECT migration_retry_quarantine(NULL)'), ('migration_progress', 'SELECT * FROM migration_progress()'),
  ('migration_register', 'SELECT migration_register(NULL, NULL, NULL, NULL)'), ('migration_resume', 'SELECT migration_resume()'), ('migration_revoke', 'SELECT migration_revoke(NULL)'),
  ('migration_runs', 'SELECT * FROM migration_runs()'), ('migration_show', 'SELECT * FROM migration_show(''heads'')'), ('migration_sql', 'SELECT migration_sql()'), ('migration_stamp', 'SELECT migration_stamp(NULL)'),
  ('migration_status', 'SELECT * FROM migration_status()'), ('migration_tune', 'SELECT migration_tune(NULL, NULL)'), ('migration_unregister', 'SELECT migration_unregister(NULL)'), ('migration_upgrade', 'SELECT migration_upgrade(NULL)'), ('migration_wait', 'SELECT migration_wait()');
-- No function is left out.
SELECT p.proname FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'migration_ext'
WHERE p.proname NOT IN (SELECT function FROM call);
CREATE FUNCTION pg_temp.may(who text, sql text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('SET LOCAL ROLE %I', who);
  BEGIN
    EXECUTE sql;
  EXCEPTION WHEN insufficient_privilege THEN
    RESET ROLE;
    RETURN false;
  WHEN OTHERS THEN NULL;
  END;
  RESET ROLE;
  RETURN true;
END $$;
CREATE TEMP VIEW matrix AS
SELECT function, pg_temp.may('regress_mig_none', sql) AS none, pg_temp.may('regress_mig_reader', sql) AS reader, pg_temp.may('regress_mig_author', sql) AS author,
  pg_temp.may('regress_mig_operator', sql) AS operator, pg_temp.may('regress_mig_admin', sql) AS admin FROM call;
SELECT * FROM matrix ORDER BY function COLLATE "C";
-- The rights in the catalog say the same.
SELECT function, r FROM matrix m, pg_proc p, unnest('{none,reader,author,operator,admin}'::text[]) r
WHERE p.proname = function AND has_function_privilege('regress_mig_' || r, p.oid, 'EXECUTE') <> (to_jsonb(m) ->> r)::boolean;
-- Nothing can be passed on, an admin cannot grant levels, and a level can be granted again.
SET ROLE regress_mig_admin;
SELECT mtest.state('SELECT migration_grant(''regress_mig_none'', ''reader'')'), mtest.state('GRANT EXECUTE ON FUNCTION migration_show(text) TO regress_mig_none');
RESET ROLE;
SELECT has_function_privilege('regress_mig_none', 'migration_show(text)', 'EXECUTE') AS passed_on;
SELECT cardinality(migration_grant('regress_mig_admin', 'admin'));
-- A lower level on top takes nothing away; revoking takes everything.
SELECT cardinality(migration_grant('regress_mig_admin', 'reader'));
SELECT has_function_privilege('regress_mig_admin', 'migration_approve(text)', 'EXECUTE') AS still;
SELECT cardinality(migration_revoke('regress_mig_admin'));
SELECT function FROM matrix WHERE admin AND NOT none;
-- A level granted to a group works through membership; a name that needs quotes is quoted.
CREATE ROLE "regress_mig ""odd"", x";
SELECT cardinality(migration_grant('"regress_mig ""odd"", x"', 'operator'));
SELECT has_function_privilege('regress_mig "odd", x', 'migration_upgrade(text,boolean,boolean)', 'EXECUTE') AS granted;
GRANT "regress_mig ""odd"", x" TO regress_mig_none;
SELECT function FROM matrix WHERE none ORDER BY function COLLATE "C";
-- One's own run can be controlled, another's cannot.
SELECT cardinality(migration_grant('regress_mig_operator', 'operator'));
CREATE TABLE acl_t (id int PRIMARY KEY, a int);
GRANT ALL ON acl_t TO regress_mig_operator;
-- A right to change rows is not enough: a backfill acts as the owner of the table.
BEGIN;
SET LOCAL ROLE regress_mig_operator;
SELECT migration_backfill('acl_t', 'a = 1') IS NOT NULL AS queued;
ROLLBACK;
ALTER TABLE acl_t OWNER TO regress_mig_operator;
BEGIN;
SELECT migration_backfill('acl_t', 'a = 1') IS NOT NULL AS queued;
SET LOCAL ROLE regress_mig_operator;
SELECT mtest.state('SELECT migration_pause()'), mtest.state('SELECT migration_cancel()'), mtest.state('SELECT migration_resume()');
ROLLBACK;
BEGIN;
SET LOCAL ROLE regress_mig_operator;
SELECT migration_backfill('acl_t', 'a = 1') IS NOT NULL AS queued;
SELECT migration_pause(), migration_cancel();
ROLLBACK;
DROP TABLE acl_t;
DROP OWNED BY regress_mig_reader, regress_mig_author, regress_mig_operator, regress_mig_admin, "regress_mig ""odd"", x";
DROP ROLE regress_mig_none, regress_mig_reader, regress_mig_author, regress_mig_operator, regress_mig_admin, "regress_mig ""odd"", x";
SELECT mtest.clean();
