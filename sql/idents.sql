--
-- Hostile names: of revisions, labels, messages, roles, schemas, tables, columns, indexes, types. Everything round-trips, and a script made by
-- migration_sql() or migration_export() does what it says and nothing else: no canary appears.
--
SET client_min_messages = warning;
\pset format unaligned
\pset tuples_only on
CREATE TABLE ident_name (n serial, name text);
INSERT INTO ident_name (name) VALUES ('plain'), ('Upper'), ('with space'), ('select'), ('a"b'), ('a''b'), ('a\b'), ('a;b'), ('--'), ('/*'), ('*/'), ('$$'), ('$up$'), ('$x$; CREATE TABLE public.canary(); --'),
  ('''; CREATE TABLE public.canary(); --'), ('"; CREATE TABLE public.canary(); --'), (E'a\nb'), (E'a\r\nb'), (E'x\n\\! touch canary'), (E'x\nCREATE TABLE public.canary();'), (E'\\'), (E'a\tb'), ('ä'), ('日本'), ('🐘'),
  (repeat('x', 63)), (repeat('ä', 31)), ('%s'), ('%I'), (':var'), (':''var'''), (':"var"'), ('{}'), ('{a,b}'), ('1'), ('1a'), ('NULL'), ('public.x'), (E'\u00a0'), (E'e\u0301'), ('$1'), ('a,b'), ('@'), ('C:\x');
SELECT count(*) FROM ident_name;
-- Each name for everything at once: schema, table, column, index, constraint, sequence, type, role, message, label and option.
CREATE FUNCTION pg_temp.round(n int, x text) RETURNS text LANGUAGE plpgsql AS $f$
DECLARE s text := format('%I', x || ' s'); m text; sql text; id text := 'r' || n; label text := regexp_replace(x, '[\s@+:,-]', '_', 'g') || n; before text; exported text; shown text;
BEGIN
  IF octet_length(x) > 60 THEN s := format('%I', x); END IF;
  EXECUTE format('CREATE SCHEMA %s', s);
  EXECUTE format('CREATE TABLE %s.%I (%I int PRIMARY KEY, v int)', s, x, x);
  EXECUTE format('INSERT INTO %s.%I SELECT i FROM generate_series(1, 10) i', s, x);
  PERFORM migration_register(id, x, NULL, format($up$
    CREATE INDEX CONCURRENTLY %2$s ON %1$s.%3$s (v);
    UPDATE %1$s.%3$s SET v = %3$s WHERE v IS NULL;
    ALTER TABLE %1$s.%3$s ADD CONSTRAINT %3$s CHECK (%3$s > 0) NOT VALID;
    ALTER TABLE %1$s.%3$s VALIDATE CONSTRAINT %3$s;
    ALTER TABLE %1$s.%3$s RENAME COLUMN v TO w;
    CREATE TYPE %1$s.%4$s AS ENUM (%5$L);
    ALTER TYPE %1$s.%4$s ADD VALUE %6$L;
    COMMENT ON TABLE %1$s.%3$s IS %5$L;$up$, s, format('%I', 'i' || left(x, 50)), format('%I', x), format('%I', 'e' || left(x, 50)), x, left(x, 50) || '2'), 'SELECT 1', label, NULL, jsonb_build_object('source', jsonb_build_object(x, x)));
  -- Shown as it is, exported and registered again as the same.
  SELECT message INTO shown FROM migration_show(id);
  IF shown IS DISTINCT FROM x THEN RETURN 'message: ' || shown; END IF;
  SELECT labels[1] INTO shown FROM migration_show(id);
  IF shown IS DISTINCT FROM label THEN RETURN 'label: ' || shown; END IF;
  IF (SELECT count(*) FROM migration_show(label || '@' || id)) <> 1 THEN RETURN 'label is not found'; END IF;
  exported := migration_export(id);
  EXECUTE exported INTO shown;
  IF shown <> 'unchanged' THEN RETURN 'exported: ' || shown; END IF;
  PERFORM migration_unregister(id);
  EXECUTE exported INTO shown;
  IF migration_export(id) <> exported THEN RETURN 'exported twice: ' || migration_export(id); END IF;
  -- Planned, and run offline.
  PERFORM migration_plan(id);
  PERFORM migration_upgrade(id, online => false);
  IF (SELECT count(*) FROM pg_attribute WHERE attrelid = format('%s.%I', s, x)::regclass AND attname = 'w') <> 1 THEN RETURN 'not run'; END IF;
  EXECUTE format('SELECT count(w) FROM %s.%I', s, x) INTO shown;
  IF shown <> '10' THEN RETURN 'rows: ' || shown; END IF;
  PERFORM migration_downgrade('base', online => false);
  RETURN 'fine';
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END $f$;
SELECT n, name, result FROM (SELECT n, name, pg_temp.round(n, name) AS result FROM ident_name ORDER BY n) x WHERE result <> 'fine';
SELECT mtest.applied();
-- The same by script and by worker. Everything that the round left (schemas with their tables) goes first.
\set ECHO none
SELECT format('DROP SCHEMA %I CASCADE', nspname) FROM pg_namespace WHERE nspname LIKE '% s' OR nspname IN (SELECT name FROM ident_name WHERE octet_length(name) > 60) \gexec
\set ECHO all
SELECT mtest.clean();
CREATE FUNCTION pg_temp.prepare(n int, x text) RETURNS text LANGUAGE plpgsql AS $f$
BEGIN
  EXECUTE format('CREATE TABLE %I (%I int PRIMARY KEY, v int)', 't' || left(x, 50), x);
  EXECUTE format('INSERT INTO %I SELECT i FROM generate_series(1, 10) i', 't' || left(x, 50));
  RETURN migration_register('r' || lpad(n::text, 2, '0'), x, CASE WHEN n > 1 THEN 'r' || lpad((n - 1)::text, 2, '0') END, format('ALTER TABLE %1$I RENAME COLUMN v TO w; COMMENT ON COLUMN %1$I.w IS %2$L; UPDATE %1$I SET w = %3$I WHERE w IS NULL; CREATE INDEX CONCURRENTLY %4$I ON %1$I (w)',
    't' || left(x, 50), x, x, 'i' || left(x, 50)), format('DROP INDEX CONCURRENTLY %I; ALTER TABLE %I RENAME COLUMN w TO v', 'i' || left(x, 50), 't' || left(x, 50)), NULL, NULL, jsonb_build_object('source', jsonb_build_object(x, x)));
