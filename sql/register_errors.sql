--
-- Whatever is wrong with an argument or a script is an error with a SQLSTATE, said at registration, and nothing is stored.
--
\pset format unaligned
\pset tuples_only on
-- Syntax errors carry the line and the place in the script.
SELECT migration_register('a1', 'm', NULL, E'CREATE TABLE t (id int);\nCREATE TABL u (id int);\nSELECT 1;');
\echo :SQLSTATE
SELECT migration_register('a1', 'm', NULL, 'SELECT 1', E'SELECT 1;\n\nDROP TABLE IF EXIST t;');
\echo :SQLSTATE
CREATE TABLE script (n serial, text text);
CREATE TEMP TABLE script_temp (n int);
INSERT INTO script (text) VALUES
  -- transaction control of every kind
  ('BEGIN'), ('START TRANSACTION'), ('COMMIT'), ('END'), ('ROLLBACK'), ('ABORT'), ('SAVEPOINT s'), ('RELEASE s'), ('ROLLBACK TO s'),
  ('PREPARE TRANSACTION ''x'''), ('COMMIT PREPARED ''x'''), ('ROLLBACK PREPARED ''x'''), ('SELECT 1; COMMIT AND CHAIN; SELECT 2'),
  -- what needs a client
  ('COPY t FROM STDIN'), (E'COPY t FROM STDIN;\n1\tone\n2\ttwo\n\\.\n'), ('COPY t TO STDOUT'), (E'\\d'), (E'SELECT 1;\n\\i other.sql\nSELECT 2;'),
  (E'\\set x 1\nSELECT :x'), (E'SELECT 1 \\gset'), (E'\\connect other'), ('SELECT :var'), (E'\\.'),
  -- other roles
  ('SET ROLE postgres'), ('SET SESSION AUTHORIZATION postgres'), ('RESET ROLE'), ('SET LOCAL ROLE postgres'), ('DISCARD ALL'),
  -- does not scan, does not parse
  ('SELECT ''open'), ('SELECT $$open'), ('SELECT $tag$ open $$'), ('/* open'), ('SELECT "open'), ('SELECT 1 1 1'), ('CREATE TABLE'), ('hello'), (')'),
  ('SELECT 1; ; SELEC 2'), (E'SELECT U&''\\zzzz'''), ('SELECT 1.2.3'),
  -- backfill calls that no plan can be made of
  ('SELECT migration_backfill(''t'', ''a = 1'' || ''x'')'), ('SELECT migration_backfill(NULL, ''a = 1'')'), ('SELECT migration_backfill(''t'')'),
  ('SELECT migration_backfill(''t'', ''a = 1; DROP TABLE t'')'), ('SELECT migration_backfill(''t'', ''a = 1 WHERE true'')'),
  ('SELECT migration_backfill(''t'', ''a = 1'', ''b) OR (true'')'), ('SELECT migration_backfill(''t'', ''a = 1''), 2'),
  ('SELECT migration_backfill(''t'', ''a = 1'', wrong => ''b'')'),
  -- and calls that are a part of something else
  ('SELECT migration_backfill(''t'', ''a = 1'') WHERE true'), ('SELECT * FROM migration_backfill(''t'', ''a = 1'')'), ('SELECT 1 + pg_catalog."migration_backfill" (''t'', ''a = 1'')'),
  ('WITH w AS (SELECT migration_backfill(''t'', ''a = 1'')) SELECT * FROM w'), ('INSERT INTO t SELECT migration_backfill(''t'', ''a = 1'')'), ('CREATE TABLE u AS SELECT migration_backfill(''t'', ''a = 1'')'),
  ('DO $$ BEGIN PERFORM migration_backfill(''t'', ''a = 1''); END $$'), ('SELECT migration_backfill(''t'', ''a = 1'') UNION SELECT 1');
