# A backfill that moves some rows does not let indexes grow: where their leaves have no room for the entries of all rows that
# move, the table is vacuumed on the way, and rows that have to leave a page of few rows leave it in two passes.
#
# By blocks and by key, narrow and wide rows, rows that get wider, one and two workers; an index whose order is that of the
# table, and one whose order is not. Without VACUUM the second one doubles. A VACUUM on the way ends when the run is paused or cancelled.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('growth', conf => "max_wal_size = '4GB'\nautovacuum = off\ntrack_counts = on");
my $db = $m->new_database('growth');

sub table
{
	my ($name, $rows, $filler) = @_;
	$m->sql($db, <<"S");
SET vacuum_cost_delay = 0;
SELECT setseed(0.5);
CREATE TABLE $name AS SELECT g::bigint AS id, (random() * 2000000000)::int AS r, 0 AS n, repeat('x', $filler) AS filler FROM generate_series(1, $rows) g;
ALTER TABLE $name ADD PRIMARY KEY (id);
CREATE INDEX ${name}_r ON $name (r);
ALTER TABLE $name ADD COLUMN a bigint;
VACUUM ANALYZE $name;
S
	return;
}

sub vacuums { my ($name) = @_; return $m->sql($db, "SELECT vacuum_count FROM pg_stat_user_tables WHERE relname = '$name'"); }

# By others than the test.
sub vacuumed { my ($name) = @_; return $m->until_sql($db, "SELECT vacuum_count > 1 FROM pg_stat_user_tables WHERE relname = '$name'", 't'); }

# Returns how much the index on r has grown, in percent.
sub backfill
{
	my ($name, $change, $condition, $options) = @_;
	my %before = map { $_ => $m->sql($db, "SELECT pg_relation_size('$_')") } ($name, "${name}_pkey", "${name}_r");
	my $run = $m->sql($db, "SELECT migration_backfill('$name', '$change', $condition, '$options')");
	is($m->sql($db, "SELECT migration_wait($run)"), 'succeeded', "$name: ends");
	my %growth = map { $_ => $m->sql($db, "SELECT round(100 * (pg_relation_size('$_')::numeric / $before{$_} - 1), 1)") } keys %before;
	note "$name $change $options: " . join(', ', map { "$_ +$growth{$_} %" } sort keys %growth) . ', vacuums ' . vacuums($name);
	return $growth{"${name}_r"} if $name eq 'asked';
	cmp_ok($growth{$name}, '<=', $name =~ /wider|without/ ? 25 : 15, "$name: the table grows little");
	cmp_ok($growth{"${name}_pkey"}, '<=', $name =~ /wider|without/ ? 45 : 2, "$name: the key's index does not grow") unless $name =~ /two|small/;
	return $growth{"${name}_r"};
}

table('blocks', 100000, 60);
cmp_ok(backfill('blocks', 'a = id', q{'a IS NULL'}, '{}'), '<=', 6, 'by blocks: nor does the other index');
ok(vacuumed('blocks'), 'by blocks: VACUUM on the way');
is($m->sql($db, 'SELECT count(*) FROM blocks WHERE a IS DISTINCT FROM id'), '0', 'by blocks: all rows are right');

table('keys', 100000, 60);
cmp_ok(backfill('keys', 'n = n + 1', 'NULL', '{}'), '<=', 6, 'by key: nor there');
ok(vacuumed('keys'), 'by key: VACUUM on the way');
is($m->sql($db, 'SELECT count(*) FROM keys WHERE n <> 1'), '0', 'by key: each row once');

table('wide', 60000, 230);
cmp_ok(backfill('wide', 'a = id', q{'a IS NULL'}, '{}'), '<=', 6, 'rows of 300 bytes');

# Rows that get wider: one of six has to leave its page. Without VACUUM that splits every leaf of an index.
for my $case (['wider', '{}', '<=', 40], ['without', '{"vacuum": "off"}', '>', 60])
{
	my ($name, $options, $than, $much) = @$case;
	table($name, 100000, 60);
	$m->sql($db, "ALTER TABLE $name ADD COLUMN v text");
	cmp_ok(backfill($name, q{v = repeat(''x'', 16)}, q{'v IS NULL'}, $options), $than, $much, "$name: rows that get wider");
}
is(vacuums('without'), '1', 'without: it was switched off');

table('two', 100000, 60);
cmp_ok(backfill('two', 'a = id', q{'a IS NULL'}, '{"workers": 2}'), '<=', 8, 'two workers');

table('small', 20000, 60);
backfill('small', 'a = id', q{'a IS NULL'}, '{}');
is(vacuums('small'), '1', 'a small table is not worth it');
backfill('small', 'n = n + 1', 'NULL', '{"vacuum": "40%", "window_blocks": 32}');
ok(vacuumed('small'), 'unless it is asked for, by key, too');

