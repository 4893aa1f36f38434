# F1, F8: SIGKILL of the worker at every boundary of statements that commit inside themselves; resumed by hand.
#
# CREATE, DROP and REINDEX INDEX CONCURRENTLY, DETACH PARTITION CONCURRENTLY and the walk over a partitioned table can be
# seen from the catalogs and cleaned or finished, never done twice, and the result must be that of an undisturbed run.
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
$m->crash_case($_->[0]) for grep { $_->[1] eq 'concurrent' } @points;

$m->node->stop;
done_testing();

