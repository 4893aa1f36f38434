# F13: the worker of a backfill gets no more memory.
#
# The address space of the worker is limited while it works (prlimit), so that malloc fails in it as it does on a machine
# that is out of memory. A value too big for what is left fails the run with 53200, a worker that has nothing left at all
# may not even be able to say so: then the run is interrupted. Neither takes the server down, and both go on.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

plan(skip_all => 'there is no prlimit') unless PostgreSQL::Test::Utils::run_log([ 'prlimit', '--version' ]);
plan(skip_all => 'a sanitizer needs its address space') if $ENV{MIGRATION_ASAN} || ($ENV{LD_PRELOAD} // '') =~ /asan/;

my $m = Migration->new('memory');
$m->new_database('seed');
# Held at row 5000 by a lock of the test; row 10000 is the one that takes much.
$m->sql('seed', <<'S');
CREATE TABLE work (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
INSERT INTO work SELECT g FROM generate_series(1, 20000) g;
CREATE FUNCTION big(id int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  IF id <> 10000 THEN RETURN 1; END IF;
  RETURN sign(length(repeat('x', 300 * 1000 * 1000)));
END $$;
S
my $started = sub { $m->sql('postgres', q{SELECT backend_start FROM pg_stat_activity WHERE backend_type = 'checkpointer'}) };
my $life = $started->();
my $ending = sub {
	my ($db) = @_;
	my $state = '';
	$m->until_true('the run ends or stops', sub {
		$state = $m->sql($db, q{SELECT CASE WHEN r.state IN ('queued', 'running') THEN s.state ELSE r.state END || ' ' || coalesce(r.sqlstate, '') FROM migration_runs() r, migration_status() s});
		return $state !~ /^(queued|running)/; }, 60);
	return $state; };

# How much the worker may have above what it has: room for its daily work, hardly any, none.
for my $room (64 << 20, 1 << 20, 0)
{
	my $db = $m->copy_database('seed', 'work');
	my $gate = $m->session($db);
	$gate->run('BEGIN');
	$gate->run('SELECT FROM work WHERE id = 5000 FOR UPDATE');
	$m->sql($db, q{SET migration_ext.batch_target = '5ms'; SET migration_ext.lock_timeout = '60s'; SELECT migration_backfill('work', 'n = n + big(id)')});
	ok($m->until_sql($db, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'migration_ext executor' AND wait_event_type = 'Lock'}, '1', 60),
		"$room bytes left: the worker is in the middle");
	my $pid = $m->worker_pid($db);
	my ($pages) = PostgreSQL::Test::Utils::slurp_file("/proc/$pid/statm") =~ /^(\d+)/;
	my $limit = $pages * 4096 + $room;
	ok(PostgreSQL::Test::Utils::run_log([ 'prlimit', "--pid=$pid", "--as=$limit:$limit" ]), "$room bytes left: its memory is limited");
	$gate->run('COMMIT');
	$gate->close;
	my $state = $ending->($db);
	like($state, $room > 1 << 20 ? qr/^failed 53200$/ : qr/^(failed 53200|interrupted )$/, "$room bytes left: the run stops");
	if ($state =~ /^failed/)
	{
		like($m->sql($db, 'SELECT message FROM migration_runs()'), qr/out of memory/, "$room bytes left: it says why");
		like($m->sql($db, q{SELECT detail FROM migration_log() WHERE event = 'failed'}), qr/Free some memory first/, "$room bytes left: what to do first");
		is($m->sql($db, 'SELECT hint FROM migration_status()'), 'SELECT migration_resume(1);', "$room bytes left: and what to type");
	}
	my $done = $m->sql($db, 'SELECT count(*) FROM work WHERE n = 1');
	cmp_ok($done, '>', 0, "$room bytes left: some batches are done");
	is($done, $m->sql($db, 'SELECT rows_done FROM migration_ext.job'), "$room bytes left: as the ledger says");
	is($started->(), $life, "$room bytes left: the server did not notice");
	is($m->resume($db)->{out}, 'succeeded', "$room bytes left: with memory, it goes on to its end");
	$m->oracle($db, "$room bytes left: each row exactly once, nothing left behind", rows => 'SELECT count(*) FROM work WHERE n <> 1');
	$m->drop_database($db);
}
# One of several workers: it hands its error to the one that has the run.
{
	my $db = $m->copy_database('seed', 'work');
	# Rows before the one that takes much, so that both wait, wherever their ranges begin.
	my $gate = $m->session($db);
	$gate->run('BEGIN');
	$gate->run('SELECT FROM work WHERE id < 9000 AND id % 500 = 250 FOR UPDATE');
	$m->sql($db, q{SET migration_ext.batch_target = '5ms'; SET migration_ext.lock_timeout = '60s';
SELECT migration_backfill('work', 'n = n + big(id)', NULL, '{"workers": 2}')});
	my $both = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type IN ('migration_ext executor', 'migration_ext backfill worker') AND wait_event_type = 'Lock'};
	ok($m->until_sql($db, $both, '2', 60), 'two workers: both are in the middle');
	my @pids = split /\n/, $m->sql($db, q{SELECT pid FROM pg_stat_activity WHERE backend_type IN ('migration_ext executor', 'migration_ext backfill worker')});
	for my $pid (@pids)
	{
		my ($pages) = PostgreSQL::Test::Utils::slurp_file("/proc/$pid/statm") =~ /^(\d+)/;
		my $limit = $pages * 4096 + (64 << 20);
		PostgreSQL::Test::Utils::run_log([ 'prlimit', "--pid=$pid", "--as=$limit:$limit" ]);
	}
	$gate->run('COMMIT');
	$gate->close;
	like($ending->($db), qr/^failed 53200$/, 'two workers: the run stops');
	like($m->sql($db, 'SELECT message FROM migration_runs()'), qr/out of memory/, 'two workers: it says why');
	ok($m->until_sql($db, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'migration_ext%'}, '0', 30), 'two workers: nobody goes on alone');
	is($started->(), $life, 'two workers: the server did not notice');
	is($m->resume($db)->{out}, 'succeeded', 'two workers: with memory, it goes on to its end');
	$m->oracle($db, 'two workers: each row exactly once, nothing left behind', rows => 'SELECT count(*) FROM work WHERE n <> 1');
}
unlike(PostgreSQL::Test::Utils::slurp_file($m->node->logfile), qr/PANIC|TRAP|terminated by signal/, 'no process crashed');
$m->node->stop;
done_testing();
