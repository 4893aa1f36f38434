--
-- A script means the same objects wherever it is run from: it runs under the search_path it was registered with, pg_temp last, and a hostile
-- path of the caller changes nothing.
--
SET client_min_messages = warning;
CREATE SCHEMA path_app;
CREATE SCHEMA path_evil;
SET search_path = path_app, public;
SELECT migration_register('p1', 'tables', NULL, 'CREATE TABLE path_t (id int PRIMARY KEY, a int); INSERT INTO path_t VALUES (1, NULL), (2, NULL)');
SELECT migration_register('p2', 'rows and an index', 'p1', 'CREATE INDEX CONCURRENTLY path_i ON path_t (a); UPDATE path_t SET a = id WHERE a IS NULL; VACUUM path_t; ALTER TABLE path_t ADD COLUMN b int', 'ALTER TABLE path_t DROP COLUMN b; DROP INDEX CONCURRENTLY path_i');
SELECT migration_register('p3', 'catalog names', 'p2', 'CREATE TABLE path_len AS SELECT length(''abc'') AS n', 'DROP TABLE path_len');
-- Somebody runs it from a place where everything has a double.
SET search_path = path_evil, pg_temp, public;
CREATE TABLE path_evil.path_t (id int, a int);
CREATE TEMP TABLE path_t (id int, a int);
CREATE FUNCTION path_evil.length(text) RETURNS int LANGUAGE sql AS 'SELECT 666';
SELECT migration_upgrade('p1') IS NOT NULL AS ran;
SELECT migration_upgrade('p2');
SELECT DISTINCT relation, est_rows >= 0 AS found FROM migration_plan('base') WHERE relation LIKE '%path_t%';
SELECT migration_upgrade('p3') IS NOT NULL AS ran;
SHOW search_path;
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname LIKE 'path\_%' AND c.relkind IN ('r', 'i') AND n.nspname LIKE 'path%' ORDER BY 1, 2;
SELECT sum(a) FROM path_app.path_t;
SELECT n FROM path_app.path_len;
SELECT count(*) AS untouched FROM path_evil.path_t;
-- A temporary table of the caller does not come first, not even when the registered path had no room for it.
SELECT migration_downgrade('base', allow_data_loss => true);
SELECT to_regclass('path_app.path_t') AS gone, to_regclass('pg_temp.path_t') IS NOT NULL AS mine_is_there, to_regclass('path_evil.path_t') IS NOT NULL AS evil_is_there;
-- The path that counts is that of the registration, also through updates of message and options; a new registration takes the new path.
SET search_path = path_evil;
SELECT migration_register('p3', 'other words', 'p2', 'CREATE TABLE path_len AS SELECT length(''abc'') AS n', 'DROP TABLE path_len');
SET search_path = path_app;
SELECT split_part(migration_sql('p3', 'p2'), E'\n', 4);
RESET search_path;
DROP SCHEMA path_app, path_evil CASCADE;
DROP TABLE pg_temp.path_t;
SELECT mtest.clean();
