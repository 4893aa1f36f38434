--
-- Functions, operators, types, casts and tables of others that look like the server's own are never used by ours, whatever the search_path,
-- whichever role calls: the log of the shadows stays empty.
--
SET client_min_messages = error;
CREATE ROLE regress_mig_shadow;
CREATE SCHEMA shadow_first;
CREATE TABLE shadow_log (what text);
GRANT ALL ON shadow_log TO PUBLIC;
GRANT CREATE, USAGE ON SCHEMA public, shadow_first TO regress_mig_shadow;
SET ROLE regress_mig_shadow;
-- The same set of traps in each of three places. Arguments of types that are just as good a match as the server's.
CREATE FUNCTION pg_temp.plant(place text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $plant$
DECLARE f record; o text; t text;
BEGIN
  FOR f IN SELECT * FROM (VALUES ('lower(x text)', 'text', 'x'), ('upper(x text)', 'text', 'x'), ('length(x text)', 'int', '1'), ('format(x text, VARIADIC y text[])', 'text', 'x'), ('quote_ident(x text)', 'text', 'x'),
      ('quote_literal(x text)', 'text', 'x'), ('count(x text)', 'bigint', '1'), ('now()', 'timestamptz', 'NULL'), ('clock_timestamp()', 'timestamptz', 'NULL'), ('coalesce_text(x text)', 'text', 'x'), ('current_setting(x text)', 'text', 'x'),
      ('set_config(x text, y text, z boolean)', 'text', 'x'), ('greatest_of(x int)', 'int', 'x'), ('round(x numeric, y int)', 'numeric', 'x'), ('unnest(x text[])', 'text', 'x[1]'), ('pg_relation_size(x oid)', 'bigint', '1'), ('pg_table_size(x oid)', 'bigint', '1'),
      ('pg_backend_pid()', 'int', '1'), ('pg_notify(x text, y text)', 'void', 'NULL'), ('date_trunc(x text, y interval)', 'interval', 'y'), ('date_trunc(x text, y timestamptz)', 'timestamptz', 'y'), ('concat_ws(x text, VARIADIC y text[])', 'text', 'x'),
      ('array_agg(x text)', 'text[]', 'NULL'), ('jsonb_typeof(x jsonb)', 'text', 'NULL'), ('pg_get_indexdef(x oid)', 'text', 'NULL'), ('nextval(x text)', 'bigint', '1'), ('max(x bigint)', 'bigint', '1'), ('sum(x bigint)', 'bigint', '1'), ('migration_status()', 'text', 'NULL'),
      ('migration_upgrade(x text)', 'bigint', '1'), ('migration_plan(x text)', 'text', 'x'), ('pg_blocking_pids(x int)', 'int[]', 'NULL')) v(signature, result, value) LOOP
    BEGIN
      EXECUTE format('CREATE FUNCTION %s.%s RETURNS %s LANGUAGE plpgsql AS %L', place, f.signature, f.result, format('BEGIN INSERT INTO public.shadow_log VALUES (%L); RETURN%s; END', place || ' ' || f.signature,
        CASE f.result WHEN 'void' THEN '' ELSE ' ' || f.value END));
    EXCEPTION WHEN OTHERS THEN RAISE WARNING '% %: %', place, f.signature, SQLERRM;
    END;
  END LOOP;
  FOREACH o IN ARRAY '{=,<>,<,>,<=,>=,||,~,!~,@>,->>,+,-,*,/}'::text[] LOOP
    FOREACH t IN ARRAY ARRAY['text', 'int4', 'int8', 'oid', 'jsonb', 'bool', 'timestamptz', 'interval', '"char"', 'name', 'numeric', 'text[]', 'int2', 'int4[]', 'tid', 'float8'] LOOP
      BEGIN
        EXECUTE format('CREATE FUNCTION %s.op(pg_catalog.%s, pg_catalog.%s) RETURNS pg_catalog.bool LANGUAGE plpgsql AS %L', place, t, t, format('BEGIN INSERT INTO public.shadow_log VALUES (%L); RETURN true; END', place || ' operator on ' || t));
      EXCEPTION WHEN duplicate_function THEN NULL;
      END;
      EXECUTE format('CREATE OPERATOR %s.%s (leftarg = pg_catalog.%s, rightarg = pg_catalog.%s, function = %s.op)', place, o, t, t, place);
    END LOOP;
  END LOOP;
  -- Types with the names of the server's: a cast to them would run our domain's check.
  FOREACH o IN ARRAY ARRAY['text', 'int4', 'int8', 'bool', 'jsonb', 'regclass', 'oid', 'timestamptz', 'name', 'tid'] LOOP
    EXECUTE format('CREATE FUNCTION %s.trap_%s(pg_catalog.text) RETURNS pg_catalog.bool LANGUAGE plpgsql AS %L', place, o, format('BEGIN INSERT INTO public.shadow_log VALUES (%L); RETURN true; END', place || ' type ' || o));
    EXECUTE format('CREATE DOMAIN %s.%s AS pg_catalog.text CHECK (%s.trap_%s(VALUE::pg_catalog.text))', place, o, place, o);
  END LOOP;
  -- Tables with the names of catalogs and of the ledger's tables.
  FOREACH o IN ARRAY '{pg_class,pg_namespace,pg_proc,pg_index,pg_attribute,pg_stat_activity,pg_locks,pg_roles,pg_extension,revision,applied,run,step,job,log}'::text[] LOOP
    EXECUTE format('CREATE TABLE %s.%s (revision pg_catalog.text, oid pg_catalog.oid, relname pg_catalog.text)', place, o);
  END LOOP;
END $plant$;
SELECT pg_temp.plant('public'), pg_temp.plant('shadow_first'), pg_temp.plant('pg_temp');
-- The traps work: this is what would happen to us.
SET search_path = shadow_first, public, pg_temp, pg_catalog;
SELECT lower('X'), 'a' = 'b', 'c'::text;
SELECT what FROM public.shadow_log;
RESET search_path;
RESET ROLE;
DELETE FROM shadow_log;
CREATE TABLE public.shadow_data (id pg_catalog.int4 PRIMARY KEY, a pg_catalog.int4);
INSERT INTO public.shadow_data VALUES (1, NULL), (2, NULL);
-- Every function of the API, called by a superuser, with the shadows first and pg_catalog last.
SET search_path = shadow_first, pg_temp, public, pg_catalog;
\pset tuples_only on
\pset format unaligned
\o /dev/null
SELECT pg_catalog.migration_register('sh1', 'one', NULL, 'CREATE TABLE public.shadow_new (id pg_catalog.int4)');
SELECT pg_catalog.migration_register('sh1', 'one', NULL, 'CREATE TABLE public.shadow_new (id pg_catalog.int4)', branch_label => 'lab', options => '{"online": true}');
SELECT pg_catalog.migration_register('sh2', 'two', 'sh1', 'CREATE INDEX CONCURRENTLY shadow_i ON public.shadow_data (a); UPDATE public.shadow_data SET a = 1 WHERE a IS NULL; UPDATE public.shadow_data SET a = 3', 'DROP INDEX CONCURRENTLY public.shadow_i; DELETE FROM public.shadow_data WHERE a IS NULL');
SELECT pg_catalog.migration_register('sh3', 'three', 'sh1', 'SELECT', '');
SELECT * FROM pg_catalog.migration_status();
SELECT * FROM pg_catalog.migration_plan('heads');
SELECT * FROM pg_catalog.migration_plan('heads', online => false);
SELECT pg_catalog.migration_sql('heads');
SELECT * FROM pg_catalog.migration_history();
SELECT * FROM pg_catalog.migration_history('sh1:sh2');
SELECT * FROM pg_catalog.migration_current();
SELECT * FROM pg_catalog.migration_heads();
SELECT * FROM pg_catalog.migration_branches();
SELECT * FROM pg_catalog.migration_show('sh1');
SELECT pg_catalog.migration_export('sh1');
SELECT pg_catalog.migration_approve('sh1');
SELECT pg_catalog.migration_merge('m', 'heads', 'sh4');
SELECT * FROM pg_catalog.migration_check();
SELECT pg_catalog.migration_upgrade('sh1');
SELECT pg_catalog.migration_upgrade('sh2');
SELECT pg_catalog.migration_upgrade();
SELECT pg_catalog.migration_wait();
SELECT * FROM pg_catalog.migration_progress();
SELECT * FROM pg_catalog.migration_runs();
SELECT * FROM pg_catalog.migration_log();
SELECT pg_catalog.migration_downgrade('sh1');
SELECT pg_catalog.migration_stamp('sh2');
SELECT pg_catalog.migration_stamp('sh1', purge => true);
SELECT pg_catalog.migration_backfill('public.shadow_data', 'a = 2');
SELECT pg_catalog.migration_wait();
BEGIN;
SELECT pg_catalog.migration_backfill('public.shadow_data', 'a = 4');
SELECT pg_catalog.migration_pause();
SELECT pg_catalog.migration_resume();
ROLLBACK;
BEGIN;
SELECT pg_catalog.migration_backfill('public.shadow_data', 'a = 5');
SELECT pg_catalog.migration_cancel();
ROLLBACK;
SELECT pg_catalog.migration_grant('regress_mig_shadow', 'reader');
SELECT pg_catalog.migration_revoke('regress_mig_shadow');
SELECT pg_catalog.migration_downgrade('base');
SELECT pg_catalog.migration_unregister('sh4');
\o
-- Nothing got into the log: the scripts themselves name everything with its schema.
RESET search_path;
SELECT what, pg_catalog.count(*) FROM public.shadow_log GROUP BY what;
DROP TABLE public.shadow_data, public.shadow_log;
DROP TABLE IF EXISTS public.shadow_new;
DROP OWNED BY regress_mig_shadow CASCADE;
DROP SCHEMA shadow_first CASCADE;
DROP ROLE regress_mig_shadow;
SELECT mtest.clean();
