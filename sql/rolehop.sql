--
-- A script runs as who started it and cannot become anybody else: twelve spellings, in the session and in a worker, and nothing is changed.
--
SET client_min_messages = warning;
CREATE ROLE regress_mig_hop LOGIN;
CREATE ROLE regress_mig_target;
GRANT regress_mig_target TO regress_mig_hop;
SELECT migration_grant('regress_mig_hop', 'author') IS NOT NULL, migration_grant('regress_mig_hop', 'operator') IS NOT NULL;
GRANT CREATE ON SCHEMA public TO regress_mig_hop;
CREATE TABLE hop_log (who text);
GRANT ALL ON hop_log TO PUBLIC;
-- For the worker: an index that must be built concurrently first.
CREATE TABLE hop_t (id int PRIMARY KEY, a int);
INSERT INTO hop_t VALUES (1);
ALTER TABLE hop_t OWNER TO regress_mig_hop;
CREATE FUNCTION hop_set() RETURNS int LANGUAGE plpgsql AS $$BEGIN SET ROLE regress_mig_target; RETURN 1; END$$;
CREATE FUNCTION hop_config() RETURNS int LANGUAGE sql AS $$SELECT set_config('role', 'regress_mig_target', false); SELECT 1$$;
CREATE FUNCTION hop_index(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN SET ROLE regress_mig_target; RETURN 1; END$$;
CREATE FUNCTION hop_proconfig() RETURNS int LANGUAGE plpgsql SET role = regress_mig_target AS $$BEGIN RETURN 1; END$$;
CREATE TABLE hop (n serial, text text);
GRANT SELECT ON hop TO PUBLIC;
INSERT INTO hop (text) VALUES
  ('SET ROLE regress_mig_target'), ('SET LOCAL ROLE regress_mig_target'), ('RESET ROLE'), ('SET SESSION AUTHORIZATION regress_mig_target'), ('RESET SESSION AUTHORIZATION'),
  ('SELECT set_config(''role'', ''regress_mig_target'', false)'), ('SELECT pg_catalog.set_config(''role'', ''none'', true)'), ('SELECT set_config(''session_authorization'', ''regress_mig_target'', false)'),
  ('DO $$BEGIN SET ROLE regress_mig_target; END$$'), ('DO $$BEGIN EXECUTE ''RE'' || ''SET ROLE''; END$$'), ('DO $$BEGIN RESET SESSION AUTHORIZATION; END$$'), ('DO $$BEGIN PERFORM set_config(''role'', ''none'', false); END$$'),
  ('SELECT hop_set()'), ('SELECT hop_config()'), ('SELECT hop_proconfig()'), ('SET SESSION ROLE NONE'), ('RESET ALL; SET role TO ''regress_mig_target'''),
  ('ALTER ROLE regress_mig_hop SET role = regress_mig_target; SET SESSION role TO regress_mig_target'), ('DO $$BEGIN BEGIN SET ROLE regress_mig_target; EXCEPTION WHEN OTHERS THEN INSERT INTO hop_log VALUES (current_user); RAISE; END; END$$');
-- Once the exception has been swallowed the script goes on, as who it was.
CREATE FUNCTION pg_temp.attempt(script text, worker boolean) RETURNS text LANGUAGE plpgsql AS $f$
BEGIN
  PERFORM migration_register('h1', 'hop', NULL, script || '; INSERT INTO hop_log VALUES (current_user)', '');
  PERFORM migration_upgrade();
  RETURN 'ran as ' || (SELECT string_agg(DISTINCT who, ' ') FROM hop_log);
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ': ' || SQLERRM;
END $f$;
SET SESSION AUTHORIZATION regress_mig_hop;
SELECT n, text, pg_temp.attempt(text, false) FROM hop ORDER BY n;
SELECT current_user, session_user;
RESET SESSION AUTHORIZATION;
SELECT count(*) AS hopped FROM hop_log;
-- In a worker: the spellings that could be registered at all, and a backfill, a filter, an index expression that try it.
INSERT INTO hop (n, text) VALUES (20, 'UPDATE hop_t SET a = hop_set() WHERE a IS NULL'), (21, 'UPDATE hop_t SET a = 1 WHERE a IS NULL AND hop_config() = 1'), (22, 'DELETE FROM hop_t WHERE hop_set() = 2'),
  (23, 'CREATE INDEX CONCURRENTLY hop_expr ON hop_t (hop_index(id))');
CREATE FUNCTION pg_temp.queue(script text) RETURNS text LANGUAGE plpgsql AS $f$
BEGIN
  RETURN migration_register('w', 'hop', NULL, script || '; INSERT INTO hop_log VALUES (current_user); CREATE INDEX CONCURRENTLY IF NOT EXISTS hop_i ON hop_t (id)', '');
END $f$;
\set VERBOSITY terse
\pset tuples_only on
SELECT c FROM hop, unnest(ARRAY['SET SESSION AUTHORIZATION regress_mig_hop', format('SELECT pg_temp.queue(%L)', text), 'SELECT migration_upgrade(''w'')', 'RESET SESSION AUTHORIZATION', 'SELECT mtest.clean() IS NULL']) WITH ORDINALITY c(c, o)
WHERE n IN (6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 19, 20, 21, 22, 23) ORDER BY n, o \gexec
\pset tuples_only off
SELECT count(*) AS hopped FROM hop_log;
SELECT * FROM hop_t;
-- What is not a hop still works: temporary tables, LISTEN, SET LOCAL, GRANT, ALTER OWNER.
SET SESSION AUTHORIZATION regress_mig_hop;
SELECT migration_register('ok', 'fine', NULL, $$
  CREATE TEMP TABLE hop_temp (id int) ON COMMIT DROP; LISTEN hop_channel; UNLISTEN hop_channel; SET LOCAL work_mem = '1MB';
  CREATE TABLE hop_own (id int); GRANT SELECT ON hop_own TO PUBLIC; DROP TABLE hop_own;
$$, '');
SELECT migration_upgrade('ok') IS NOT NULL AS ran;
RESET SESSION AUTHORIZATION;
DROP TABLE hop_log, hop_t, hop;
DROP FUNCTION hop_set, hop_config, hop_proconfig, hop_index;
DROP OWNED BY regress_mig_hop;
DROP ROLE regress_mig_hop, regress_mig_target;
SELECT mtest.clean();
