# F1, F14: SIGKILL of the worker with migration_ext in shared_preload_libraries: the run resumes by itself.
#
# After the crash restart the launcher looks into each database and hands what was cut off to a new worker. Nobody calls
# anything. One step of each kind is enough here: 010 and 011 go through all of them.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('launcher', preload => 1);
$m->seed('seed');
$m->copy_database('seed', 'undisturbed');
$m->sql('undisturbed', 'SELECT migration_upgrade()');
my %seen;
my @points = grep { my $at = $_->[0] =~ s/:\d+$//r; !$seen{"$at $_->[1]"}++ } $m->crash_points('seed');
cmp_ok(scalar @points, '>=', 16, 'one point of each sort');
$m->crash_case($_->[0]) for @points;
$m->node->stop;
done_testing();
