# F1, F2: SIGKILL of the worker at every boundary of transactional, validating and backfill steps; resumed by hand.
#
# Without shared_preload_libraries nothing starts again by itself: the run must be seen as interrupted, and
# migration_resume() must bring it to where an undisturbed run ends, with each row changed once.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('crash');
$m->seed('seed');
$m->copy_database('seed', 'undisturbed');
$m->sql('undisturbed', 'SELECT migration_upgrade()');
$m->oracle('undisturbed', 'the undisturbed run', probes => \%Migration::probes, rows => $Migration::rows);

my @points = $m->crash_points('seed');
cmp_ok(scalar @points, '>=', 25, 'the plan has every kind of step');
$m->crash_case($_->[0]) for grep { $_->[1] ne 'concurrent' } @points;

$m->node->stop;
done_testing();
