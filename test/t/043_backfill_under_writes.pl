# A backfill by blocks reaches every row, whatever the application moves while it runs.
#
# Rows are wide and pages full, so every update of the application puts a new version on another page: often one that the
# backfill has passed. The CHECK and SET NOT NULL that follow in the same revision only succeed when no row was missed.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('writes');
$node->init;
$node->append_conf('postgresql.conf', "max_worker_processes = 16\nfsync = off\n");
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION migration_ext;
CREATE TABLE wide (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, filler text NOT NULL);
INSERT INTO wide SELECT g, 0, repeat('x', 200) FROM generate_series(1, 60000) g;
});
my $script = $node->basedir . '/touch.sql';
append_to_file($script, "\\set id random(1, 60000)\nUPDATE wide SET n = n + 1 WHERE id = :id;\n");
my ($out, $err) = ('', '');
my $load = IPC::Run::start(
	[ 'pgbench', '-n', '-c', '4', '-T', '60', '-f', $script, '-h', $node->host, '-p', $node->port, 'postgres' ],
	'>', \$out, '2>', \$err);
$node->poll_query_until('postgres', 'SELECT sum(n) > 500 FROM wide') or BAIL_OUT('no load');

$node->safe_psql('postgres', q{
SET migration_ext.batch_target = '10ms';
SELECT migration_register('w1', 'region', NULL, $up$
ALTER TABLE wide ADD COLUMN region text;
UPDATE wide SET region = 'r' || id WHERE region IS NULL;
ALTER TABLE wide ALTER COLUMN region SET NOT NULL;
$up$);
SELECT migration_upgrade();
});
is($node->safe_psql('postgres', 'SELECT count(*) FROM wide WHERE region IS DISTINCT FROM $$r$$ || id'), '0', 'every row is filled');
cmp_ok($node->safe_psql('postgres', 'SELECT batches FROM migration_ext.job'), '>', 5, 'in many batches');
my $touched = $node->safe_psql('postgres', 'SELECT sum(n) FROM wide');
cmp_ok($touched, '>', 500, 'under load');
$load->signal('TERM');
$load->finish;
$node->stop;
done_testing();
