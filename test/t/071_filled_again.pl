# A column after another: rows that a backfill has updated in place are filled again in place.
#
# Such a row is reached through the line pointer of its first version, and what pruning leaves of the last one tells nothing:
# whether new versions stay on their pages has to be seen all the same, or the second backfill takes the table for one where
# passes do not pay and doubles it. By blocks and by key; by blocks once more for a table that the application keeps updating.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('again', conf => "max_wal_size = '2GB'\nautovacuum = off");
my $db = $m->new_database('again');
my $rows = 60000;

sub table
{
	my ($name) = @_;
	$m->sql($db, <<"S");
CREATE TABLE $name AS SELECT g::bigint AS id, (g * 7919) % 100003 AS r, 0 AS n, repeat('x', 60) AS filler FROM generate_series(1, $rows) g;
ALTER TABLE $name ADD PRIMARY KEY (id);
CREATE INDEX ON $name (r);
ALTER TABLE $name ADD COLUMN a bigint, ADD COLUMN b bigint, ADD COLUMN c bigint;
VACUUM ANALYZE $name;
S
	return;
}

sub backfill
{
	my ($name, $change, $condition, $growth, $wrong) = @_;
	my $before = $m->sql($db, "SELECT pg_relation_size('$name')");
	my $run = $m->sql($db, "SET migration_ext.batch_target = '50ms'; SELECT migration_backfill('$name', '$change', $condition)");
	is($m->sql($db, "SELECT migration_wait($run)"), 'succeeded', "$name, $change: ends");
	my ($heap, $hot) = split /\|/, $m->sql($db, "SELECT round(100 * (pg_relation_size('$name')::numeric / $before - 1)),"
		. ' (SELECT round(100 * rows_hot::numeric / rows_done) FROM migration_ext.job ORDER BY job_id DESC LIMIT 1)');
	note "$name, $change: heap +$heap %, HOT $hot %";
	cmp_ok($hot, '>', 70, "$name, $change: most rows stay on their pages");
	cmp_ok($heap, '<', $growth, "$name, $change: the table grows little");
	is($m->sql($db, "SELECT count(*) FROM $name WHERE $wrong"), '0', "$name, $change: all rows are right");
	return;
}

table('blocks');
backfill('blocks', 'a = id', q{'a IS NULL'}, 25, 'a IS DISTINCT FROM id');
backfill('blocks', 'b = id', q{'b IS NULL'}, 25, 'b IS DISTINCT FROM id OR a <> id');
backfill('blocks', 'c = id', q{'c IS NULL'}, 25, 'c IS DISTINCT FROM id OR b <> id OR a <> id');

table('keys');
backfill('keys', 'n = n + 1', 'NULL', 30, 'n <> 1');
backfill('keys', 'n = n + 1', 'NULL', 20, 'n <> 2');

# Every row updated in place by somebody else, the table vacuumed.
$m->sql($db, "CREATE TABLE busy (id int PRIMARY KEY, n int NOT NULL, a bigint, filler text) WITH (fillfactor = 50)");
$m->sql($db, "INSERT INTO busy SELECT g, 0, NULL, repeat('x', 60) FROM generate_series(1, $rows) g");
$m->sql($db, 'ALTER TABLE busy RESET (fillfactor)');
$m->sql($db, 'UPDATE busy SET n = n + 1');
is($m->sql($db, "SELECT pg_stat_force_next_flush(), (SELECT count(*) FROM busy WHERE n <> 1)"), '|0', 'busy: updated');
$m->sql($db, 'VACUUM busy');
backfill('busy', 'a = id', q{'a IS NULL'}, 5, 'a IS DISTINCT FROM id');

unlike(PostgreSQL::Test::Utils::slurp_file($m->node->logfile), qr/PANIC|TRAP|terminated by signal/, 'no process died');
$m->node->stop;
done_testing();
