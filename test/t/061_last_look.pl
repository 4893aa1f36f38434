# The last look of a backfill by blocks: rows that the application wrote behind its back are changed in small transactions.
#
# A session holds one of them locked. The others must not wait for it, nor stay locked themselves, and when it is free the
# backfill ends. In one statement over the whole table, the lock that is not to be had would take everything back each time.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('last_look');
my $db = $m->new_database('look');
$m->sql($db, <<'S');
CREATE TABLE item (id int PRIMARY KEY, c int, filler text NOT NULL);
INSERT INTO item SELECT i, NULL, repeat('x', 300) FROM generate_series(1, 3000) i;
ANALYZE item;
S
my $run = $m->sql($db, q{SET migration_ext.lock_timeout = '200ms'; SET migration_ext.lock_retries = 500; SELECT migration_backfill('item', 'c = id', 'c IS NULL', '{"throttle": true}')});
ok($m->until_sql($db, q{SELECT throttled_by IS NOT NULL FROM migration_progress()}), 'it waits before its first batch');
# Behind the last block that it will go through: 400 rows are 17 blocks.
$m->sql($db, q{INSERT INTO item SELECT i, NULL, repeat('y', 300) FROM generate_series(3001, 3400) i});
my $holder = $m->session($db);
$holder->run('BEGIN');
$holder->run('UPDATE item SET filler = filler WHERE id = 3200');
$m->sql($db, qq{SELECT migration_tune($run, '{"throttle": false}')});
ok($m->until_sql($db, 'SELECT count(*) FROM item WHERE c IS NULL', '1', 60), 'all rows but the locked one are changed, for good');
is($m->sql($db, 'SELECT id FROM item WHERE c IS NULL'), '3200', 'that one is locked');
my $r = $m->attempt($db, q{SET lock_timeout = '5s'; UPDATE item SET filler = 'z' WHERE id BETWEEN 3190 AND 3199 OR id > 3390});
ok($r->{ok}, 'the application can go on with the others') or diag($r->{err});
is($m->sql($db, "SELECT state FROM migration_runs() WHERE run_id = $run"), 'running', 'the run waits for it');
$holder->run('COMMIT');
is($m->sql($db, "SELECT migration_wait($run)"), 'succeeded', 'and ends when it is free');
is($m->sql($db, 'SELECT count(*) FROM item WHERE c IS DISTINCT FROM id'), '0', 'every row is changed');
is($m->sql($db, 'SELECT rows_done FROM migration_ext.job'), '3400', 'and counted once');
$holder->close;

# A row that fails there is found and named as anywhere else.
$m->sql($db, q{ALTER TABLE item ADD CHECK (id <> 9100 OR c IS NULL); UPDATE item SET c = NULL});
$run = $m->sql($db, q{SELECT migration_backfill('item', 'c = id', 'c IS NULL', '{"throttle": true, "max_errors": 1}')});
ok($m->until_sql($db, q{SELECT throttled_by IS NOT NULL FROM migration_progress()}), 'it waits before its first batch');
$m->sql($db, q{INSERT INTO item SELECT i, NULL, repeat('y', 300) FROM generate_series(9001, 9400) i});
$m->sql($db, qq{SELECT migration_tune($run, '{"throttle": false}')});
is($m->sql($db, "SELECT migration_wait($run)"), 'succeeded', 'one row may fail');
is($m->sql($db, q{SELECT image->>'id', sqlstate FROM migration_quarantine()}), '9100|23514', 'it is set aside');
is($m->sql($db, 'SELECT count(*) FROM item WHERE c IS DISTINCT FROM id'), '1', 'the others are changed');

# More than can be remembered from one look, as a partition that is attached brings them along: in transactions of the size
# of a batch, which the run can be paused between.
$m->sql($db, <<'S');
CREATE TABLE part (id int NOT NULL, c int, by xid8) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (1001);
INSERT INTO part SELECT i FROM generate_series(1, 1000) i;
CREATE TABLE part_2 (LIKE part);
INSERT INTO part_2 SELECT i FROM generate_series(1001, 121000) i;
ANALYZE part;
S
$run = $m->sql($db, q{SET migration_ext.batch_target = '20ms'; SELECT migration_backfill('part', 'c = id, by = pg_current_xact_id()', 'c IS NULL', '{"throttle": true}')});
ok($m->until_sql($db, q{SELECT throttled_by IS NOT NULL FROM migration_progress()}), 'it waits before its first batch');
$m->sql($db, 'ALTER TABLE part ATTACH PARTITION part_2 FOR VALUES FROM (1001) TO (200001)');
$m->sql($db, qq{SELECT migration_tune($run, '{"throttle": false}')});
ok($m->until_sql($db, 'SELECT count(*) > 0 FROM part_2 WHERE c IS NOT NULL'), 'rows of the new partition are visible before all are done');
$m->sql($db, "SELECT migration_pause($run)");
ok($m->until_state($db, 'paused', 20), 'it can be paused there');
cmp_ok($m->sql($db, 'SELECT count(*) FROM part_2 WHERE c IS NULL'), '>', 0, 'in the middle');
$m->sql($db, "SELECT migration_resume($run)");
is($m->sql($db, "SELECT migration_wait($run)"), 'succeeded', 'and goes on');
is($m->sql($db, 'SELECT count(*) FROM part WHERE c IS DISTINCT FROM id'), '0', 'every row is changed');
is($m->sql($db, "SELECT rows_done FROM migration_ext.job WHERE run_id = $run"), '121000', 'and counted once');
cmp_ok($m->sql($db, 'SELECT max(n) FROM (SELECT count(*) AS n FROM part_2 GROUP BY by) x'), '<', 60000, 'none of the transactions changes all of them');
cmp_ok($m->sql($db, 'SELECT count(DISTINCT by) FROM part_2'), '>', 4, 'there are several');
$m->node->stop;
done_testing();
