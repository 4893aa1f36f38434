# No input crashes a backend or meets an internal error.
#
# What: thousands of calls of every API function with arguments drawn from a pool of nasty texts, targets, scripts and
# numbers. Why random: the regression tests know which inputs are hard; this one does not. Passes when no call raises
# an internal error (class XX), no process dies, and the ledger still answers. The seed is printed; MIGRATION_SEED
# repeats a run, MIGRATION_CALLS sets the number of calls.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed  = $ENV{MIGRATION_SEED}  // int(rand(1_000_000));
my $calls = $ENV{MIGRATION_CALLS} // 4000;
note "seed $seed, $calls calls";

my $node = PostgreSQL::Test::Cluster->new('random');
$node->init;
$node->append_conf('postgresql.conf', "max_worker_processes = 16\nlog_min_messages = fatal\nfsync = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION migration_ext');
$node->safe_psql('postgres', 'CREATE TABLE rows (id int PRIMARY KEY, n int); INSERT INTO rows SELECT g, 0 FROM generate_series(1, 500) g');

$node->safe_psql('postgres', q{
CREATE TABLE outcome (call int, sql text, state text, message text);
CREATE PROCEDURE try_calls(seed double precision, calls int) LANGUAGE plpgsql AS $body$
DECLARE
  texts text[] := ARRAY[NULL, '', ' ', 'a1', 'a2', 'a3', 'b1', 'head', 'heads', 'base', 'current', '+1', '-1', '+99',
    '-99', 'a1+1', 'a2-1', 'lab@head', 'lab@+1', 'a1:a3', ':', 'a:', '@', '+', '-', '++1', 'a1+', '+99999999999999999999',
    'x''; DROP TABLE outcome; --', E'new\nline', '"quoted"', repeat('z', 300), repeat('é', 120), '🐘', '$$', E'\\\\', '%s%n',
    'a1, b1', 'a1,,b1', ',', 'irreversible', 'pg_catalog', 'rows', 'no.such', 'n = n + 1', 'n = 1', 'n IS NULL', '1=1; --',
    'n = 1 WHERE true --', 'n = (SELECT 1)', 'null', repeat('(', 3000)];
  scripts text[] := ARRAY[NULL, '', '--', '/* */', ';', ';;;', 'CREATE TABLE r1 (id int)', 'DROP TABLE r1', 'SELECT 1/0',
    'UPDATE rows SET n = n + 1', 'UPDATE rows SET n = 1 WHERE n IS NULL', 'DELETE FROM rows WHERE id > 400', 'BEGIN; COMMIT',
    'SET ROLE postgres', 'DO $x$ BEGIN NULL; END $x$', 'COPY rows FROM STDIN', E'\\\\d', 'SELECT ''unterminated', '$q$ open',
    'CREATE INDEX CONCURRENTLY ri ON rows (n)', 'DROP INDEX CONCURRENTLY IF EXISTS ri', 'VACUUM rows', 'REINDEX TABLE CONCURRENTLY rows',
    'SELECT migration_backfill(''rows'', ''n = 1'', ''n = 0'')', 'SELECT migration_backfill(NULL)', 'ALTER TABLE rows ADD COLUMN c int',
    'ALTER TABLE rows DROP COLUMN c', 'CREATE VIEW v AS SELECT 1', 'SELECT migration_upgrade()', 'LISTEN x', 'DISCARD ALL',
    'ALTER SYSTEM SET work_mem = 1', 'CREATE DATABASE nope', repeat('SELECT 1;', 500)];
  booleans text[] := ARRAY['true', 'false', 'NULL'];
  numbers text[] := ARRAY['NULL', '0', '-1', '1', '2', '9223372036854775807'];
  jsons text[] := ARRAY['NULL', '''{}''', '''[]''', '''{"online": false}''', '''{"source": {"f": 1}}''', '''"x"''', '''{"online": "x"}'''];
  sql text; t text; s text; d text; i int; kind int;
BEGIN
  PERFORM setseed(seed);
  FOR i IN 1..calls LOOP
    t := quote_nullable(texts[1 + floor(random() * array_length(texts, 1))]);
    s := quote_nullable(scripts[1 + floor(random() * array_length(scripts, 1))]);
    d := quote_nullable(scripts[1 + floor(random() * array_length(scripts, 1))]);
    kind := floor(random() * 25);
    sql := CASE kind
      WHEN 0 THEN format('SELECT migration_register(%s, %s, %s, %s, %s, %s, %s, %s)', t,
        quote_nullable(texts[1 + floor(random() * array_length(texts, 1))]),
        quote_nullable(texts[1 + floor(random() * array_length(texts, 1))]), s, d,
        quote_nullable(texts[1 + floor(random() * array_length(texts, 1))]),
        quote_nullable(texts[1 + floor(random() * array_length(texts, 1))]), jsons[1 + floor(random() * 7)])
      WHEN 1 THEN format('SELECT migration_register(%L, %L, %s, %s, %s)', (ARRAY['a1', 'a2', 'a3', 'b1'])[1 + floor(random() * 4)], 'm',
        (ARRAY['NULL', '''a1''', '''a2''', '''a1, b1'''])[1 + floor(random() * 4)], s, d)
      WHEN 2 THEN format('SELECT migration_unregister(%s)', t)
      WHEN 3 THEN format('SELECT migration_merge(%s, %s)', t, quote_nullable(texts[1 + floor(random() * array_length(texts, 1))]))
      WHEN 4 THEN format('SELECT migration_stamp(%s, %s)', t, booleans[1 + floor(random() * 3)])
      WHEN 5 THEN format('SELECT migration_approve(%s)', t)
      WHEN 6 THEN format('SELECT migration_export(%s)', t)
      WHEN 7 THEN format('SELECT migration_upgrade(%s, %s, %s)', t, booleans[1 + floor(random() * 3)], booleans[1 + floor(random() * 3)])
      WHEN 8 THEN format('SELECT migration_downgrade(%s, %s, %s, %s)', t, booleans[1 + floor(random() * 3)], booleans[1 + floor(random() * 3)], booleans[1 + floor(random() * 3)])
      WHEN 9 THEN format('SELECT migration_wait(%s, interval ''1 ms'')', numbers[1 + floor(random() * 6)])
      WHEN 10 THEN format('SELECT migration_pause(%s)', numbers[1 + floor(random() * 6)])
      WHEN 11 THEN format('SELECT migration_resume(%s)', numbers[1 + floor(random() * 6)])
      WHEN 12 THEN format('SELECT migration_cancel(%s)', numbers[1 + floor(random() * 6)])
      WHEN 13 THEN format('SELECT migration_backfill(''rows'', %s, %s)', t, quote_nullable(texts[1 + floor(random() * array_length(texts, 1))]))
      WHEN 14 THEN 'SELECT * FROM migration_status()'
      WHEN 15 THEN format('SELECT * FROM migration_plan(%s, %s)', t, booleans[1 + floor(random() * 3)])
      WHEN 16 THEN format('SELECT migration_sql(%s, %s)', t, quote_nullable(texts[1 + floor(random() * array_length(texts, 1))]))
      WHEN 17 THEN format('SELECT * FROM migration_history(%s)', t)
      WHEN 18 THEN format('SELECT * FROM migration_show(%s)', t)
      WHEN 19 THEN 'SELECT * FROM migration_current(), migration_heads(), migration_branches()'
      WHEN 20 THEN 'SELECT * FROM migration_progress()'
      WHEN 21 THEN format('SELECT * FROM migration_log(%s)', numbers[1 + floor(random() * 6)])
      WHEN 22 THEN format('SELECT * FROM migration_check(%s)', booleans[1 + floor(random() * 3)])
      WHEN 23 THEN format('SELECT migration_tune(%s, %s)', numbers[1 + floor(random() * 6)], (jsons || ARRAY['''{"workers": 2}''', '''{"window": "x"}''',
        '''{"check": "1 = "}''', '''{"batch_target": null, "max_lag": "off"}''', '''{"throttle": [1, {}]}''', '''{"start_at": "1e99"}'''])[1 + floor(random() * 13)])
      ELSE 'SELECT * FROM migration_runs()'
    END;
    BEGIN
      EXECUTE sql;
      INSERT INTO outcome VALUES (i, left(sql, 200), '00000', NULL);
    EXCEPTION WHEN OTHERS THEN
      INSERT INTO outcome VALUES (i, left(sql, 200), SQLSTATE, SQLERRM);
    END;
    COMMIT;
  END LOOP;
END
$body$});

my ($rc, $out, $err) = $node->psql('postgres',
	sprintf('SET client_min_messages = error; CALL try_calls(%.9f, %d)', $seed / 1_000_000, $calls));
is($rc, 0, 'the session survived all calls') or diag $err;
is($node->safe_psql('postgres', 'SELECT count(*) FROM outcome'), $calls, 'every call ended one way or the other');
is( $node->safe_psql('postgres', q{SELECT DISTINCT sql || ' => ' || state || ' ' || message FROM outcome WHERE state LIKE 'XX%' LIMIT 10}),
	'', 'no internal error');
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM outcome WHERE state = '00000'}),
	'>', $calls / 10, 'many calls succeeded, so the pool reaches beyond the argument checks');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'migration_ext executor'}),
	'all workers ended');
is($node->safe_psql('postgres', 'SELECT count(*) FROM migration_status()'), 1, 'the ledger answers');
$node->stop;
my $log = slurp_file($node->logfile);
unlike($log, qr/terminated by signal|TRAP|PANIC/, 'no process died');
done_testing();
