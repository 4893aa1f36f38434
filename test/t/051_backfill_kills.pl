# F2: random kill -9 of the workers of two backfills, again and again; each row ends up changed exactly once.
#
# One database has a fill that extinguishes itself, the other n = n + 1, where a batch lost or repeated shows. Both are at
# work at once, each by two or three workers; every cycle kills one of these at a random instant (the server takes all sessions down with it),
# looks at what is there, lets the application move some rows, and resumes both. The guard against steps that crash the
# server gives a run up that died three times without getting on: resumed by hand like any other.
# MIGRATION_KILLS: number of cycles (50); make test-kills KILLS=1000. MIGRATION_SEED repeats the random choices.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;
use Time::HiRes qw(time usleep);

my $wanted = $ENV{MIGRATION_KILLS} || 50;
my $seed   = $ENV{MIGRATION_SEED} || int(rand(1_000_000));
srand($seed);
note "seed $seed, $wanted kills";
my $rows     = 3000;
my $given_up = 0;
# A commit takes its time, so that many kills come between what is done and what is certain.
my $m = Migration->new('kills', conf => "max_wal_size = '1GB'\nfsync = on\nrecovery_init_sync_method = syncfs\ncommit_delay = 4000\ncommit_siblings = 0");

# Job by job: what it does, and rows that are wrong while it is under way and at its end.
my %jobs = (
	fill => {
		order => 'md5(i::text)',
		call  => q{migration_backfill('work', 'c = ''f'' || slow(id)', 'c IS NULL', '{"workers": 3}')},
		under => q{SELECT count(*) FROM work WHERE c <> 'f' || id},
		final => q{SELECT count(*) FROM work WHERE c IS DISTINCT FROM 'f' || id},
		done  => q{SELECT count(*) FROM work WHERE c IS NOT NULL} },
	count => {
		order => 'i',    # neighbours in the key lie together: it is gone through in passes
		call  => q{migration_backfill('work', 'n = n + 1 + 0 * slow(id)', NULL, '{"workers": 2}')},
		under => q{SELECT count(*) FROM work WHERE n - base NOT IN (0, 1)},
		final => q{SELECT count(*) FROM work WHERE n - base <> 1},
		done  => q{SELECT count(*) FROM work WHERE n <> base} });

