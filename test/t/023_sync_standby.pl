# F37: the synchronous standby is lost while steps commit.
#
# A commit that waits for a standby is already done on this server: a cancel, a terminated process or a crash ends the
# wait, not the commit. So the ledger may be ahead of what the process has seen, never behind: the run goes on, or is
# resumed, and does no step twice. A commit that waits keeps its locks, as everywhere in PostgreSQL; the ledger and the
# status can be read meanwhile.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('primary', streaming => 1);
$m->seed('seed');
$m->copy_database('seed', 'undisturbed');
$m->sql('undisturbed', 'SELECT migration_upgrade()');
$m->node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($m->node, 'copy', has_streaming => 1);
$standby->start;

# From now on every commit outside this helper waits; the helper's own connections do not.
sub standby_wanted
{
	my ($wanted) = @_;
	$m->sql('postgres', $_, options => '-c synchronous_commit=local')
	  for "ALTER SYSTEM SET synchronous_standby_names = '" . ($wanted ? 'standby' : '') . "'", 'SELECT pg_reload_conf()';
	$m->until_sql('postgres', 'SHOW synchronous_standby_names', $wanted ? 'standby' : '');
	return;
}

# The commit of the caller or the worker that waits, as [process, its transaction, whose]; nothing when `over` holds.
sub waiting_commit
{
	my ($db, $over) = @_;
	my @found;
	$m->until_true("a commit in $db waits", sub {
		@found = split /\|/, $m->sql('postgres', "SELECT pid, backend_xid, backend_type FROM pg_stat_activity WHERE datname = '$db' AND wait_event = 'SyncRep' ORDER BY backend_type LIMIT 1");
		return @found || ($over && $over->()); }, 60);
	return @found ? \@found : undef;
}

# Ends the wait of one commit by pg_cancel_backend or pg_terminate_backend, and sees that it has ended.
sub end_wait
{
	my ($how, $commit) = @_;
	$m->sql('postgres', "SELECT pg_${how}_backend($commit->[0])");
	$m->until_sql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE pid = $commit->[0] AND wait_event = 'SyncRep' AND backend_xid = '$commit->[1]'", '0');
	return;
}

sub applied_is_real
{
	my ($db, $name) = @_;
	$m->oracle($db, $name, probes => { map { $_ => $Migration::probes{$_} } qw(b1 b2) });
	return;
}

sub all_is_well
{
	my ($db, $name) = @_;
	$m->oracle($db, $name, like => 'undisturbed', probes => \%Migration::probes, rows => $Migration::rows);
	is($m->applied($db), 'b1,b2,b3,b4,b5', "$name: all applied");
	$m->drop_database($db);
	return;
}

# With the standby there, a run is an ordinary run.
$m->copy_database('seed', 'attended');
standby_wanted(1);
ok($m->until_sql('postgres', "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'", '1'), 'the standby is synchronous');
ok($m->attempt('attended', 'SELECT migration_upgrade()')->{ok}, 'with the standby the run goes through');
standby_wanted(0);
all_is_well('attended', 'with the standby');
$standby->stop;

# A transactional upgrade in the caller's own transaction: the cancel ends the wait, and the caller is told.
$m->copy_database('seed', 'own');
standby_wanted(1);
my $client = $m->session('own');
$client->send("SELECT migration_upgrade('b1')");
my $at = waiting_commit('own');
is($at->[0], $client->pid, 'the caller waits in its commit');
end_wait('cancel', $at);
my $r = $client->result;
ok($r->{ok}, 'own transaction: the statement succeeds') or diag($r->{err});
like($r->{err}, qr/committed locally/, 'own transaction: with the warning of the server');
is($m->applied('own'), 'b1', 'own transaction: committed');
applied_is_real('own', 'own transaction: ledger and schema agree');
$client->close;
standby_wanted(0);
ok($m->attempt('own', 'SELECT migration_upgrade()')->{ok}, 'own transaction: the rest');
all_is_well('own', 'own transaction');

# A run in a worker, each of its commits cancelled in its wait: it goes on by itself to the end.
$m->copy_database('seed', 'cancelled');
standby_wanted(1);
$client = $m->session('cancelled');
$client->send('SELECT migration_upgrade()');
my @seen;
while ($at = waiting_commit('cancelled', sub { $client->done }))
{
	last if $client->done;
	push @seen, $m->attempt('cancelled', 'SELECT state FROM migration_status()', timeout => 10)->{out};
	end_wait('cancel', $at);
}
$r = $client->result;
ok($r->{ok}, 'every commit cancelled in its wait: the run still succeeds') or diag($r->{err});
cmp_ok(scalar @seen, '>', 8, 'there were many waits');
is(join(' ', grep { !/^(running|queued|unstamped|up to date)$/ } @seen), '', 'the status could be read in each');
$client->close;
standby_wanted(0);
all_is_well('cancelled', 'every wait cancelled');

# The worker terminated in its wait, at one commit after the other: interrupted (or ended, at the last), and resumed.
for my $commit (1, 2, 3, 5, 8, 12)
{
	my $db = "ended_$commit";
	$m->copy_database('seed', $db);
	standby_wanted(1);
	$client = $m->session($db);
	$client->send('SELECT migration_upgrade()');
	my $seen = 0;
	while ($at = waiting_commit($db, sub { $client->done }))
	{
		my $how = $at->[2] =~ /executor/ && ++$seen == $commit ? 'terminate' : 'cancel';
		end_wait($how, $at);
		last if $how eq 'terminate';
	}
	is($seen, $commit, "terminated in wait $commit");
	applied_is_real($db, "terminated in wait $commit: ledger and schema agree");
	standby_wanted(0);
	# Whoever waited learns of it, or had been answered; nothing hangs.
	$client->result(60);
	$client->close;
	$m->until_sql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE datname = '$db' AND backend_type LIKE 'migration_ext%'", '0');
	my $state = $m->state($db);
	like($state, qr/^(queued|interrupted|paused|pending|unstamped)$/, "terminated in wait $commit: $state");
	my $again = $state =~ /^(queued|interrupted|paused)$/ ? $m->resume($db) : $m->attempt($db, 'SELECT migration_upgrade()');
	ok($again->{ok}, "terminated in wait $commit: goes on") or diag($again->{err});
	all_is_well($db, "terminated in wait $commit");
}

# The server crashes while the commit of a batch waits: that batch is done, and is not done again.
$m->copy_database('seed', 'crashed');
$m->sql('crashed', "SELECT migration_upgrade('b1')");
standby_wanted(1);
$client = $m->session('crashed');
$client->send('SELECT migration_upgrade()');
for (;;)
{
	$at = waiting_commit('crashed', sub { $client->done }) || last;
	last if $m->sql('crashed', 'SELECT count(*) FROM item WHERE n = 1') ne '0';
	end_wait('cancel', $at);
}
is($m->sql('crashed', "SELECT wait_event FROM pg_stat_activity WHERE datname = 'crashed' AND backend_type = 'migration_ext executor'"), 'SyncRep', 'the batch is committed here and waits');
$m->node->stop('immediate');
$client->close;
$m->node->start;
$m->until_up;
is($m->state('crashed'), 'interrupted', 'crash in the wait: interrupted');
is($m->sql('crashed', 'SELECT count(*) FROM item WHERE n = 1'), $m->sql('crashed', 'SELECT rows_done FROM migration_ext.job'), 'crash in the wait: rows as the ledger says');
standby_wanted(0);
is($m->resume('crashed')->{out}, 'succeeded', 'crash in the wait: resumed');
all_is_well('crashed', 'crash in the wait');

$m->node->stop;
done_testing();