END $f$;
SELECT DISTINCT pg_temp.prepare(n, name) FROM (SELECT * FROM ident_name ORDER BY n) x;
\set file `mktemp`
SELECT migration_sql() \g (tuples_only=on format=unaligned) :file
\set ECHO none
\set QUIET on
\o /dev/null
\i :file
\o
\set ON_ERROR_STOP off
\set ECHO all
SELECT count(*) FROM migration_ext.applied;
SELECT migration_sql('base') \g (tuples_only=on format=unaligned) :file
\set ECHO none
\o /dev/null
\i :file
\o
\set ON_ERROR_STOP off
\set ECHO all
SELECT count(*) FROM migration_ext.applied;
SELECT migration_upgrade();
SELECT count(*) FROM migration_ext.applied;
SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attname = 'w' AND col_description(c.oid, a.attnum) <> '';
SELECT count(*) FILTER (WHERE indisvalid), count(*) FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE c.relnamespace = 'public'::regnamespace AND c.relname LIKE 'i%' AND NOT x.indisprimary;
SELECT migration_downgrade('base');
-- All files in one: the exported calls, as psql reads them from Git.
SELECT string_agg(migration_export(revision), E'\n' ORDER BY ordinal) FROM migration_ext.revision \g (tuples_only=on format=unaligned) :file
CREATE TEMP TABLE ident_before AS SELECT * FROM migration_ext.revision;
SELECT mtest.clean();
\set ECHO none
\o /dev/null
\i :file
\o
\set ECHO all
SELECT count(*) FROM (SELECT revision, message, down_revision, upgrade, downgrade, fingerprint, options FROM ident_before EXCEPT SELECT revision, message, down_revision, upgrade, downgrade, fingerprint, options FROM migration_ext.revision) different;
SELECT to_regclass('public.canary') AS canary;
\setenv FILE :file
\! rm -f "$FILE"
-- Roles with odd names run, are shown and are named in errors.
CREATE ROLE "regress_mig ""r"" ; --" SUPERUSER;
SET ROLE "regress_mig ""r"" ; --";
SELECT migration_upgrade('r01');
SELECT applied_by FROM migration_current();
RESET ROLE;
SELECT role, state FROM migration_runs();
SELECT migration_downgrade('base');
DROP OWNED BY "regress_mig ""r"" ; --";
DROP ROLE "regress_mig ""r"" ; --";
\set ECHO none
SELECT format('DROP TABLE %I', 't' || left(name, 50)) FROM ident_name \gexec
\set ECHO all
DROP TABLE ident_name;
SELECT mtest.clean();
