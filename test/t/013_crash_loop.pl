# F22: a step that takes the server down each time is given up after three crashes, with MX012, and does not spin.
#
# The launcher resumes by itself, so a step that crashes the server would otherwise crash it for ever. A person can still
# resume it, after the cause is gone. The WAL writer sleeps: what counts the crashes must be on disk before the step begins.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('loop', preload => 1, conf => 'wal_writer_delay = 10s');
$m->seed('seed');
$m->copy_database('seed', 'undisturbed');
$m->sql('undisturbed', 'SELECT migration_upgrade()');

# A transactional step, a backfill and a concurrent one. The setting stays on for workers started by the launcher.
for my $point ('step:before:1', 'step:before_commit:4', 'backfill:batch:2', 'step:before:3')
{
	my ($step) = $point =~ /(\d+)$/;
	$m->copy_database('seed', 'loop');
	$m->sql('postgres', "ALTER DATABASE loop SET migration_ext.crash_at = '$point'");
	$m->sql('postgres', 'ALTER DATABASE loop SET synchronous_commit = off') if $point =~ /^step/;
	$m->attempt('loop', 'SELECT migration_upgrade()');
	ok($m->until_sql('loop', "SELECT state FROM migration_runs() LIMIT 1", 'failed', 40), "$point: the run is given up");
	is($m->sql('loop', 'SELECT sqlstate FROM migration_runs() LIMIT 1'), 'MX012', "$point: with MX012");
	my $crashes = $m->sql('loop', "SELECT count(*) FROM migration_log() WHERE event = 'started'") - 1;
	ok($crashes >= 3 && $crashes <= 4, "$point: after three or four crashes") or diag("crashes: $crashes");
	like($m->sql('loop', 'SELECT hint FROM migration_status()'), qr/migration_resume\(1\)/, "$point: status says what to do");
	$m->sql('postgres', 'ALTER DATABASE loop RESET migration_ext.crash_at');
	my $r = $m->resume('loop');
	is($r->{out}, 'succeeded', "$point: resumed when the cause is gone") or diag($r->{err});
	$m->oracle('loop', "$point: all is well", like => 'undisturbed', probes => \%Migration::probes, rows => $Migration::rows);
	$m->drop_database('loop');
}
$m->node->stop;
done_testing();
