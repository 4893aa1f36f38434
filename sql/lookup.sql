-- Backfills that look values up in another table.
SET client_min_messages = warning;
DROP EXTENSION migration_ext CASCADE;
CREATE EXTENSION migration_ext;
CREATE TABLE country (code text PRIMARY KEY, name text, iso int UNIQUE, part int, CONSTRAINT late UNIQUE (name) DEFERRABLE);
INSERT INTO country VALUES ('de', 'Germany', 276), ('fr', 'France', 250), ('xx', NULL, 0);
CREATE TABLE t (id int PRIMARY KEY, country_code text, name text, iso int, n int NOT NULL DEFAULT 0, at8 numeric, v varchar(9));
INSERT INTO t SELECT g, (ARRAY['de', 'fr', 'zz'])[1 + g % 3], NULL, NULL, 0, g, (ARRAY['de', 'fr', 'zz'])[1 + g % 3] FROM generate_series(1, 6000) g;
CREATE FUNCTION pg_temp.ended(run bigint, OUT state text, OUT message text, OUT detail text) LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. 3000 LOOP
    SELECT r.state, r.message, r.detail INTO state, message, detail FROM migration_ext.run r WHERE run_id = run;
    EXIT WHEN state NOT IN ('queued', 'running');
    PERFORM pg_sleep(0.02);
  END LOOP;
END $$;
-- By blocks: a filled row no longer meets the condition.
SELECT migration_backfill('t', 'name = k.name', 'k.code = t.country_code AND t.name IS NULL', '{"from": "country AS k"}') AS run \gset
SELECT migration_wait(:run, '60 s');
SELECT name, count(*) FROM t GROUP BY name ORDER BY name;
SELECT action, cursor_kind, rows_done FROM migration_ext.job ORDER BY job_id DESC LIMIT 1;
-- By key, each row once; and the same with a condition that a sample has to show.
SELECT migration_backfill('t', 'n = t.n + country.iso', 'country.code = t.country_code', '{"from": "country"}') AS run \gset
SELECT migration_wait(:run, '60 s');
SELECT n, count(*) FROM t GROUP BY n ORDER BY n;
SELECT cursor_kind, rows_done FROM migration_ext.job ORDER BY job_id DESC LIMIT 1;
SELECT migration_backfill('t', 'iso = k.iso', 'k.code = t.country_code AND t.iso IS DISTINCT FROM k.iso', '{"from": "country k"}') AS run \gset
SELECT migration_wait(:run, '60 s');
SELECT iso, count(*) FROM t GROUP BY iso ORDER BY iso;
SELECT cursor_kind, rows_done FROM migration_ext.job ORDER BY job_id DESC LIMIT 1;
-- Deleting with a lookup; a row is deleted once, whatever it meets.
SELECT migration_backfill('t', NULL, 'k.code = t.country_code AND id > 5997', '{"action": "delete", "from": "country k"}') AS run \gset
SELECT migration_wait(:run, '60 s');
SELECT count(*) FROM t;
-- What makes a lookup by key, and what does not.
CREATE TABLE partial_k (code text, name text);
CREATE UNIQUE INDEX ON partial_k (code) WHERE name IS NOT NULL;
CREATE TABLE upper_k (code text, name text);
CREATE UNIQUE INDEX ON upper_k (upper(code));
CREATE TABLE two_k (a text, b int, name text, UNIQUE (a, b));
CREATE TABLE parent_k (code text PRIMARY KEY, name text);
CREATE TABLE child_k () INHERITS (parent_k);
CREATE TABLE part_k (code text PRIMARY KEY, name text) PARTITION BY LIST (code);
CREATE TABLE part_k1 PARTITION OF part_k DEFAULT;
CREATE VIEW view_k AS SELECT * FROM country;
CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE FUNCTION same(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = same);
CREATE TABLE attempt (n serial, from_ text, condition text);
INSERT INTO attempt (from_, condition) VALUES
  ('country k', 'k.code = t.country_code'),
  ('ONLY country k', 'code = country_code'),
  ('country k', '(t.country_code || '''') = k.code AND t.iso IS NULL'),
  ('country k', 'k.code = t.v'),
  ('two_k', 'two_k.a = country_code AND two_k.b = id'),
  ('two_k', '(a, b) = (country_code, id)'),
  ('part_k k', 'k.code = t.country_code'),
  ('country k', 'k.code = ''de'''),
  ('country k', 'k.iso = t.id AND t.name IS NULL'),
  ('ONLY parent_k k', 'k.code = t.country_code'),
  ('country k', NULL),
  ('country k', 'true'),
  ('country k', 'k.code = k.code'),
  ('country k', 'k.code = t.country_code OR t.id = 1'),
  ('country k', 'NOT (k.code = t.country_code)'),
  ('country k', 'k.code > t.country_code'),
  ('country k', 'k.code === t.country_code'),
  ('country k', 'lower(k.code) = t.country_code'),
  ('country k', 'k.name = t.country_code'),
  ('country k', 'k.part = t.id'),
  ('country k', 'k.iso = k.part + t.id'),
  ('country k', 'k.iso::numeric = t.at8'),
  ('country k', 'k.iso = (random() * 9)::int'),
  ('country k', 'k.code = t.country_code COLLATE loose'),
  ('partial_k k', 'k.code = t.country_code'),
  ('upper_k k', 'k.code = t.country_code'),
  ('two_k k', 'k.a = t.country_code'),
  ('parent_k k', 'k.code = t.country_code'),
  ('view_k k', 'k.code = t.country_code'),
  ('t k', 'k.id = t.id'),
  ('nowhere k', 'k.code = t.country_code'),
  ('country k', 'k.nothing = t.country_code');