SELECT n || ' ' || mtest.try(format('SELECT migration_register(''a1'', ''m'', NULL, %L, '''')', text)) FROM script ORDER BY n;
-- The same in the downgrade.
SELECT mtest.try($$SELECT migration_register('a1', 'm', NULL, 'SELECT 1', 'COMMIT')$$);
-- These are fine: the words in other places, empty scripts, nothing but comments, a great many statements.
SELECT migration_register('ok1', 'm', NULL, 'SELECT ''COMMIT''; DO $$BEGIN PERFORM 1; END$$; CREATE FUNCTION pg_temp.f() RETURNS void LANGUAGE sql BEGIN ATOMIC SELECT 1; END', '');
SELECT migration_register('ok2', 'm', NULL, ' ; ;; ', '');
SELECT migration_register('ok3', 'm', NULL, '-- only a comment', E'/* and\nhere */');
SELECT migration_register('ok4', 'm', NULL, NULL, '');
SELECT migration_register('ok5', 'm', NULL, repeat('SELECT 1;', 10000), '');
SELECT migration_register('ok6', 'm', NULL, 'SELECT ''' || repeat('x', 1000000) || '''', '');
SELECT length(upgrade) FROM migration_show('ok6');
SELECT migration_register('ok7', NULL, NULL, 'SET search_path = a; RESET search_path; SET LOCAL work_mem = ''1MB''', '');
-- A deep one: an error, not a crash.
SELECT mtest.state(format('SELECT migration_register(''deep'', '''', NULL, %L, '''')', 'SELECT ' || repeat('(', 200000) || '1' || repeat(')', 200000)));
SELECT count(migration_unregister('ok' || i)) FROM generate_series(1, 7) i;

-- Ids, labels, parents.
SELECT mtest.try(format('SELECT migration_register(%L, ''m'', %L, ''SELECT 1'', '''', %L, %L)', id, down, label, dep))
FROM (VALUES ('', NULL, NULL, NULL), (' ', NULL, NULL, NULL), (NULL, NULL, NULL, NULL), ('a@b', NULL, NULL, NULL), ('a-b', NULL, NULL, NULL), ('a+1', NULL, NULL, NULL),
  ('a:b', NULL, NULL, NULL), ('a,b', NULL, NULL, NULL), ('a b', NULL, NULL, NULL), (E'a\nb', NULL, NULL, NULL), ('head', NULL, NULL, NULL), ('heads', NULL, NULL, NULL),
  ('base', NULL, NULL, NULL), ('current', NULL, NULL, NULL), (repeat('x', 201), NULL, NULL, NULL), (repeat('x', 1000000), NULL, NULL, NULL),
  ('a1', 'a1', NULL, NULL), ('a1', NULL, NULL, 'a1'), ('a1', NULL, 'head', NULL), ('a1', NULL, 'l@b', NULL), ('a1', NULL, 'a1', NULL)) v(id, down, label, dep);
-- Names with anything else in them are fine.
SELECT migration_register(id, 'm', NULL, 'SELECT 1', '') FROM unnest(ARRAY['a''b', 'a"b', 'a;b', 'a\b', 'ä', '$$', '%'::text]) id;
SELECT revision_id FROM migration_show('heads') ORDER BY revision_id COLLATE "C";
SELECT count(migration_unregister(id)) FROM unnest(ARRAY['a''b', 'a"b', 'a;b', 'a\b', 'ä', '$$', '%']) id;
-- Cycles, duplicate labels.
SELECT migration_register('a1', 'm', 'c3', 'SELECT 1', '');
SELECT migration_register('b2', 'm', 'a1', 'SELECT 1', '', 'lab');
SELECT mtest.try($$SELECT migration_register('c3', 'm', 'b2', 'SELECT 1', '')$$);
SELECT mtest.try($$SELECT migration_register('c3', 'm', NULL, 'SELECT 1', '', 'lab')$$);
SELECT mtest.try($$SELECT migration_register('lab', 'm', NULL, 'SELECT 1', '')$$);
SELECT mtest.try($$SELECT migration_register('b2', 'm', 'a1', 'SELECT 1', '', 'lab', depends_on => 'lab')$$);
SELECT mtest.try($$SELECT migration_register('a1', 'm', NULL, 'SELECT 1', '', depends_on => 'lab')$$);
-- Messages and options.
SELECT mtest.try(format('SELECT migration_register(''c3'', %L, NULL, ''SELECT 1'', '''')', repeat('m', 10001)));
SELECT mtest.try(format('SELECT migration_register(''c3'', ''m'', NULL, ''SELECT 1'', '''', options => %L)', o)) FROM unnest('{[],1,"null","\"x\"",true,"{"}'::text[]) o;
SELECT o || ' ' || mtest.try(format('SELECT migration_register(''c3'', ''m'', NULL, ''SELECT 1'', '''', options => %L)', o))
FROM unnest(ARRAY['{"onlin": false}', '{"online": "false"}', '{"online": null}', '{"online": 0}', '{"Online": true}', '{"": 1}', '{"online": true, "sorce": 1}']) o;
SELECT mtest.try(format('SELECT migration_register(''c4'', ''m'', NULL, ''SELECT 1'', '''', options => %L)', o)), migration_unregister('c4')
FROM unnest(ARRAY['{"online": false, "source": {"file": "versions/1.sql", "lines": [1, 2]}}', '{"source": null}', '{}']) o;
-- Nothing was stored by any of these but the two of the cycle.
SELECT string_agg(revision, ' ' ORDER BY ordinal) FROM migration_ext.revision;

-- Every function of the API with missing, empty, odd, overlong and hostile arguments: an error with a SQLSTATE, or a quiet answer.
CREATE TEMP TABLE call (n serial, text text);
INSERT INTO call (text)
SELECT format('SELECT %s(%s)', f, format(a, v)) FROM (VALUES
  ('migration_unregister', '%s'), ('migration_merge', '''m'', %s'), ('migration_merge', '%s'), ('migration_merge', '''m'', ''heads'', %s'),
  ('migration_stamp', '%s'), ('migration_approve', '%s'), ('migration_export', '%s'), ('migration_upgrade', '%s'), ('migration_upgrade', '%s, online => false'),
  ('migration_upgrade', '%s, wait => false'), ('migration_downgrade', '%s'), ('migration_downgrade', '%s, online => false'),
  ('count(*) FROM migration_plan', '%s'), ('migration_sql', '%s'), ('migration_sql', '''head'', %s'), ('count(*) FROM migration_history', '%s'),
  ('count(*) FROM migration_show', '%s')) c(f, a),
  (VALUES ('NULL'), (''''''), ('''no such''''thing'''), ('repeat(''x'', 1000000)')) v(v);
INSERT INTO call (text) VALUES
  ('SELECT migration_wait(NULL)'), ('SELECT migration_wait(0)'), ('SELECT migration_wait(-1)'), ('SELECT migration_wait(9223372036854775807)'), ('SELECT migration_wait(timeout => ''-1 s'')'),
  ('SELECT migration_pause(NULL)'), ('SELECT migration_pause(0)'), ('SELECT migration_resume(NULL)'), ('SELECT migration_resume(0)'),
  ('SELECT migration_cancel(NULL)'), ('SELECT migration_cancel(-9223372036854775808)'), ('SELECT count(*) FROM migration_log(0)'), ('SELECT count(*) FROM migration_log(NULL)'),
  ('SELECT migration_backfill(NULL, ''a = 1'')'), ('SELECT migration_backfill(''no_such'', ''a = 1'')'), ('SELECT migration_backfill(0::oid::regclass, ''a = 1'')'),
  ('SELECT migration_backfill(1::oid::regclass, ''a = 1'')'), ('SELECT migration_backfill(''script'', NULL)'), ('SELECT migration_backfill(''script'', '''')'),
  ('SELECT migration_backfill(''script'', ''text = '')'), ('SELECT migration_backfill(''script'', ''text = 1; DROP TABLE script'')'),
  ('SELECT migration_backfill(''script'', ''text = (SELECT 1)'')'), ('SELECT migration_backfill(''script'', ''text = 1 FROM pg_class'')'),
  ('SELECT migration_backfill(''script'', ''text = 1 WHERE true'', ''false'')'), ('SELECT migration_backfill(''script'', ''text = 1'', ''true) OR (true'')'),
  ('SELECT migration_backfill(''script'', ''text = 1 -- '', ''true'')'), ('SELECT migration_backfill(''script'', ''text = 1'', ''true /*'')'),
  ('SELECT migration_backfill(''script'', ''text = 1'', ''true'', ''[]'')'), ('SELECT migration_backfill(''script'', ''text = 1'', '''')'),
  ('SELECT migration_backfill(''script_temp'', ''n = 1'')'), ('SELECT migration_backfill(''script_n_seq'', ''last_value = 1'')'), ('SELECT migration_backfill(''pg_views'', ''viewname = 1'')'),
  ('SELECT migration_grant(NULL, ''reader'')'), ('SELECT migration_grant(0::oid::regrole, ''reader'')'), ('SELECT migration_grant(current_user::regrole, NULL)'),
  ('SELECT migration_grant(current_user::regrole, ''READER'')'), ('SELECT migration_grant(current_user::regrole, '''')'), ('SELECT migration_grant(current_user::regrole, repeat(''x'', 1000000))'),
  ('SELECT migration_revoke(NULL)'), ('SELECT migration_revoke(0::oid::regrole)'), ('SELECT count(*) FROM migration_check(NULL)'),
  ('SELECT migration_upgrade(1)'), ('SELECT migration_no_such_function()');
BEGIN;
SELECT n, replace(replace(text, 'repeat(''x'', 1000000)', '<1 MB>'), ' ', ' '), regexp_replace(regexp_replace(replace(mtest.try(text), quote_ident(current_user), '<me>'), 'x{100,}', '<x>', 'g'), 'pg_temp_\d+', 'pg_temp_N') FROM call ORDER BY n;
ROLLBACK;
SELECT string_agg(revision, ' ' ORDER BY ordinal) FROM migration_ext.revision;
SELECT count(*) FROM migration_ext.applied;
SELECT count(*) FROM migration_ext.run;
DROP TABLE script;
SELECT mtest.clean();
