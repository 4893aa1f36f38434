# F25, F26, F27: the role of a run is dropped, loses its privilege, or may no longer log in.
#
# Such a run fails with a state that says why, changes nothing, and others are not affected; given back what it needs (or
# resumed by somebody who may) it goes on.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('roles');
$m->sql('postgres', 'CREATE ROLE deployer LOGIN');

# A database where deployer owns a table and has a run paused in the middle.
sub paused_run
{
	my ($db) = @_;
	$m->new_database($db);
	$m->sql($db, "SELECT migration_grant('deployer', 'author'); SELECT migration_grant('deployer', 'operator'); GRANT ALL ON SCHEMA public TO deployer");
	$m->sql($db, 'CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO item SELECT generate_series(1, 100)', user => 'deployer');
	$m->register($db, 'r1', undef, 'CREATE INDEX CONCURRENTLY item_n ON item (n); UPDATE item SET n = n + 1; ALTER TABLE item ADD COLUMN a int;', user => 'deployer');
	my $other = $m->session($db);
	$other->run('BEGIN ISOLATION LEVEL REPEATABLE READ');
	$other->run('SELECT count(*) FROM pg_class');
	$m->sql($db, 'SELECT migration_upgrade(wait => false)', user => 'deployer');
	$m->until_sql($db, "SELECT count(*) > 0 FROM pg_stat_progress_create_index WHERE phase = 'waiting for old snapshots'", 't');
	$m->sql($db, 'SELECT migration_pause()', user => 'deployer');
	$other->run('ROLLBACK');
	$other->close;
	$m->until_state($db, 'paused');
	return;
}
my $rows = 'SELECT count(*) FROM item WHERE n <> 1';
my %probe = (r1 => "EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'item'::regclass AND attname = 'a')");

# F26: the table belongs to somebody else now.
paused_run('lost');
$m->sql('lost', 'ALTER TABLE item OWNER TO postgres');
my $r = $m->attempt('lost', 'SELECT migration_resume(); SELECT migration_wait()', user => 'deployer');
is($r->{state}, '42501', 'privilege lost: 42501') or diag($r->{err});
is($m->state('lost'), 'failed', 'privilege lost: failed');
$m->oracle('lost', 'privilege lost: nothing is half done beyond its finished steps', probes => \%probe, rows => 'SELECT count(*) FROM item WHERE n <> 0');
$m->sql('lost', 'ALTER TABLE item OWNER TO deployer');
$r = $m->attempt('lost', 'SELECT migration_resume(); SELECT migration_wait()', user => 'deployer');
ok($r->{ok}, 'privilege given back: it goes on') or diag($r->{err});
$m->oracle('lost', 'and ends well', probes => \%probe, rows => $rows);

# F27: NOLOGIN, and no CONNECT.
for my $case ([ 'nologin', 'ALTER ROLE deployer NOLOGIN', 'ALTER ROLE deployer LOGIN' ],
	[ 'noconnect', 'REVOKE CONNECT ON DATABASE noconnect FROM PUBLIC', 'GRANT CONNECT ON DATABASE noconnect TO PUBLIC' ])
{
	my ($db, $take, $give) = @$case;
	paused_run($db);
	my $s = $m->session($db, user => 'deployer');
	$m->sql('postgres', $take);
	$s->run('SELECT migration_resume()');
	# The worker cannot start: the run must not look as if it were under way.
	ok($m->until_sql($db, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'migration_ext executor'", '0'), "$db: no worker stays");
	like($m->state($db), qr/^(queued|failed|paused)$/, "$db: state");
	like($m->sql($db, 'SELECT hint FROM migration_status()'), qr/migration_resume/, "$db: status says what to do");
	# A superuser resumes it: the worker logs in as them and becomes the role.
	$r = $m->resume($db);
	ok($r->{ok}, "$db: a superuser can go on with it") or diag($r->{err});
	$m->sql('postgres', $give);
	is($m->sql($db, "SELECT tableowner FROM pg_tables WHERE tablename = 'item'"), 'deployer', "$db: as the role");
	is($m->sql($db, "SELECT rolname FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE relname = 'item_n'"), 'deployer', "$db: with its objects");
	$s->close;
	$m->oracle($db, "$db: all is well", probes => \%probe, rows => $rows);
}

# F25: the role is dropped; another database's run is not affected.
paused_run('gone');
paused_run('other');
$m->sql('other', 'SELECT migration_resume()', user => 'deployer');
ok($m->until_state('other', 'up to date'), 'role dropped: the other run ends');
for my $db ('gone', 'lost', 'nologin', 'noconnect', 'other') { $m->sql($db, 'REASSIGN OWNED BY deployer TO postgres; DROP OWNED BY deployer'); }
$m->sql('postgres', 'DROP ROLE deployer');
is($m->state('gone'), 'paused', 'role dropped: the run is where it was');
$r = $m->attempt('gone', 'SELECT migration_resume()');
is($r->{state}, '42704', 'role dropped: a plain resume is refused') or diag($r->{err});
like($r->{message} . $r->{detail}, qr/deployer/, 'role dropped: and names it');
my ($hint) = $r->{hint} =~ /(SELECT [^;]*;)/;
ok(defined $hint && $m->attempt('gone', $hint)->{ok}, 'role dropped: the hint works') or diag($r->{err});
$m->oracle('gone', 'role dropped: nothing left behind');
$m->node->stop;
done_testing();
