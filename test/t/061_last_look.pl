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
$m->node->stop;
done_testing();
