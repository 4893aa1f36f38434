--
-- Nobody but the owner of the extension reads or writes the ledger by SQL: not a stranger, not an operator or admin, not a member of
-- pg_write_all_data and pg_read_all_data. 42501, or no row.
--
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
CREATE ROLE regress_mig_nobody;
CREATE ROLE regress_mig_admin;
CREATE ROLE regress_mig_all IN ROLE pg_write_all_data, pg_read_all_data;
SELECT migration_grant('regress_mig_admin', 'admin') IS NOT NULL;
-- Something to find in every table.
CREATE TABLE tamper_t (id int PRIMARY KEY, a int);
INSERT INTO tamper_t VALUES (1, NULL);
SELECT migration_register('x1', 'secret', NULL, 'UPDATE tamper_t SET a = 42 WHERE a IS NULL', '');
SELECT migration_approve('x1');
SELECT migration_upgrade();
SELECT (SELECT count(*) FROM migration_ext.revision), (SELECT count(*) FROM migration_ext.applied), (SELECT count(*) FROM migration_ext.approval), (SELECT count(*) FROM migration_ext.run),
  (SELECT count(*) FROM migration_ext.step), (SELECT count(*) FROM migration_ext.job), (SELECT count(*) > 0 FROM migration_ext.log);
CREATE FUNCTION pg_temp.everything(OUT content text) LANGUAGE plpgsql AS $$
DECLARE t regclass; of_table text;
BEGIN
  FOR t IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'migration_ext'::regnamespace AND c.relkind = 'r' ORDER BY c.relname LOOP
    EXECUTE format('SELECT string_agg(t::text, %L ORDER BY t::text) FROM %s t', E'\n', t) INTO of_table;
    content := concat(content, t, E'\n', of_table, E'\n');
  END LOOP;
END $$;
CREATE TABLE tamper_before AS SELECT pg_temp.everything();
CREATE FUNCTION tamper_f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
-- One statement: SQLSTATE, or the rows it reached.
CREATE FUNCTION pg_temp.reach(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
  EXECUTE sql;
  GET DIAGNOSTICS n = ROW_COUNT;
  RETURN n || ' rows';
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE;
END $$;
CREATE FUNCTION pg_temp.tamper() RETURNS SETOF text LANGUAGE sql AS $$
  SELECT format('%s: %s on %s', r, what, string_agg(t, ', ' ORDER BY t)) FROM (
    SELECT t, what, pg_temp.reach(format(sql, t, CASE t WHEN 'job' THEN 'relation' WHEN 'run' THEN 'target' ELSE 'revision' END)) AS r
    FROM unnest('{revision,applied,approval,run,step,job,range,quarantine,log}'::text[]) t,
    (VALUES ('SELECT', 'SELECT * FROM migration_ext.%I'), ('INSERT', 'INSERT INTO migration_ext.%I DEFAULT VALUES'), ('UPDATE', 'UPDATE migration_ext.%1$I SET %2$I = NULL'),
      ('DELETE', 'DELETE FROM migration_ext.%I'), ('TRUNCATE', 'TRUNCATE migration_ext.%I'), ('LOCK', 'LOCK TABLE migration_ext.%I IN ACCESS EXCLUSIVE MODE'),
      ('FOR UPDATE', 'SELECT FROM migration_ext.%I FOR UPDATE'), ('trigger', 'CREATE TRIGGER t AFTER INSERT ON migration_ext.%I EXECUTE FUNCTION tamper_f()'), ('rule', 'CREATE RULE r AS ON INSERT TO migration_ext.%I DO INSTEAD NOTHING'),
      ('policy', 'CREATE POLICY p ON migration_ext.%I USING (true)'), ('no RLS', 'ALTER TABLE migration_ext.%I DISABLE ROW LEVEL SECURITY'), ('view', 'CREATE VIEW pg_temp.v_%1$s AS SELECT * FROM migration_ext.%1$I; SELECT * FROM pg_temp.v_%1$s'),
      ('REFERENCES', 'CREATE TABLE public.tamper_r (x text REFERENCES migration_ext.%I)'), ('GRANT', 'GRANT ALL ON migration_ext.%I TO PUBLIC'), ('INHERIT', 'CREATE TABLE public.tamper_i () INHERITS (migration_ext.%I)'),
      ('DROP', 'DROP TABLE migration_ext.%I')) v(what, sql)) x
  GROUP BY r, what ORDER BY what, r $$;
GRANT CREATE ON SCHEMA public TO regress_mig_nobody, regress_mig_admin, regress_mig_all;
SET ROLE regress_mig_nobody;
SELECT pg_temp.tamper();
SET ROLE regress_mig_admin;
SELECT pg_temp.tamper();
-- Row level security holds where the predefined roles open the tables. (They can still lock them and move sequences: the server gives no way
-- to keep pg_write_all_data from that.)
RESET ROLE;
SET client_min_messages = error;
BEGIN;
SET LOCAL ROLE regress_mig_all;
SELECT pg_temp.tamper();
COPY migration_ext.revision TO STDOUT;
COPY migration_ext.log TO STDOUT;
SELECT pg_temp.reach('SELECT nextval(''migration_ext.run_run_id_seq'')'), pg_temp.reach('SELECT setval(''migration_ext.run_run_id_seq'', 1)');
ROLLBACK;
-- Through a function of ours that reads for everybody: only what everybody may know.
SET ROLE regress_mig_nobody;
SELECT revision, state FROM migration_history();
SELECT pg_temp.reach('SELECT * FROM migration_show(''x1'')'), pg_temp.reach('SELECT migration_export(''x1'')'), pg_temp.reach('SELECT * FROM migration_log()'), pg_temp.reach('SELECT * FROM migration_runs()'), pg_temp.reach('SELECT * FROM migration_plan()'), pg_temp.reach('SELECT migration_sql()');
RESET ROLE;
-- The members of the extension cannot be taken out of it or changed by who does not own them.
SET ROLE regress_mig_admin;
SELECT pg_temp.reach(sql) FROM unnest('{DROP EXTENSION migration_ext,ALTER EXTENSION migration_ext DROP TABLE migration_ext.revision,ALTER FUNCTION migration_upgrade(text\,boolean\,boolean) SECURITY DEFINER,DROP SCHEMA migration_ext CASCADE,CREATE TABLE migration_ext.x (),ALTER EXTENSION migration_ext UPDATE}'::text[]) sql;
RESET ROLE;
SELECT everything = pg_temp.everything() AS untouched, length(everything) > 1000 AS something FROM tamper_before;
DROP TABLE tamper_t, tamper_before;
DROP FUNCTION tamper_f;
DROP OWNED BY regress_mig_nobody, regress_mig_admin, regress_mig_all;
DROP ROLE regress_mig_nobody, regress_mig_admin, regress_mig_all;
SELECT mtest.clean();
