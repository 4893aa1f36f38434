# DESIGN 2.3: a session that waits for a run holds no snapshot, so CREATE INDEX CONCURRENTLY in the worker is not held up by
# the very session that asked for it.
#
# In psql, inside BEGIN after a read (what drivers do by default), as a prepared statement, FROM the function, in a cursor's
# place: backend_xmin is NULL while it waits and the index is built. Where the session could not let go of its snapshot it
# is refused with 25001 before any work.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('snapshot');
$m->new_database('base');
$m->sql('base', 'CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); CREATE TABLE seen (id int); INSERT INTO item SELECT generate_series(1, 100)');
$m->register('base', 's1', undef, 'CREATE INDEX CONCURRENTLY item_n ON item (n);');

my @ways = (
	[ 'plain', [], 'SELECT migration_upgrade()' ],
	[ 'from', [], 'SELECT * FROM migration_upgrade()' ],
	[ 'named arguments', [], q{SELECT migration_upgrade(target => 'head', wait => true)} ],
	[ 'block after a read', [ 'BEGIN', 'SELECT count(*) FROM seen' ], 'SELECT migration_upgrade()' ],
	[ 'block after a savepoint', [ 'BEGIN', 'SELECT count(*) FROM seen', 'SAVEPOINT a' ], 'SELECT migration_upgrade()' ],
	[ 'prepared', [], "SELECT migration_upgrade(\$1) \\bind head \\g" ],
	[ 'wait', [ 'SELECT migration_upgrade(wait => false)' ], 'SELECT migration_wait()' ]);

for my $way (@ways)
{
	my ($name, $before, $call) = @$way;
	next if $call =~ /\\bind/ && !($m->node->pg_version >= 16);
	$m->copy_database('base', 'work');
	# Held for a while by somebody else, to look at the waiting session.
	my $other = $m->session('work');
	$other->run('BEGIN ISOLATION LEVEL REPEATABLE READ');
	$other->run('SELECT count(*) FROM pg_class');
	my $client = $m->session('work');
	$client->run($_) for @$before;
	$client->send($call);
	$m->until_sql('work', "SELECT count(*) > 0 FROM pg_stat_progress_create_index WHERE phase = 'waiting for old snapshots'", 't');
	# It looks at the ledger now and then; mostly it must be without a snapshot.
	my $without = 0;
	for (1 .. 10)
	{
		$without++ if $m->sql('work', 'SELECT backend_xmin IS NULL AND backend_xid IS NULL FROM pg_stat_activity WHERE pid = ' . $client->pid) eq 't';
	}
	cmp_ok($without, '>=', 7, "$name: no snapshot while it waits");
	# Only the other session is in the way.
	is($m->sql('work', "SELECT string_agg(b::text, ',') FROM pg_stat_activity a, unnest(pg_blocking_pids(a.pid)) b WHERE a.backend_type = 'migration_ext executor'"), $other->pid, "$name: it blocks nobody");
	$other->run('ROLLBACK');
	my $r = $client->result(20);
	ok($r->{ok}, "$name: ends") or diag($r->{err});
	# The transaction can go on, and sees what the run did.
	$r = $client->run("SELECT count(*) FROM pg_indexes WHERE indexname = 'item_n'");
	is($r->{out}, '1', "$name: the session sees the result") or diag($r->{err});
	$_->close for $other, $client;
	$m->oracle('work', "$name: nothing left behind");
	$m->drop_database('work');
}

# Many times without anybody in the way: an index that starts its wait just when a session looks must not wait for it.
my $db = $m->copy_database('base', 'many');
$m->register($db, 's' . ($_ + 1), "s$_", "CREATE INDEX CONCURRENTLY item_x$_ ON item (n);") for 1 .. 40;
$m->sql($db, 'SELECT migration_upgrade(wait => false)');
my @waiting = map { $m->session($db) } 1 .. 6;
my $failed = 0;
while ($m->state($db) ne 'up to date')
{
	$_->send("SELECT migration_wait(timeout => '10 s')") for @waiting;
	for my $s (@waiting)
	{
		my $r = $s->result;
		$failed++, diag($r->{err}) unless $r->{ok};
	}
	last if $failed;
}
is($failed, 0, 'forty indexes, six sessions that look on: nobody blocks the run');
$_->close for @waiting;

