# F16: a batch and an application transaction lock two rows in opposite order.
#
# One of them is the victim (40P01). If it is the worker, it tries again by itself; either way the run ends well and each
# row is changed once by the backfill.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

# The worker looks for deadlocks first, when the application has had time to make one; that has more patience.
my $m = Migration->new('deadlock');
my $db = $m->new_database('dead');
$m->sql($db, 'CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO item SELECT generate_series(1, 100)');
$m->register($db, 'd1', undef, 'UPDATE item SET n = n + 1;');
$m->sql('postgres', "ALTER DATABASE $db SET deadlock_timeout = '3s'");
my $app = $m->session($db);
$app->run("SET deadlock_timeout = '60s'");
$app->run('BEGIN');
$app->run('SELECT FROM item WHERE id = 50 FOR UPDATE');
my $client = $m->session($db);
$client->run("SET migration_ext.lock_timeout = '30s'");
$client->send('SELECT migration_upgrade()');
# The worker holds rows 1 to 49 and waits for 50; now the application wants 1.
$m->until_sql($db, "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'migration_ext executor' AND wait_event_type = 'Lock'", 't');
my $r = $app->run('UPDATE item SET n = n WHERE id = 1');
ok($r->{ok}, 'the application is not the victim') or diag($r->{err});
$app->run('COMMIT');
$r = $client->result;
ok($r->{ok}, 'the run ends well') or diag($r->{err});
cmp_ok($m->sql($db, "SELECT count(*) FROM migration_log() WHERE event = 'retry' AND sqlstate = '40P01'"), '>=', 1, 'our side was the victim and tried again');
$m->oracle($db, 'each row once', rows => 'SELECT count(*) FROM item WHERE n <> 1');
$_->close for $app, $client;
$m->node->stop;
done_testing();
