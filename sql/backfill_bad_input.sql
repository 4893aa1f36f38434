-- Whatever is given to the functions of backfills, the answer is an error that says what is wrong and what to type, and
-- nothing is lost. Each call is shown with its SQLSTATE, message, DETAIL and HINT.
SET client_min_messages = warning;
CREATE TABLE bad_t (id int PRIMARY KEY, c int, "Odd ""c" int);
INSERT INTO bad_t SELECT g FROM generate_series(1, 10) g;
CREATE VIEW bad_v AS SELECT * FROM bad_t;
CREATE MATERIALIZED VIEW bad_m AS SELECT * FROM bad_t;
CREATE SEQUENCE bad_s;
CREATE UNLOGGED TABLE bad_u (id int PRIMARY KEY, c int);
CREATE TABLE bad_parent (id int, c int);
CREATE TABLE bad_child () INHERITS (bad_parent);
CREATE TEMP TABLE bad_temp (id int PRIMARY KEY, c int);
CREATE FOREIGN DATA WRAPPER bad_w;
CREATE SERVER bad_srv FOREIGN DATA WRAPPER bad_w;
CREATE FOREIGN TABLE bad_f (id int, c int) SERVER bad_srv;
SELECT max(run_id) AS before FROM migration_runs() \gset
CREATE FUNCTION pg_temp.answer(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE m text; d text; h text; r text;
BEGIN
  BEGIN
    EXECUTE call INTO r;
    -- Taken back: nothing is to start.
    RAISE EXCEPTION USING ERRCODE = 'UE000';
  EXCEPTION WHEN SQLSTATE 'UE000' THEN
    RETURN 'accepted';
  END;
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
  RETURN regexp_replace(concat_ws(E'\n  ', SQLSTATE || ': ' || left(m, 160), nullif('DETAIL: ' || left(d, 160), 'DETAIL: '),
    nullif('HINT: ' || left(h, 160), 'HINT: ')), 'pg_temp_[0-9]+', 'pg_temp_N', 'g');
END $$;
\pset format unaligned
\pset tuples_only on
SELECT left(call, 120), pg_temp.answer(call) FROM unnest(ARRAY[
$$SELECT migration_backfill(NULL, 'c = 1')$$,
$$SELECT migration_backfill('bad_t', NULL)$$,
$$SELECT migration_backfill('bad_t', '')$$,
$$SELECT migration_backfill('bad_t', '   ')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', '')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', '  ')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', '-- nothing')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, NULL)$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, 'null')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, '[]')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, '"x"')$$,
$$SELECT migration_backfill('bad_t', 'nope = 1')$$,
$$SELECT migration_backfill('bad_t', 'c = ''x''')$$,
$$SELECT migration_backfill('bad_t', 'c = nope(c)')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', 'nope IS NULL')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', 'id')$$,
$$SELECT migration_backfill('bad_t', 'c = 1, c = 2')$$,
$$SELECT migration_backfill('bad_t', 'ctid = ''(0,1)''')$$,
$$SELECT migration_backfill('bad_v', 'c = 1')$$,
$$SELECT migration_backfill('bad_m', 'c = 1')$$,
$$SELECT migration_backfill('bad_s', 'last_value = 1')$$,
$$SELECT migration_backfill('bad_f', 'c = 1')$$,
$$SELECT migration_backfill('bad_temp', 'c = 1')$$,
$$SELECT migration_backfill('pg_class', 'relname = relname')$$,
$$SELECT migration_backfill('migration_ext.run', 'target = target')$$,
$$SELECT migration_backfill('bad_t_pkey', 'c = 1')$$,
$$SELECT migration_backfill(0, 'c = 1')$$,
$$SELECT migration_backfill(4294967295, 'c = 1')$$,
$$SELECT migration_backfill('nope', 'c = 1')$$,
$$SELECT migration_backfill('bad_t', 'c = ' || repeat('1+', 1500) || '1')$$,
$$SELECT migration_backfill('bad_t', 'c = ' || repeat('(', 20000) || '1' || repeat(')', 20000))$$,
$$SELECT migration_backfill('bad_t', 'c = 1 /*' || repeat('x', 1000000) || '*/', 'c IS NULL AND id < 0')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, ('{"key": ["' || repeat('x', 1000000) || '"]}')::jsonb)$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, '{"key": ["id", "id"]}')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, '{"key": [["id"]]}')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, '{"key": [1]}')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, '{"key": ["c"]}')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, '{"key": "id"}')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, '{"workers": 1e99}')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, '{"workers": -1}')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, '{"workers": null}')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, '{"workers": true}')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, '{"workers": [2]}')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, '{"max_batch_rows": 99999999999999999999999999}')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, '{"batch_target": "99999999h"}')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, '{"start_at": "soon"}')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, '{"every": "1us"}')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, '{"after": [99999]}')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, '{"after": ["x"]}')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, '{"window": "25:00-26:00 UTC"}')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, '{"check": "1; DROP TABLE bad_t"}')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, '{"action": "drop"}')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', NULL, '{"action": "delete"}')$$,
$$SELECT migration_backfill('bad_t', NULL, 'id < 0', '{"action": "delete", "from": "bad_u"}')$$,
$$SELECT migration_backfill('bad_t', 'c = 1', 'c IS NULL', '{"into": "bad_u"}')$$,
$$SELECT migration_backfill('bad_t', NULL, NULL, '{"action": "copy"}')$$,
$$SELECT migration_backfill('bad_t', NULL, NULL, '{"action": "copy", "into": "bad_v"}')$$,
$$SELECT migration_backfill('bad_t', NULL, NULL, '{"action": "copy", "into": "bad_t"}')$$,
$$SELECT migration_backfill('bad_t', NULL, NULL, '{"action": "copy", "into": "pg_class"}')$$,
$$SELECT migration_tune(NULL, NULL)$$, $$SELECT migration_tune(99999, '{}')$$, $$SELECT migration_tune(-1, '{}')$$, $$SELECT migration_tune(9223372036854775807, '{"workers": 2}')$$,
$$SELECT migration_quarantine(NULL)$$, $$SELECT count(*) FROM migration_quarantine(99999)$$, $$SELECT count(*) FROM migration_quarantine(-9223372036854775808)$$,
$$SELECT migration_retry_quarantine(NULL)$$, $$SELECT migration_retry_quarantine(99999)$$, $$SELECT migration_retry_quarantine(-1)$$
]) call;
\pset tuples_only off
\pset format aligned
-- None of it has left anything behind.
SELECT count(*) FROM migration_runs() WHERE run_id > coalesce(nullif(:'before', '')::bigint, 0);
SELECT count(*), count(c) FROM bad_t;
DROP FOREIGN TABLE bad_f;
DROP SERVER bad_srv;
DROP FOREIGN DATA WRAPPER bad_w;
DROP TABLE bad_child, bad_parent, bad_u;
DROP SEQUENCE bad_s;
DROP TABLE bad_t CASCADE;
RESET client_min_messages;
SELECT mtest.clean();