# A build begins while the block of a session holds a snapshot, which is gone when the session comes to wait; the build waits
# for its transaction. In a block of one message, one with BEGIN, and one that has locked the table and writes afterwards.
for my $case ([ 'one message', undef, "SELECT pg_sleep(1.5)\\; SELECT migration_upgrade();" ], [ 'block', 'BEGIN', 'SELECT pg_sleep(1.5)' ],
	[ 'block with a lock', 'BEGIN; LOCK TABLE item IN ROW EXCLUSIVE MODE', 'SELECT pg_sleep(1.5)' ])
{
	my ($name, $before, $sleep) = @$case;
	$m->copy_database('base', 'work');
	my $client = $m->session('work');
	$client->run($before) if defined $before;
	$client->send($sleep);
	$m->until_sql('work', "SELECT count(*) FROM pg_stat_activity WHERE datname = 'work' AND wait_event = 'PgSleep'", '1');
	my $first = $m->session('work');
	$first->send('SELECT migration_upgrade()');
	if (defined $before)
	{
		$client->result(20);
		$client->send('SELECT migration_upgrade()');
	}
	my $r = $client->result(20);
	ok($r->{ok}, "$name: the session does not block the build that it waits for") or diag($r->{err});
	$r = $first->result(20);
	ok($r->{ok}, "$name: nor does the other session") or diag($r->{err});
	if (defined $before)
	{
		# The block knows the index that was made meanwhile: what it writes is in it.
		$r = $client->run('INSERT INTO item SELECT i, -i FROM generate_series(1001, 1100) i; COMMIT');
		ok($r->{ok}, "$name: writes afterwards") or diag($r->{err});
		is($m->sql('work', 'SET enable_seqscan = off; SELECT count(*) FROM item WHERE n BETWEEN -1100 AND -1001'), '100', "$name: through the index");
	}
	$_->close for $client, $first;
	$m->oracle('work', "$name: all is well");
	$m->drop_database('work');
}

# Where waiting would pin a snapshot or a lock: refused, nothing done.
my @refused = (
	[ 'REPEATABLE READ', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT migration_upgrade()' ],
	[ 'SERIALIZABLE', 'BEGIN ISOLATION LEVEL SERIALIZABLE', 'SELECT migration_upgrade()' ],
	[ 'after a write', 'BEGIN; INSERT INTO seen VALUES (1)', 'SELECT migration_upgrade()' ],
	[ 'DO', '', 'DO $d$ BEGIN PERFORM migration_upgrade(); END $d$' ],
	[ 'PL/pgSQL function', 'CREATE FUNCTION f() RETURNS bigint LANGUAGE plpgsql AS $f$ BEGIN RETURN migration_upgrade(); END $f$', 'SELECT f()' ],
	# Not inlined, because of its SET; an inlined one is the plain call.
	[ 'SQL function', 'CREATE FUNCTION g() RETURNS bigint LANGUAGE sql SET work_mem = 64 AS $f$ SELECT migration_upgrade() $f$', 'SELECT g()' ],
	[ 'more in the statement', '', 'SELECT migration_upgrade(), count(*) FROM seen' ],
	[ 'a table in the statement', '', 'SELECT migration_upgrade() FROM pg_class LIMIT 1' ],
	[ 'sub-select', '', 'SELECT (SELECT migration_upgrade())' ],
	[ 'EXECUTE', 'PREPARE p AS SELECT migration_upgrade()', 'EXECUTE p' ],
	[ 'open cursor', 'BEGIN; DECLARE c CURSOR FOR SELECT * FROM item; FETCH c', 'SELECT migration_upgrade()' ],
	[ 'CREATE TABLE AS', '', 'CREATE TABLE r AS SELECT migration_upgrade()' ]);
$m->copy_database('base', 'work');
for my $case (@refused)
{
	my ($name, $before, $call) = @$case;
	my $s = $m->session('work');
	$s->run($before) if $before ne '';
	my $r = $s->run($call, 20);
	is($r->{state}, '25001', "refused: $name") or diag($r->{err} . $r->{out});
	like($r->{hint}, qr/wait => false/, "refused: $name, with the way out");
	$s->close;
}
is($m->sql('work', 'SELECT count(*) FROM migration_runs()'), '0', 'refused before any work');

# A lock of its own transaction is in the way of the run: said at once, not waited for.
my $s = $m->session('work');
$s->run('BEGIN');
$s->run('LOCK TABLE item IN SHARE UPDATE EXCLUSIVE MODE');
my $r = $s->run('SELECT migration_upgrade()', 30);
is($r->{state}, '25001', 'a lock of its own is in the way: 25001') or diag($r->{err} . $r->{out});
$s->run('ROLLBACK');
$s->close;
$m->node->stop;
done_testing();