# ---- a VACUUM that lasts ----
$m->sql($db, q{ALTER SYSTEM SET vacuum_cost_delay = '100ms'});
$m->sql($db, 'ALTER SYSTEM SET vacuum_cost_limit = 1');
$m->sql($db, 'SELECT pg_reload_conf()');
for my $how ('pause', 'cancel')
{
	table("slow_$how", 100000, 60);
	my $run = $m->sql($db, "SELECT migration_backfill('slow_$how', 'n = n + 1', NULL)");
	$m->until_sql($db, "SELECT count(*) > 0 FROM pg_stat_progress_vacuum WHERE relid = 'slow_$how'::regclass", 't');
	my $batches = $m->sql($db, 'SELECT batches FROM migration_ext.job ORDER BY job_id DESC LIMIT 1');
	is($m->sql($db, "SELECT migration_$how($run)"), $how eq 'pause' ? 'pausing' : 'cancelling', $how);
	ok($m->until_sql($db, "SELECT state FROM migration_ext.run WHERE run_id = $run", $how eq 'pause' ? 'paused' : 'cancelled'), "$how: it does not wait for the VACUUM");
	is($m->sql($db, 'SELECT batches FROM migration_ext.job ORDER BY job_id DESC LIMIT 1'), $batches, "$how: nor goes on before");
	next if $how eq 'cancel';
	like($m->sql($db, "SELECT message FROM migration_ext.run WHERE run_id = $run"), qr/paused by "postgres"/, 'pause: by whom');
	$m->sql($db, 'ALTER SYSTEM RESET vacuum_cost_delay');
	$m->sql($db, 'SELECT pg_reload_conf()');
	$m->sql($db, "SELECT migration_resume($run)");
	is($m->sql($db, "SELECT migration_wait($run)"), 'succeeded', 'pause: and goes on');
	is($m->sql($db, 'SELECT count(*) FROM slow_pause WHERE n <> 1'), '0', 'pause: each row once');
	$m->sql($db, q{ALTER SYSTEM SET vacuum_cost_delay = '100ms'});
	$m->sql($db, 'SELECT pg_reload_conf()');
}

# Whoever waits for its lock does not wait long, and the backfill goes on without it.
table('slow_way', 100000, 60);
my $way = $m->sql($db, "SELECT migration_backfill('slow_way', 'n = n + 1', NULL)");
$m->until_sql($db, "SELECT count(*) > 0 FROM pg_stat_progress_vacuum WHERE relid = 'slow_way'::regclass", 't');
is($m->sql($db, q{SET lock_timeout = '60s'; CREATE INDEX slow_way_n ON slow_way (filler); SELECT count(*) FROM pg_stat_progress_vacuum}), '0', 'an index build comes in between');
$m->sql($db, 'ALTER SYSTEM RESET vacuum_cost_delay');
$m->sql($db, 'SELECT pg_reload_conf()');
is($m->sql($db, "SELECT migration_wait($way)"), 'succeeded', 'and the backfill goes on');
is($m->sql($db, 'SELECT count(*) FROM slow_way WHERE n <> 1'), '0', 'each row once');

# Nor does it go on when the time window of the backfill closes; before that is over it is not begun again.
$m->sql($db, q{ALTER SYSTEM SET vacuum_cost_delay = '100ms'});
$m->sql($db, 'SELECT pg_reload_conf()');
table('slow_window', 100000, 60);
# Closes with a minute: the one that begins in 25 seconds at least.
my $closes = $m->sql($db, q{SELECT to_char(date_trunc('minute', now() AT TIME ZONE 'UTC' + interval '85 s'), 'HH24:MI')});
my $opened = $m->sql($db, q{SELECT to_char(now() AT TIME ZONE 'UTC' - interval '1 hour', 'HH24:MI')});
my $window = $m->sql($db, qq{SELECT migration_backfill('slow_window', 'n = n + 1', NULL, '{"window": "$opened-$closes UTC"}')});
my $vacuuming = "SELECT count(*) FROM pg_stat_progress_vacuum WHERE relid = 'slow_window'::regclass";
ok($m->until_sql($db, $vacuuming, '1'), 'window: it is vacuumed while it is open');
ok($m->until_sql($db, $vacuuming, '0', 90), 'window: and not any longer');
like($m->sql($db, q{SELECT to_char(now() AT TIME ZONE 'UTC', 'HH24:MI')}), qr/^$closes$/, 'window: it was ended by its closing');
ok($m->until_sql($db, "SELECT waiting_for ~ '^window: closed' FROM migration_runs() WHERE run_id = $window", 't'), 'window: the run waits for the next');
is($m->sql($db, $vacuuming), '0', 'window: without a VACUUM');
$m->sql($db, 'ALTER SYSTEM RESET vacuum_cost_delay');
$m->sql($db, 'SELECT pg_reload_conf()');
$m->sql($db, qq{SELECT migration_tune($window, '{"window": "off"}')});
is($m->sql($db, "SELECT migration_wait($window)"), 'succeeded', 'window: and goes on');
is($m->sql($db, 'SELECT count(*) FROM slow_window WHERE n <> 1'), '0', 'window: each row once');

# A table that nothing is known of yet.
$m->sql($db, q{CREATE TABLE unknown (id int PRIMARY KEY, n int, filler text); INSERT INTO unknown SELECT g, 0, repeat('x', 60) FROM generate_series(1, 100000) g});
is($m->sql($db, q{SELECT reltuples FROM pg_class WHERE relname = 'unknown'}), '-1', 'unknown: not analyzed');
my $unknown = $m->sql($db, q{SELECT migration_backfill('unknown', 'n = n + 1', NULL, '{"vacuum": "20%"}')});
is($m->sql($db, "SELECT migration_wait($unknown)"), 'succeeded', 'unknown: ends');
ok($m->until_sql($db, q{SELECT vacuum_count > 1 FROM pg_stat_user_tables WHERE relname = 'unknown'}, 't'), 'unknown: it is vacuumed as asked for');

# Passes that are asked for are what is made.
table('asked', 40000, 60);
backfill('asked', 'a = id', q{'a IS NULL'}, '{"passes": 2, "vacuum": "off"}');
cmp_ok($m->sql($db, 'SELECT round(100 * rows_hot::numeric / rows_done) FROM migration_ext.job ORDER BY job_id DESC LIMIT 1'), '<', 60, 'half of the rows move');
unlike(PostgreSQL::Test::Utils::slurp_file($m->node->logfile), qr/PANIC|TRAP|terminated by signal/, 'no process died');
$m->node->stop;
done_testing();