CREATE FUNCTION pg_temp.tried(f text, c text, a text DEFAULT 'iso = 1') RETURNS text LANGUAGE plpgsql AS $$
DECLARE code text; said text; more text;
BEGIN
  PERFORM migration_cancel(migration_backfill('t', a, c, jsonb_build_object('from', f, 'start_at', '2099-01-01 00:00 UTC')));
  RETURN 'made';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, said = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL;
  RETURN code || ' ' || said || CASE WHEN code = '0A000' THEN ' | ' || more ELSE '' END;
END $$;
SELECT from_, condition, pg_temp.tried(from_, condition) FROM attempt ORDER BY n;
-- Texts are what they are, or nothing.
CREATE TABLE secret (code text PRIMARY KEY, word text);
INSERT INTO secret VALUES ('de', 'xyzzy');
CREATE TABLE hostile (n serial, from_ text, condition text, assignments text);
INSERT INTO hostile (from_, condition, assignments) VALUES
  ('country k; DROP TABLE secret; --', 'k.code = t.country_code', 'name = k.name'),
  ('country k WHERE true --', 'k.code = t.country_code', 'name = k.name'),
  ('country k WHERE k.code = t.country_code --', NULL, 'name = k.name'),
  ('country k, secret s', 'k.code = t.country_code', 'name = s.word'),
  ('country k JOIN secret s USING (code)', 'k.code = t.country_code', 'name = s.word'),
  ('country k CROSS JOIN secret s', 'k.code = t.country_code', 'name = s.word'),
  ('(SELECT * FROM secret) k', 'k.code = t.country_code', 'name = k.word'),
  ('LATERAL (TABLE secret) k', 'k.code = t.country_code', 'name = k.word'),
  ('(VALUES (1)) k', 'true', 'name = ''x'''),
  ('pg_read_file(''/etc/passwd'') k', 'true', 'name = k'),
  ('ROWS FROM (generate_series(1, 2)) k', 'true', 'name = ''x'''),
  ('country TABLESAMPLE system (1)', 'country.code = t.country_code', 'name = country.name'),
  ('country k(a, b)', 'k.a = t.country_code', 'name = k.b'),
  ('country k RETURNING (SELECT word FROM secret)', NULL, 'name = k.name'),
  ('country k /*', '*/ k.code = t.country_code', 'name = k.name'),
  ('country k --', 'k.code = t.country_code', 'name = ''comment'''),
  ('d)', 'true', 'n = extract(day'),
  ('', 'k.code = t.country_code', 'name = k.name'),
  ('country k', 'k.code = t.country_code) OR (true', 'name = k.name'),
  ('country k', 'k.code = t.country_code RETURNING *', 'name = k.name'),
  ('country k', 'k.code = t.country_code GROUP BY 1', 'name = k.name'),
  ('country k', 'k.code = t.country_code UNION SELECT 1', 'name = k.name'),
  ('country k', 'k.code = t.country_code; DELETE FROM secret', 'name = k.name'),
  ('country k', 'k.code = (SELECT code FROM secret)', 'name = k.name'),
  ('country k', 'k.code = t.country_code AND EXISTS (TABLE secret)', 'name = k.name'),
  ('country k', 'k.code = $1', 'name = k.name'),
  ('country k', 'CURRENT OF c', 'name = k.name'),
  ('country k', 'k.code = t.country_code', 'name = (SELECT word FROM secret)'),
  ('country k', 'k.code = t.country_code', 'name = (WITH x AS (TABLE secret) TABLE x)'),
  ('country k', 'k.code = t.country_code', '(name, n) = (SELECT word, 1 FROM secret)'),
  ('country k', 'k.code = t.country_code', 'name = $1'),
  ('country k', 'k.code = t.country_code', 'name = s.word FROM secret s, '),
  ('country k', 'k.code = t.country_code', 'name = s.word FROM secret s --'),
  ('country k', 'k.code = t.country_code', 'name = ''x'' WHERE true --'),
  ('country k', 'k.code = t.country_code', 'name = ''x''; DROP TABLE secret; --'),
  (E'country\n--\nk', 'k.code = t.country_code', 'name = ''new line''');
