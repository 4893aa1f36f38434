# F8: each statement that commits inside itself, killed while it is in the middle (not only at its ends), then resumed.
#
# CREATE INDEX on a table and on a partitioned parent, REINDEX, DROP INDEX and DETACH PARTITION, all CONCURRENTLY, are held
# in one of their waits by another session; then the worker gets SIGKILL. What that leaves (INVALID index, _ccnew, index no
# longer live, partition half detached) must be there, or the test proves nothing; after resume none of it is, and the
# schema is that of an undisturbed run. Also a VALID index that the application made meanwhile must survive.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('forms');
# script, what holds it, when it is there, what it leaves
my $snapshot = sub { $_[0]->run('BEGIN ISOLATION LEVEL REPEATABLE READ'); $_[0]->run('SELECT count(*) FROM pg_class'); };
my $reader = sub { my ($table) = @_; return sub { $_[0]->run('BEGIN'); $_[0]->run("SELECT count(*) FROM $table"); }; };
my $waits = "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'migration_ext executor' AND wait_event_type = 'Lock'";
my @cases = (
	[ 'create', 'CREATE INDEX CONCURRENTLY item_new ON item (n);', $snapshot, qr/^item_new invalid$/ ],
	[ 'unnamed', 'CREATE INDEX CONCURRENTLY ON item (note, n);', $snapshot, qr/^item_note_n_idx invalid$/ ],
	[ 'unique', 'CREATE UNIQUE INDEX CONCURRENTLY item_new ON item (id, n);', $snapshot, qr/^item_new invalid$/ ],
	[ 'parent', 'CREATE INDEX CONCURRENTLY part_v ON part (v);', $snapshot, qr/part_1_v_idx invalid/ ],
	[ 'reindex', 'REINDEX INDEX CONCURRENTLY item_note;', $snapshot, qr/item_note_ccnew/ ],
	[ 'reindex_table', 'REINDEX TABLE CONCURRENTLY item;', $snapshot, qr/_ccnew/ ],
	[ 'drop', 'DROP INDEX CONCURRENTLY item_note;', $reader->('item'), qr/item_note invalid/ ],
	[ 'detach', 'ALTER TABLE part DETACH PARTITION part_2 CONCURRENTLY;', $reader->('part'), qr/part_2 half detached/ ]);

$m->new_database('forms');
$m->sql('forms', <<'S');
CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, note text);
INSERT INTO item SELECT i, 0, 'row ' || i FROM generate_series(1, 300) i;
CREATE INDEX item_note ON item (note);
CREATE TABLE part (id int PRIMARY KEY, v int NOT NULL DEFAULT 0) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (1000);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (1000) TO (2000);
INSERT INTO part SELECT i * 10, 0 FROM generate_series(1, 199) i;
S

for my $case (@cases)
{
	my ($name, $script, $hold, $leaves) = @$case;
	# The statement as the server itself does it; the parent without CONCURRENTLY, which it refuses.
	$m->copy_database('forms', 'plain');
	$m->register('plain', 'f1', undef, $script . ' CREATE INDEX item_app ON item (n, id);');
	$m->sql('plain', 'SELECT migration_upgrade()');
	$m->copy_database('forms', 'work');
	$m->register('work', 'f1', undef, $script);
	my $other = $m->session('work');
	$hold->($other);
	my $client = $m->session('work');
	$client->send('SELECT migration_upgrade()');
	ok($m->until_sql('work', $waits, 't'), "$name: held in a wait");
	my $pid = $m->worker_pid('work');
	kill 'KILL', $pid;
	$m->until_true('the client notices', sub { return $client->done; });
	$m->until_up;
	$_->close for $other, $client;
	like($m->invalid_indexes('work'), $leaves, "$name: leaves something behind");
	is($m->state('work'), 'interrupted', "$name: interrupted");
	$m->sql('work', 'CREATE INDEX item_app ON item (n, id)');
	my $r = $m->resume('work');
	is($r->{out}, 'succeeded', "$name: resumed") or diag($r->{err});
	$m->oracle('work', "$name: all is well", like => 'plain', probes => { f1 => "to_regclass('item_app') IS NOT NULL" });
	delete $m->{dumps}{plain};
	$m->drop_database($_) for 'work', 'plain';
}
$m->node->stop;
done_testing();