sub make_database
{
	my ($db) = @_;
	$m->drop_database($db);
	$m->new_database($db);
	$m->sql($db, <<"S");
CREATE FUNCTION slow(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
  'BEGIN IF x % 5 = 0 THEN PERFORM pg_sleep(0.001); END IF; RETURN x; END';
CREATE TABLE work (id int PRIMARY KEY, base int NOT NULL, n int NOT NULL, c text, moves int NOT NULL DEFAULT 0, filler text NOT NULL);
INSERT INTO work SELECT i, i % 7, i % 7, NULL, 0, repeat('x', 300) FROM generate_series(1, $rows) i ORDER BY $jobs{$db}{order};
DELETE FROM work WHERE id % 10 = 0;
S
	return;
}

sub start_job
{
	my ($db) = @_;
	make_database($db);
	$m->sql($db, "SET migration_ext.batch_target = '5ms'; SELECT $jobs{$db}{call}");
	return;
}

# State of the only run, as a user sees it. The server may be going down.
sub state_of
{
	my ($db) = @_;
	my $r = $m->attempt($db, q{SELECT CASE WHEN r.state IN ('queued', 'running') THEN s.state ELSE r.state END || ' ' || coalesce(r.sqlstate, '')
FROM migration_runs() r, migration_status() s});
	return $r->{ok} ? $r->{out} : '';
}

sub resume_if_stopped
{
	my ($db) = @_;
	my $end = time + 60;
	while (time < $end)
	{
		my $state = state_of($db);
		return 1 if $state =~ /^(succeeded|running)/;
		# Only what a crash can lead to.
		return 0 if $state =~ /^failed/ && $state !~ /MX012/;
		$given_up++ if $state =~ /MX012/;
		$m->attempt($db, 'SELECT migration_resume(1)') if $state =~ /^(interrupted|paused|failed|queued)/;
		usleep(20_000);
	}
	diag("$db cannot be resumed: " . state_of($db));
	return 0;
}

# Which life of the server this is; empty while it is down.
sub life
{
	my $r = $m->attempt('postgres', q{SELECT backend_start FROM pg_stat_activity WHERE backend_type = 'checkpointer'});
	return $r->{ok} ? $r->{out} : '';
}

my ($kills, %wrong) = (0);
my %finished = (fill => 0, count => 0);
my %done_before;
for my $db (sort keys %jobs) { start_job($db); $done_before{$db} = 0; }
my $limit = time + 60 + 10 * $wanted;
while ($kills < $wanted && time < $limit)
{
	# Somebody must be at work.
	my $r = $m->attempt('postgres', q{SELECT datname || ' ' || pid FROM pg_stat_activity WHERE backend_type LIKE 'migration_ext%' AND datname IN ('fill', 'count') ORDER BY random() LIMIT 1});
	if ($r->{ok} && $r->{out} =~ /^(\w+) (\d+)$/)
	{
		my ($db, $pid) = ($1, $2);
		usleep(int(rand(2) < 1 ? rand(60_000) : rand(350_000)));
		my $before = life();
		next unless $before ne '' && kill('KILL', $pid);
		# The server notices a moment later, and takes every session down then. A process that had ended by itself in that
		# very moment takes nothing down.
		next unless $m->until_true('the server starts anew', sub { my $now = life(); return $now ne '' && $now ne $before; }, 20);
		$kills++;
		for my $each (sort keys %jobs)
		{
			my $under = $m->sql($each, $jobs{$each}{under});
			my $done = $m->sql($each, $jobs{$each}{done});
			$wrong{"$each: after kill $kills $under rows are wrong"}++ if $under ne '0';
			$wrong{"$each: after kill $kills there are $done rows done, before it were $done_before{$each}"}++ if $done < $done_before{$each};
			$done_before{$each} = $done;
			# The application goes on: rows move, also over the cursors.
			my $some = int(rand(50));
			$m->attempt($each, "UPDATE work SET moves = moves + 1, filler = repeat('y', 200 + (random() * 200)::int) WHERE id % 50 = $some");
		}
	}
	for my $db (sort keys %jobs)
	{
		resume_if_stopped($db) or BAIL_OUT("$db: cannot go on: " . state_of($db));
		next unless state_of($db) =~ /^succeeded/;
		my $final = $m->sql($db, $jobs{$db}{final});
		$wrong{"$db: at the end $final rows are wrong"}++ if $final ne '0';
		$finished{$db}++;
		last if $kills >= $wanted;
		start_job($db);
		$done_before{$db} = 0;
	}
}
is($kills, $wanted, "$wanted workers were killed");
for my $db (sort keys %jobs)
{
	my $end = time + 120;
	while (time < $end && state_of($db) !~ /^succeeded/) { resume_if_stopped($db); usleep(50_000); }
	like(state_of($db), qr/^succeeded/, "$db: ends");
	is($m->sql($db, $jobs{$db}{final}), '0', "$db: each row exactly once");
	is($m->sql($db, 'SELECT count(*) FROM work'), $rows - int($rows / 10), "$db: no row is lost");
	is($m->leaks($db), '', "$db: nothing is left behind") if $m->until_sql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'migration_ext%'", '0');
}
is(join("\n", sort keys %wrong), '', 'nothing was wrong in between');
note "finished: $finished{fill} fills, $finished{count} counts; given up as suspected crasher: $given_up";
unlike(PostgreSQL::Test::Utils::slurp_file($m->node->logfile), qr/PANIC|TRAP|terminated by signal (?!9)/, 'no process died of anything else');
$m->node->stop;
done_testing();