SELECT from_, condition, assignments, pg_temp.tried(from_, condition, assignments) FROM hostile ORDER BY n;
SELECT count(*) FROM secret;
-- Options that contradict each other.
SELECT migration_backfill('t', 'name = k.name', 'k.code = t.country_code', '{"from": "country k", "verify": "constraint"}');
SELECT migration_backfill('t', 'name = country.name FROM country', 'country.code = t.country_code');
-- In a script: the plain UPDATE as it is written, and one that is no lookup by key.
ALTER TABLE t ADD name2 text, ADD name3 text;
SELECT migration_register('a', 'lookups', NULL, $$
UPDATE t SET name2 = k.name FROM country AS k WHERE k.code = t.country_code AND t.name2 IS NULL;
UPDATE t SET name3 = k.name FROM country AS k WHERE k.part = t.id AND t.name3 IS NULL;
SELECT migration_backfill('t', 'n = 1', 'k.code = t.country_code AND n <> 1', '{"from": "country k"}');
DELETE FROM t USING country k WHERE k.code = t.country_code AND t.id > 5990;
UPDATE t SET name3 = k.name FROM country k, two_k WHERE k.code = t.country_code AND t.name3 IS NULL;
$$, 'irreversible');
SELECT step, kind, left(statement, 60) AS statement, relation, lock_mode, regexp_replace(note, '; table .*', '') AS note FROM migration_plan('a');
SELECT migration_sql('a') \g (format=unaligned tuples_only=on)
SELECT migration_upgrade('a') AS run \gset
SELECT name2, name3, n, count(*) FROM t GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT step, action, cursor_kind, rows_done FROM migration_ext.job WHERE run_id = :run ORDER BY step;
SELECT count(*) FILTER (WHERE id > 5990 AND country_code <> 'zz') AS left FROM t;
-- The same in one piece.
SELECT migration_register('b', 'in one piece', 'a', $$
SELECT migration_backfill('t', 'n = k.iso', 'k.code = t.country_code AND n = 1', '{"from": "country k"}');
SELECT migration_backfill('t', NULL, 'k.code = t.country_code AND id < 3', '{"from": "country k", "action": "delete"}');
$$, 'irreversible');
SELECT migration_sql('b') \g (format=unaligned tuples_only=on)
SELECT note FROM migration_plan('b', online => false);
SELECT migration_upgrade('b', online => false) IS NOT NULL AS done;
SELECT n, count(*) FROM t GROUP BY n ORDER BY n;
-- A fill trigger looks the value up, too; where a writer may not read the lookup there is none.
SELECT migration_register('c', 'required', 'b', $$
ALTER TABLE t ADD code_name text;
SELECT migration_backfill('t', 'code_name = coalesce(k.name, '''')', 'k.code = t.country_code AND t.code_name IS NULL', '{"from": "country k"}');
UPDATE t SET code_name = '?' WHERE code_name IS NULL;
ALTER TABLE t ALTER code_name SET NOT NULL;
$$, 'irreversible');
SELECT step, kind, left(statement, 50) AS statement, regexp_replace(note, '; table .*', '') AS note FROM migration_plan('c');
SELECT statement FROM migration_plan('c') WHERE statement ~ 'FUNCTION' AND statement ~ 'country' AND statement ~ 'CREATE' \g (format=unaligned tuples_only=on)
CREATE ROLE lookup_writer;
GRANT INSERT ON t TO lookup_writer;
SELECT step, kind, left(statement, 50) AS statement, regexp_replace(note, '; table .*', '') AS note FROM migration_plan('c');
GRANT SELECT ON country TO lookup_writer;
SELECT migration_upgrade('c') AS run \gset
SELECT code_name, count(*) FROM t GROUP BY 1 ORDER BY 1;
REVOKE ALL ON t, country FROM lookup_writer;
DROP ROLE lookup_writer;
-- Rows that fail are set aside and tried again with the lookup.
ALTER TABLE t ADD num int;
UPDATE country SET name = '12' WHERE code = 'de';
UPDATE country SET name = '13' WHERE code = 'fr';
UPDATE t SET v = '7' WHERE country_code <> 'zz';
UPDATE t SET v = 'bad' WHERE id IN (60, 300);
SELECT migration_backfill('t', 'num = k.name::int + t.v::int', 'k.code = t.country_code AND t.num IS NULL', '{"from": "country k", "max_errors": 5}') AS run \gset
SELECT migration_wait(:run, '60 s');
SELECT max(job) AS job FROM migration_quarantine() \gset
SELECT image ->> 'id' AS id, sqlstate FROM migration_quarantine(:job) ORDER BY 1;
UPDATE t SET v = '8' WHERE v = 'bad';
SELECT migration_retry_quarantine(:job);
SELECT num, count(*) FROM t GROUP BY num ORDER BY num;
-- The lookup table goes away before it begins.
SELECT migration_backfill('t', 'num = 1', 'two_k.a = country_code AND two_k.b = id', '{"from": "two_k", "start_at": "2099-01-01 00:00 UTC"}') AS run \gset
DROP TABLE two_k;
SELECT migration_tune(:run, '{"start_at": "off"}') -> 'start_at' AS start_at;
SELECT * FROM pg_temp.ended(:run) \gx
SELECT migration_cancel(:run);
SELECT migration_stamp('base', purge => true);
SELECT migration_unregister(r) FROM unnest('{c,b,a}'::text[]) r;
DROP TABLE t, country, partial_k, upper_k, child_k, parent_k, part_k, secret, attempt, hostile CASCADE;
DROP OPERATOR === (text, text);
DROP FUNCTION same(text, text);
DROP COLLATION loose;
DROP EXTENSION migration_ext CASCADE;
CREATE EXTENSION migration_ext;
