# F47: eight processes of an application start at once and each calls migration_upgrade().
#
# Exactly one run, eight successes, whether a worker does it or the calling session; two targets at once: MX040 for the
# later one, naming the run.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('deployers');
$m->seed('seed');
$m->copy_database('seed', 'undisturbed');
$m->sql('undisturbed', 'SELECT migration_upgrade()');

sub eight
{
	my ($db, $name) = @_;
	my @sessions = map { $m->session($db) } 1 .. 8;
	$_->send('SELECT migration_upgrade()') for @sessions;
	my @results = map { $_->result } @sessions;
	my @failed = grep { !$_->{ok} } @results;
	is(scalar @failed, 0, "$name: eight successes") or diag(map { $_->{err} } @failed);
	$_->close for @sessions;
	return map { $_->{out} } grep { $_->{out} ne '' } @results;
}

for my $round (1 .. 3)
{
	$m->copy_database('seed', 'work');
	my %runs = map { $_ => 1 } eight('work', "worker $round");
	is(join(',', keys %runs), '1', "worker $round: all of the same run");
	is($m->sql('work', 'SELECT count(*) FROM migration_runs()'), '1', "worker $round: which is the only one");
	is($m->sql('work', "SELECT count(*) FROM migration_log() WHERE event = 'applied'"), '5', "worker $round: each revision once");
	$m->oracle('work', "worker $round: all is well", like => 'undisturbed', probes => \%Migration::probes, rows => $Migration::rows);
	$m->drop_database('work');

	my $db = $m->new_database('plain');
	$m->register($db, 't1', undef, 'CREATE TABLE a (id int); SELECT pg_sleep(0.2);');
	$m->register($db, 't2', 't1', 'CREATE TABLE b (id int);');
	eight($db, "caller $round");
	is($m->sql($db, 'SELECT count(*) FROM migration_runs()'), '1', "caller $round: one run");
	is($m->applied($db), 't1,t2', "caller $round: applied");
	$m->oracle($db, "caller $round: all is well", probes => { t1 => "to_regclass('a') IS NOT NULL", t2 => "to_regclass('b') IS NOT NULL" });
	$m->drop_database($db);
}

# Another target while a run is under way.
$m->copy_database('seed', 'work');
my $other = $m->session('work');
$other->run('BEGIN ISOLATION LEVEL REPEATABLE READ');
$other->run('SELECT count(*) FROM pg_class');
my $first = $m->session('work');
$first->send("SELECT migration_upgrade('b3')");
$m->until_sql('work', "SELECT count(*) > 0 FROM pg_stat_progress_create_index WHERE phase = 'waiting for old snapshots'", 't');
for my $call ("migration_upgrade('b4')", "migration_upgrade('b4', wait => false)", "migration_downgrade('base')")
{
	my $r = $m->attempt('work', "SELECT $call");
	is($r->{state}, 'MX040', "$call: MX040") or diag($r->{err});
	like($r->{message}, qr/run 1 is active/, "$call: names the run");
}
my $second = $m->session('work');
$second->send("SELECT migration_upgrade('b3')");
ok($m->until_true('the second one waits', sub { $second->done; return $second->{err} =~ /joining run 1/; }, 10), 'the same target joins');
$other->run('ROLLBACK');
ok($_->result->{ok}, 'and ends with the run') for $first, $second;
is($m->applied('work'), 'b1,b2,b3', 'once');
$_->close for $other, $first, $second;
$m->node->stop;
done_testing();
