# The library and the SQL objects of a database can be of different versions: after ALTER EXTENSION UPDATE under sessions and
# workers that loaded the old library, or when the package was replaced and the extension not updated.
#
# Every call is refused with 55000 and says what to type; a worker stops at its next look at the ledger, leaving the run
# interrupted; when the versions agree again, the run is resumed. The version in the catalog is changed by hand here.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('versions');
$m->new_database('work');
$m->sql('work', 'CREATE TABLE item (id int PRIMARY KEY, n int); INSERT INTO item SELECT i, i FROM generate_series(1, 100) i');
$m->register('work', 'v1', undef, 'CREATE INDEX CONCURRENTLY item_n ON item (n); CREATE TABLE made (id int);');
my $version = $m->sql('work', q{SELECT extversion FROM pg_extension WHERE extname = 'migration_ext'});
sub set_version { my ($to) = @_; return $m->sql('work', "UPDATE pg_extension SET extversion = '$to' WHERE extname = 'migration_ext'"); }

my $reader = $m->session('work');
$reader->run('BEGIN ISOLATION LEVEL REPEATABLE READ');
$reader->run('SELECT count(*) FROM pg_class');
my $client = $m->session('work');
$client->send('SELECT migration_upgrade()');
$m->until_sql('work', "SELECT count(*) > 0 FROM pg_stat_progress_create_index WHERE phase = 'waiting for old snapshots'", 't');
set_version('99.0');
for my $call ('SELECT * FROM migration_status()', 'SELECT migration_upgrade()', 'SELECT migration_resume()', 'SELECT * FROM migration_history()',
	q{SELECT migration_register('v2', '', 'v1', 'SELECT 1', '')}, 'SELECT migration_wait(1)')
{
	my $r = $m->attempt('work', $call);
	is($r->{state}, '55000', "$call: 55000") or diag($r->{err} . $r->{out});
	is($r->{message}, qq{extension "migration_ext" is version 99.0 in this database, but the library in use is version $version}, "$call: names both");
	like($r->{hint}, qr/^ALTER EXTENSION migration_ext UPDATE;/, "$call: says what to type");
}
$reader->run('ROLLBACK');
my $r = $client->result(20);
is($r->{state}, '55000', 'whoever waits is told') or diag($r->{err} . $r->{out});
ok($m->until_sql('work', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'migration_ext executor'", '0'), 'the worker ends');
is($m->sql('work', q{SELECT to_regclass('made') IS NULL}), 't', 'it has not gone on');
set_version($version);
is($m->state('work'), 'interrupted', 'the run is interrupted');
$r = $m->resume('work');
is($r->{out}, 'succeeded', 'and resumes') or diag($r->{err});
is($m->applied('work'), 'v1', 'to the end');
$_->close for $reader, $client;
$m->oracle('work', 'all is well');
$m->node->stop;
done_testing();
