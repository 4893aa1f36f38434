-- Texts of a backfill are one SET list and one condition (sec_expr): whatever else is in them is refused, and nothing happens.
SET client_min_messages = warning;
CREATE TABLE victim (id int PRIMARY KEY, n int, c text);
INSERT INTO victim SELECT g, 0, 'c' FROM generate_series(1, 10) g;
CREATE TABLE canary (x int);
CREATE TEMP TABLE attack (part text, txt text);
INSERT INTO attack SELECT 'assignments', unnest(ARRAY[
  'n = 1; DROP TABLE canary', 'n = 1; DROP TABLE canary; --', 'n = 1 WHERE true', 'n = 1 WHERE true --', 'n = 1 WHERE true /*', 'n = 1 FROM pg_authid',
  'n = 1 FROM pg_authid a WHERE a.oid > 0 --', 'n = (SELECT 1)', 'n = (SELECT count(*) FROM pg_authid)', 'c = (SELECT rolpassword FROM pg_authid LIMIT 1)',
  'n = 1 RETURNING *', 'n = 1 RETURNING id; --', '(n, c) = (SELECT 1, ''x'')', 'n = 1)', 'n = (1', 'n = 1, ', ', n = 1', 'n', '= 1', 'n == 1', 'n = 1 n = 2', 'n = $1',
  'n = ''open', 'n = $q$open', 'n = "open', E'n = 1\n;\nDROP TABLE canary', E'n = 1 -- \n; TRUNCATE victim', 'n = 1; COMMIT', 'n = 1; SET ROLE postgres',
  'n = EXISTS (SELECT 1)::int', 'n = ARRAY(SELECT 1)', 'n = 1 /* open', 'n = CASE WHEN EXISTS (TABLE canary) THEN 1 END', E'n = 1\\; DROP TABLE canary', 'n = 1 UNION SELECT 2', 'n = (VALUES (1))',
  'n = 1; UPDATE victim SET n = 2', 'n = 1 WHERE CURRENT OF x']);
INSERT INTO attack SELECT 'condition', unnest(ARRAY[
  'true; DROP TABLE canary', 'true; DROP TABLE canary; --', 'true) ; DROP TABLE canary; --', 'true RETURNING *', 'true RETURNING n', 'id IN (SELECT id FROM victim)', 'EXISTS (SELECT FROM pg_authid)',
  'true) OR (SELECT true', 'true WHERE true', 'CURRENT OF c', 'n = (SELECT 0)', 'n = ANY (ARRAY(SELECT 0))', 'true)', '(true', 'n = $1', 'n = ''open', 'n = $x$open', 'true /* open', 'true GROUP BY n',
  'true ORDER BY n', 'true LIMIT 1', 'true FOR UPDATE', 'true UNION SELECT true', 'true; COMMIT; BEGIN', E'true\n;\nTRUNCATE victim', 'true, false', ';', '--', '']);
SELECT part, count(*) FROM attack GROUP BY part ORDER BY part;
CREATE TEMP TABLE outcome AS
SELECT part, txt, mtest.state(format('SELECT migration_backfill(''victim'', %L, %L)', CASE part WHEN 'assignments' THEN txt ELSE 'n = 9' END,
    CASE part WHEN 'condition' THEN txt ELSE 'n = 0' END)) AS alone,
  mtest.state(format('SELECT migration_register(''inj'', '''', NULL, %L, '''')', format('SELECT migration_backfill(''victim'', %L, %L)',
    CASE part WHEN 'assignments' THEN txt ELSE 'n = 9' END, CASE part WHEN 'condition' THEN txt ELSE 'n = 0' END))) AS in_revision
FROM attack;
-- What gets through, alone or in a revision: nothing.
SELECT part, txt, alone, in_revision FROM outcome WHERE alone NOT IN ('42601', '0A000', '42501') OR in_revision NOT IN ('42601', '0A000', '42501') ORDER BY 1, 2;
SELECT count(*) AS runs FROM migration_ext.run;
SELECT count(*) AS revisions FROM migration_ext.revision;
SELECT count(*) FILTER (WHERE n = 0 AND c = 'c') AS unchanged, count(*) FROM victim;
SELECT count(*) AS canary FROM canary;
DELETE FROM mtest.hint WHERE hint LIKE '%victim%';  -- z_hints resolves names, and the table is gone
DROP TABLE victim, canary, attack, outcome;
SELECT mtest.clean();
