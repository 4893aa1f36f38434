--
-- Hints, of this file and of all that ran before it, hold statements that can be typed: each line parses, a SELECT resolves.
--
SET client_min_messages = error;
\pset format unaligned
\pset tuples_only on
-- Some more, so that this file says something by itself: hints of status, check and runs.
CREATE TABLE hint_t (id int PRIMARY KEY);
CREATE TABLE my_table (c int);  -- what hints call a table that they know nothing of
INSERT INTO mtest.hint SELECT 'status', hint FROM migration_status() WHERE hint <> '' ON CONFLICT DO NOTHING;
SELECT mtest.node('h1'), mtest.node('h2', 'h0'), migration_register('h3', '', 'h1', 'DROP TABLE hint_t');
INSERT INTO mtest.hint SELECT 'check', hint FROM migration_check() ON CONFLICT DO NOTHING;
SELECT count(mtest.try(sql)) FROM unnest(ARRAY['SELECT migration_upgrade()', 'SELECT migration_upgrade(''h2'')', 'SELECT migration_upgrade(''zzzz'')', 'SELECT migration_downgrade(''-1'')', 'SELECT migration_upgrade(''+9'')', 'SELECT migration_merge('''', ''h1'')',
  'SELECT migration_wait()', 'SELECT migration_cancel()', 'SELECT migration_history(''x'')', 'SELECT migration_register(''h1'', '''', ''h1'', ''''); ', 'SELECT migration_register(''head'', '''', NULL, '''')', 'SELECT migration_stamp(''head'')', 'SELECT migration_unregister(''h1'')',
  'SELECT migration_register(''h4'', '''', NULL, ''BEGIN'')', 'SELECT migration_register(''h4'', '''', NULL, ''SELECT migration_backfill(1)'')', 'SELECT migration_backfill(''hint_t'', ''id = (SELECT 1)'')', 'SELECT migration_grant(current_user::regrole, ''x'')', 'SELECT migration_wait(timeout => ''-1s'')',
  'SELECT migration_register(NULL, '''', NULL, '''')', 'SELECT migration_upgrade(NULL)', 'SELECT migration_downgrade(NULL)', 'SELECT migration_plan(NULL)', 'SELECT migration_sql(NULL)', 'SELECT migration_stamp(NULL)', 'SELECT migration_show(NULL)',
  'SELECT migration_approve(NULL)', 'SELECT migration_export(NULL)', 'SELECT migration_unregister(NULL)', 'SELECT migration_grant(NULL, ''reader'')', 'SELECT migration_grant(current_user::regrole, NULL)', 'SELECT migration_revoke(NULL)',
  'SELECT migration_backfill(NULL, ''id = 1'')', 'SELECT migration_backfill(''hint_t'', NULL)', 'SELECT migration_backfill(''hint_t'', ''id = ('')', 'SELECT migration_backfill(''hint_t'', ''id = 1; COMMIT'')',
  'SELECT migration_register(''h4'', '''', NULL, repeat(''-'', 134217729))', 'SELECT migration_register(''h4'', repeat(''m'', 10001), NULL, '''')', 'SELECT migration_register(''h4'', '''', NULL, '''', options => ''{"x": 1}'')',
  'SELECT migration_register(''h4'', '''', NULL, ''SELEC 1'')', 'SELECT migration_register(''h4'', '''', NULL, ''COPY t FROM STDIN'')', 'SELECT migration_register(''h4'', '''', NULL, ''\d'')', 'SELECT migration_register(''h4'', '''', NULL, ''DISCARD ALL'')']) sql;
CREATE FUNCTION pg_temp.parses(line text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE statement text := rtrim(split_part(line, '  -- ', 1), '; ');
BEGIN
  BEGIN
    PERFORM migration_register('hint_check', '', NULL, statement, '');
    RAISE SQLSTATE 'TEST1';
  EXCEPTION WHEN SQLSTATE 'TEST1' THEN NULL;
  WHEN feature_not_supported THEN NULL;  -- it parses, but is nothing for a revision: ROLLBACK
  WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
  END;
  IF statement LIKE 'SELECT %' THEN
    BEGIN
      EXECUTE 'PREPARE hint AS ' || statement;
      DEALLOCATE hint;
    EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
    END;
  END IF;
  RETURN 'fine';
END $$;
CREATE TEMP TABLE line AS SELECT DISTINCT message, line FROM mtest.hint, regexp_split_to_table(hint, E'\n') line WHERE hint <> '';
SELECT count(*) > 10 AS enough FROM line;
-- The server's own hints about the names of functions are prose.
SELECT message, line, pg_temp.parses(line) FROM line WHERE pg_temp.parses(line) <> 'fine' ORDER BY 1, 2;
-- An error without a hint is the server's.
SELECT DISTINCT message FROM mtest.hint WHERE coalesce(hint, '') = '' AND message !~ '^(permission denied for|invalid input syntax for|INTO used with)' ORDER BY 1;
DROP TABLE hint_t, my_table;
SELECT mtest.clean();
