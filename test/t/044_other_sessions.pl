# What other sessions see of a run in the background: notifications, a refusal when they want to go elsewhere, progress when
# they join.
#
# NOTIFY: every event arrives on channel migration_ext as a JSON object of run, event, revision, step and sqlstate. MX040: a
# call for another target, in the other direction or without waiting is refused at once, names the run and does nothing.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use JSON::PP;
use Test::More;

my $m = Migration->new('others');
$m->new_database('work');
$m->sql('work', 'CREATE TABLE item (id int PRIMARY KEY, n int); INSERT INTO item SELECT i, i FROM generate_series(1, 100) i');
$m->register('work', 'n1', undef, 'CREATE TABLE made (id int); CREATE INDEX CONCURRENTLY item_n ON item (n);');
$m->register('work', 'n2', 'n1', 'CREATE TABLE more (id int);');
$m->register('work', 'n3', 'n2', 'SELECT 1 / 0;');

# Held in the index build.
my $reader = $m->session('work');
$reader->run('BEGIN ISOLATION LEVEL REPEATABLE READ');
$reader->run('SELECT count(*) FROM pg_class');
my $listener = $m->session('work');
$listener->run('LISTEN migration_ext');
my $first = $m->session('work');
$first->send(q{SELECT migration_upgrade('n1')});
$m->until_sql('work', "SELECT count(*) > 0 FROM pg_stat_progress_create_index WHERE phase = 'waiting for old snapshots'", 't');
my $pid = $m->worker_pid('work');
for my $case (
	[ 'another target', q{SELECT migration_upgrade('n2')} ], [ 'another target, queued', q{SELECT migration_upgrade('n2', wait => false)} ],
	[ 'the same target, queued', q{SELECT migration_upgrade('n1', wait => false)} ], [ 'another direction', q{SELECT migration_downgrade('base')} ],
	[ 'plain forms', q{SELECT migration_upgrade('n2', online => false)} ])
{
	my ($name, $call) = @$case;
	my $r = $m->attempt('work', $call);
	is($r->{state}, 'MX040', "$name: MX040") or diag($r->{err} . $r->{out});
	is($r->{message}, q{run 1 is active: upgrade to 'n1'}, "$name: names the run");
	like($r->{detail}, qr/process $pid\.$/, "$name: and its process");
	is($r->{hint}, 'SELECT migration_wait(1);', "$name: and what to type");
}
my $second = $m->session('work');
$second->send(q{SELECT migration_upgrade('n1')});
$m->until_sql('work', q{SELECT count(*) = 2 FROM pg_stat_activity WHERE query LIKE 'SELECT migration_upgrade(''n1'')%' AND state = 'active'}, 't');
select(undef, undef, undef, 1.5);
$reader->run('ROLLBACK');
my $r = $first->result(20);
is($r->{out}, '1', 'the first gets there') or diag($r->{err});
$r = $second->result(20);
is($r->{out}, '1', 'the second joins it') or diag($r->{err});
like($r->{err}, qr/NOTICE:.*joining run 1 to 'n1'/, 'the second is told that it joins');
like($r->{err}, qr/NOTICE:.*run 1: step \d of revision "n1" done/, 'and what is done');
like($r->{err}, qr/NOTICE:.*run 1: revision "n1" applied/, 'and applied');
unlike($r->{err}, qr/step \d+: step/, 'in words');
$m->attempt('work', 'SELECT migration_upgrade()');

# What was heard, in the order of the log.
$r = $listener->run('SELECT 1');
my @payloads = map { decode_json($_) } ($r->{out} . $r->{err}) =~ /"migration_ext" with payload "(\{.*\})" received/g;
is(join(' ', map { $_->{event} } @payloads), $m->sql('work', q{SELECT string_agg(event, ' ' ORDER BY event_id) FROM migration_log()}), 'every event of the log is notified')
	or diag($r->{out} . $r->{err});
my %keys = map { $_ => 1 } map { keys %$_ } @payloads;
ok(!(grep { !/^(run|event|revision|step|sqlstate)$/ } keys %keys), 'the payload has these keys only') or diag(join ' ', sort keys %keys);
is_deeply($payloads[0], { run => 1, event => 'queued' }, 'what is not known is left out');
my ($applied) = grep { $_->{event} eq 'applied' } @payloads;
is_deeply([ @$applied{qw(run revision step)} ], [ 1, 'n1', 2 ], 'an applied revision');
$m->sql('work', 'SET migration_ext.notify = off; SELECT migration_stamp(\'heads\')');
$r = $listener->run('SELECT 1');
unlike($r->{out} . $r->{err}, qr/payload/, 'silent with migration_ext.notify off');
$_->close for $reader, $listener, $first, $second;
$m->node->stop;
done_testing();
