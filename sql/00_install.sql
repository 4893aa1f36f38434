--
-- What the script of the extension makes: everything is documented, nothing is open, nothing is taken over.
-- Also makes the helpers of the other files, in schema mtest.
--
SET client_min_messages = warning;
CREATE EXTENSION migration_ext;
SELECT extname, n.nspname AS schema, extversion, extrelocatable
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'migration_ext';

CREATE TEMP VIEW member AS
SELECT classid, objid FROM pg_depend WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'migration_ext');

-- Every function, and only functions in pg_catalog, tables in migration_ext.
SELECT p.oid::regprocedure AS function, p.provolatile AS volatile, p.proparallel AS parallel
FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
ORDER BY p.proname COLLATE "C";
SELECT c.relname, c.relkind, c.relrowsecurity FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
WHERE c.relkind NOT IN ('S') ORDER BY c.relname COLLATE "C";
-- No types of its own, no casts, operators, event triggers.
SELECT DISTINCT coalesce(pn.nspname, cn.nspname) AS schema, m.classid::regclass AS of FROM member m
LEFT JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid LEFT JOIN pg_namespace pn ON pn.oid = p.pronamespace
LEFT JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid LEFT JOIN pg_namespace cn ON cn.oid = c.relnamespace
WHERE m.objid NOT IN (SELECT t.oid FROM pg_type t WHERE m.classid = 'pg_type'::regclass AND (t.typrelid <> 0 OR t.typelem <> 0)) -- row types
ORDER BY 2, 1;

-- Without a comment: nothing.
SELECT p.oid::regprocedure FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
WHERE coalesce(obj_description(p.oid, 'pg_proc'), '') = '';
SELECT c.relname, a.attname FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid AND c.relkind = 'r'
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum >= 0 AND NOT a.attisdropped
WHERE coalesce(col_description(c.oid, a.attnum), '') = '';
SELECT c.relname FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid AND c.relkind = 'r'
WHERE coalesce(obj_description(c.oid, 'pg_class'), '') = '';
SELECT obj_description('migration_ext'::regnamespace, 'pg_namespace') <> '' AS schema_documented;
-- Parameters: registered once the library is loaded, each with a description.
SELECT count(*) AS loaded FROM migration_status();
SELECT name, setting, context, short_desc <> '' AS described FROM pg_settings
WHERE name LIKE 'migration\_ext.%' AND name NOT IN ('migration_ext.crash_at', 'migration_ext.databases') ORDER BY name COLLATE "C";
-- The prefix is reserved: a misspelt parameter is an error.
SET migration_ext.no_such_parameter = 1;

-- No SECURITY DEFINER, no settings, C only, one symbol per function.
SELECT p.oid::regprocedure FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
WHERE p.prosecdef OR p.proconfig IS NOT NULL OR p.prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c') OR p.prosrc <> p.proname
OR p.proleakproof OR p.proisstrict;
-- PUBLIC may look, no more: nothing that changes anything, nothing that shows script text.
SELECT p.proname AS for_everybody FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
WHERE has_function_privilege('public', p.oid, 'EXECUTE') ORDER BY 1;
-- No table, sequence or schema is open to anybody but the owner.
SELECT c.relname, c.relacl FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
CROSS JOIN LATERAL aclexplode(c.relacl) a WHERE a.grantee <> c.relowner;
SELECT count(*) AS schema_grants FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) a
WHERE n.nspname = 'migration_ext' AND a.grantee <> n.nspowner;
SELECT count(*) AS policies FROM pg_policy WHERE polrelid IN (SELECT objid FROM member);
-- One owner: who installed it.
SELECT DISTINCT p.proowner = e.extowner AND c.relowner = e.extowner AS one_owner
FROM pg_extension e, member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid,
member n JOIN pg_class c ON n.classid = 'pg_class'::regclass AND c.oid = n.objid WHERE e.extname = 'migration_ext';
-- All tables and sequences are dumped.
SELECT c.relname AS not_dumped FROM pg_extension e, pg_class c WHERE e.extname = 'migration_ext'
AND c.relnamespace = 'migration_ext'::regnamespace AND c.relkind IN ('r', 'S') AND NOT c.oid = ANY (e.extconfig);
-- Nobody needs a schema in the path; the schema is a member and cannot be dropped by itself.
SET search_path = '';
SELECT state FROM migration_status();
RESET search_path;
DROP SCHEMA migration_ext CASCADE;
-- A second time: refused, and harmless when asked politely.
CREATE EXTENSION migration_ext;
CREATE EXTENSION IF NOT EXISTS migration_ext;
ALTER EXTENSION migration_ext SET SCHEMA public;

--
-- Helpers
--
CREATE SCHEMA mtest;
GRANT USAGE ON SCHEMA mtest TO PUBLIC;
CREATE TABLE mtest.hint (message text, hint text, PRIMARY KEY (message, hint));
GRANT SELECT, INSERT ON mtest.hint TO PUBLIC;
-- Runs one statement; its value, or what a client sees of its error. Hints are kept for z_hints.
CREATE FUNCTION mtest.try(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE s text; m text; d text; h text; value text;
BEGIN
  EXECUTE sql INTO value;
  RETURN 'ok: ' || coalesce(value, 'null');
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS s = RETURNED_SQLSTATE, m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
  INSERT INTO mtest.hint VALUES (left(m, 200), left(h, 1000)) ON CONFLICT DO NOTHING;
  RETURN format('%s: %s', s, left(m, 500)) || coalesce(E'\n  DETAIL: ' || nullif(left(d, 500), ''), '') ||
    coalesce(E'\n  HINT: ' || nullif(left(h, 500), ''), '');
END $$;
-- SQLSTATE alone.
CREATE FUNCTION mtest.state(sql text) RETURNS text LANGUAGE sql AS $$ SELECT split_part(mtest.try(sql), ':', 1) $$;
-- Everything about the objects of a schema that a script could change, as one text.
CREATE FUNCTION mtest.schema(named regnamespace) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(line, E'\n' ORDER BY line COLLATE "C") FROM (
    SELECT format('%s %s %s %s', c.relkind, c.relname, c.reloptions, CASE c.relkind WHEN 'v' THEN pg_get_viewdef(c.oid)
      WHEN 'm' THEN pg_get_viewdef(c.oid) WHEN 'p' THEN pg_get_partkeydef(c.oid) END) FROM pg_class c
      WHERE c.relnamespace = named AND c.relkind NOT IN ('i', 'I', 't')
    UNION ALL SELECT format('column %s.%s %s %s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
      pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
      AND NOT a.attisdropped LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
      WHERE c.relnamespace = named AND c.relkind NOT IN ('i', 'I', 't', 'S')
    UNION ALL SELECT format('index %s %s %s', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisready) FROM pg_index i
      JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = named
    UNION ALL SELECT format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
      WHERE connamespace = named AND contype <> 'n'
    UNION ALL SELECT format('function %s', pg_get_functiondef(oid)) FROM pg_proc WHERE pronamespace = named AND prokind IN ('f', 'p')
    UNION ALL SELECT format('trigger %s', pg_get_triggerdef(t.oid)) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
      WHERE c.relnamespace = named AND NOT tgisinternal
    UNION ALL SELECT format('type %s %s', t.typname, (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid))
      FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid WHERE t.typnamespace = named AND t.typelem = 0 AND coalesce(c.relkind, 'c') = 'c'
    UNION ALL SELECT format('inherits %s %s %s', i.inhrelid::regclass, i.inhparent::regclass, pg_get_expr(c.relpartbound, c.oid))
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relnamespace = named
    UNION ALL SELECT format('policy %s %s %s %s %s', polname, polrelid::regclass, polcmd, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
      FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace = named
    UNION ALL SELECT format('comment %s %s %s', c.relname, objsubid, description) FROM pg_description d JOIN pg_class c ON d.classoid = 'pg_class'::regclass
      AND d.objoid = c.oid WHERE c.relnamespace = named
    UNION ALL SELECT format('acl %s %s', relname, a) FROM pg_class CROSS JOIN LATERAL unnest(coalesce(relacl, acldefault('r', relowner))) a
      WHERE relnamespace = named AND relkind IN ('r', 'v', 'm', 'p')
  ) x(line) $$;
CREATE FUNCTION mtest.same(a text, b text) RETURNS text LANGUAGE sql AS $$
  SELECT CASE WHEN a IS NOT DISTINCT FROM b THEN 'same' ELSE 'different:' || coalesce((SELECT string_agg(line, E'\n') FROM (
    (SELECT '- ' || l FROM regexp_split_to_table(a, E'\n') l EXCEPT ALL SELECT '- ' || l FROM regexp_split_to_table(b, E'\n') l) UNION ALL
    (SELECT '+ ' || l FROM regexp_split_to_table(b, E'\n') l EXCEPT ALL SELECT '+ ' || l FROM regexp_split_to_table(a, E'\n') l)) x(line)), '') END $$;
-- What is applied, in registration order; unknown ids last.
CREATE FUNCTION mtest.applied() RETURNS text LANGUAGE sql AS $$
  SELECT coalesce(string_agg(a.revision, ' ' ORDER BY r.ordinal, a.revision), '-') FROM migration_ext.applied a
  LEFT JOIN migration_ext.revision r USING (revision) $$;
-- Forgets everything, so that the next file starts with run 1. A worker that is still there is waited for.
CREATE FUNCTION mtest.clean() RETURNS void LANGUAGE plpgsql SET client_min_messages = warning AS $$
DECLARE t text;
BEGIN
  FOR i IN 1 .. 3000 LOOP
    EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'migration_ext executor');
    PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
  END LOOP;
  FOREACH t IN ARRAY '{revision,applied,approval,run,step,job,log}'::text[] LOOP
    EXECUTE format('DELETE FROM migration_ext.%I', t);
  END LOOP;
  PERFORM setval(c.oid::regclass, 1, false) FROM pg_class c WHERE c.relnamespace = 'migration_ext'::regnamespace AND c.relkind = 'S';
END $$;
-- A revision of no interest but its place in the graph.
CREATE FUNCTION mtest.node(id text, down text DEFAULT NULL, label text DEFAULT NULL, needs text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
  SELECT migration_register(id, 'this is ' || id, down, 'SELECT 1', '', label, needs) $$;
-- Stamps `have`, upgrades or downgrades (verb) to the target, tells the steps and the heads afterwards, or the error, and undoes it.
CREATE FUNCTION mtest.go(have text, verb text, target text) RETURNS text LANGUAGE plpgsql SET client_min_messages = warning AS $$
DECLARE r text; s text; m text; d text; h text;
BEGIN
  PERFORM migration_stamp(have, purge => true);
  DELETE FROM migration_ext.log;
  EXECUTE format('SELECT migration_%s(%L)', verb, target) INTO r;
  r := coalesce((SELECT string_agg(CASE event WHEN 'applied' THEN '+' ELSE '-' END || revision, ' ' ORDER BY event_id) FROM migration_log()
    WHERE event IN ('applied', 'undone')), 'nothing') || format(' -> [%s]', (SELECT array_to_string(current, ' ') FROM migration_status()));
  RAISE SQLSTATE 'TEST1';
EXCEPTION WHEN SQLSTATE 'TEST1' THEN RETURN r;
WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS s = RETURNED_SQLSTATE, m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
  INSERT INTO mtest.hint VALUES (left(m, 200), left(h, 1000)) ON CONFLICT DO NOTHING;
  RETURN format('%s %s (%s)', s, m, d);
END $$;
-- The steps of a plan in short.
CREATE FUNCTION mtest.path(target text) RETURNS text LANGUAGE sql AS $$
  SELECT coalesce(string_agg(CASE direction WHEN 'upgrade' THEN '+' ELSE '-' END || revision, ' ' ORDER BY step), 'nothing') FROM migration_plan(target) $$;
SELECT mtest.applied(), mtest.clean();
