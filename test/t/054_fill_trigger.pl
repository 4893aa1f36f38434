# F6, F31, F33: rows written while a backfill runs, by code that does not know the column yet.
#
# The old application goes on inserting rows without the column and moving others, as does replication (replica role). A
# gate, a revision that waits, keeps the run before SET NOT NULL until the old application is gone, as a deployment would.
# Without the fill trigger SET NOT NULL meets a gap; with it there is none and no transaction of the application fails.
# Then the trigger itself: disabled, dropped, made again; the server killed under it; the extension gone.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $m = Migration->new('fills', conf => 'fsync = off');
my $node = $m->node;
$m->new_database('seed');
$m->sql('seed', q{
CREATE FUNCTION slow(x bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS
  'BEGIN IF x % 6 = 0 THEN PERFORM pg_sleep(0.001); END IF; RETURN x; END';
CREATE SEQUENCE ids START 1000000;
CREATE TABLE work (id bigint PRIMARY KEY DEFAULT nextval('ids'), n int NOT NULL DEFAULT 0, c text, filler text NOT NULL DEFAULT repeat('x', 200));
INSERT INTO work (id) SELECT i FROM generate_series(1, 12000) i;
CREATE TABLE gate (open boolean);
CREATE FUNCTION wait_at_gate() RETURNS void LANGUAGE plpgsql AS
  'BEGIN WHILE NOT EXISTS (SELECT FROM gate) LOOP PERFORM pg_sleep(0.02); END LOOP; END';
});

my %scripts = (
	insert => "INSERT INTO work (n) VALUES (1);\n",
	move   => "\\set id random(1, 12000)\nUPDATE work SET n = n + 1 WHERE id = :id;\n",
	clear  => "\\set id random(1, 12000)\nUPDATE work SET c = NULL WHERE id = :id;\n",
	apply  => "SET session_replication_role = replica;\nINSERT INTO work (n) VALUES (2);\nRESET session_replication_role;\n");
for my $name (keys %scripts) { append_to_file($node->basedir . "/$name.sql", $scripts{$name}); }

sub start_load
{
	my ($db, $seconds) = @_;
	my $load = { out => '', err => '' };
	$load->{h} = IPC::Run::start(
		[ 'pgbench', '-n', '-c', '4', '-T', $seconds, '-R', '400', (map { ('-f', $node->basedir . "/$_.sql") } sort keys %scripts), '-h', $node->host, '-p', $node->port, $db ],
		'>', \$load->{out}, '2>', \$load->{err});
	return $load;
}

my $number = 0;
sub fresh { return $m->copy_database('seed', 'd' . ++$number); }

sub register
{
	my ($db, $options) = @_;
	$m->sql($db, qq{
SELECT migration_register('a', 'fill', NULL, \$u\$SELECT migration_backfill('work', 'c = ''f'' || slow(id)', 'c IS NULL', '$options')\$u\$, 'SELECT 1');
SELECT migration_register('b', 'deploy', 'a', 'SELECT wait_at_gate()', 'SELECT 1');
SELECT migration_register('z', 'rely', 'b', 'ALTER TABLE work ALTER c SET NOT NULL', 'SELECT 1');
SET migration_ext.batch_target = '10ms';
SELECT migration_upgrade('z', wait => false)});
	return;
}

sub outcome
{
	my ($db) = @_;
	my $state = '';
	$m->until_true("the run in $db ends", sub {
		$state = $m->sql($db, q{SELECT state || ' ' || coalesce(sqlstate, '') FROM migration_runs() ORDER BY run_id DESC LIMIT 1});
		return $state !~ /^(queued|running)/; }, 90);
	return $state =~ s/ $//r;
}

my $at_gate = q{SELECT EXISTS (SELECT FROM migration_ext.step WHERE statements[1] LIKE '%wait_at_gate%' AND state = 'running')};
my $triggers = q{SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'zzz\_migration\_fill\_%'};
my $functions = q{SELECT count(*) FROM pg_proc WHERE proname LIKE 'zzz\_migration%'};
my $middle = q{SELECT blocks_done BETWEEN 1 AND blocks_total - 50 FROM migration_ext.job};

# ---- under load, without and with ----

for my $case ([ 'off', 'failed 23502' ], [ 'auto', 'succeeded' ])
{
	my ($trigger, $expected) = @$case;
	my $db = fresh();
	my $load = start_load($db, 8);
	$m->until_sql($db, 'SELECT count(*) > 12010 FROM work');
	register($db, qq({"trigger": "$trigger"}));
	ok($m->until_sql($db, $at_gate), "trigger $trigger: the backfill ends under load");
	my $n = $m->sql($db, 'SELECT count(*) FROM work');
	# Without the trigger some of what comes now is a gap.
	$m->until_sql($db, $trigger eq 'off' ? 'SELECT count(*) > 0 FROM work WHERE c IS NULL' : "SELECT count(*) > $n FROM work");
	ok($load->{h}->pumpable, "trigger $trigger: the application outlives the backfill");
	$load->{h}->finish;
	is($load->{h}->result(0), 0, "trigger $trigger: no transaction of the application failed") or diag($load->{err});
	unlike($load->{err}, qr/ERROR|aborted/, "trigger $trigger: and none was aborted");
	my $gaps = $m->sql($db, 'SELECT count(*) FROM work WHERE c IS NULL');
	note "trigger $trigger: $gaps gaps";
	if ($trigger eq 'off') { cmp_ok($gaps, '>', 0, 'without the trigger there are gaps'); }
	else { is($gaps, '0', 'with the trigger there is none'); }
	is($m->sql($db, q{SELECT count(*) FROM work WHERE c <> 'f' || id}), '0', "trigger $trigger: filled is what the statement fills");
	$m->sql($db, 'INSERT INTO gate VALUES (true)');
	is(outcome($db), $expected, "trigger $trigger: SET NOT NULL");
	is($m->sql($db, $triggers) + $m->sql($db, $functions), 0, "trigger $trigger: nothing is left") if $trigger eq 'auto';
	$m->drop_database($db);
}

# ---- disabled or dropped under the run ----

for my $harm ('ALTER TABLE work DISABLE TRIGGER USER', 'DROP FUNCTION %s() CASCADE', 'ALTER TABLE work ENABLE TRIGGER %s')
{
	my $db = fresh();
	register($db, '{}');
	$m->until_sql($db, $middle);
	my $name = $m->sql($db, q{SELECT tgname FROM pg_trigger WHERE tgname LIKE 'zzz%'});
	$m->sql($db, sprintf($harm, $name));
	is(outcome($db), 'failed 55000', "$harm: the run stops");
	my $said = $m->sql($db, 'SELECT message, hint FROM migration_runs() ORDER BY run_id DESC LIMIT 1');
	like($said, qr/the fill trigger $name on public\.work was disabled or dropped/, "$harm: and says so");
	like($said, qr/SELECT migration_resume\(1\);/, "$harm: with what to do");
	# Rows that go where the backfill has been.
	$m->sql($db, 'SET session_replication_role = replica; DELETE FROM work WHERE id <= 50; VACUUM work; INSERT INTO work (id) SELECT generate_series(1, 50)');
	$m->sql($db, 'SELECT migration_resume(); INSERT INTO gate VALUES (true)');
	is(outcome($db), 'succeeded', "$harm: resumed, it goes on");
	is($m->sql($db, q{SELECT count(*) FROM work WHERE c IS DISTINCT FROM 'f' || id}), '0', "$harm: every row is filled");
	is($m->sql($db, $triggers) + $m->sql($db, $functions), 0, "$harm: nothing is left");
	$m->drop_database($db);
}

# ---- killed under the run ----

{
	my $db = fresh();
	register($db, '{}');
	$m->until_sql($db, $middle);
	my $pid = $m->worker_pid($db);
	kill 'KILL', $pid;
	# Until the server has noticed it goes on answering.
	$m->until_true('the worker is gone', sub { return !kill 0, $pid; });
	$m->until_up($db);
	is($m->sql($db, $triggers), '1', 'killed: the trigger stands');
	$m->sql($db, 'INSERT INTO work (n) SELECT 3 FROM generate_series(1, 100)');
	is($m->sql($db, 'SELECT count(*) FROM work WHERE n = 3 AND c IS NULL'), '0', 'killed: and fills');
	$m->sql($db, 'INSERT INTO gate VALUES (true); SELECT migration_resume()');
	is(outcome($db), 'succeeded', 'killed: resumed, it goes on');
	is($m->sql($db, q{SELECT count(*) FROM work WHERE c IS DISTINCT FROM 'f' || id}), '0', 'killed: every row is filled');
	is($m->sql($db, $triggers) + $m->sql($db, $functions), 0, 'killed: nothing is left');
	$m->drop_database($db);
}

# ---- given up, and the extension gone with its library ----

{
	my $db = fresh();
	register($db, '{}');
	$m->until_sql($db, $middle);
	$m->sql($db, 'SELECT migration_cancel()');
	is(outcome($db), 'cancelled 57014', 'cancelled');
	is($m->sql($db, $triggers), '1', 'cancelled: the trigger is left');
	is($m->sql($db, q{SELECT count(*) FROM migration_check() WHERE code = 'fill_trigger'}), '1', 'cancelled: migration_check lists it');
	is($m->sql($db, q{SELECT count(*) FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid WHERE p.proname LIKE 'zzz%' AND (d.deptype = 'e' OR d.refclassid = 'pg_extension'::regclass)}), '0', 'it belongs to no extension');
	my $hint = $m->sql($db, q{SELECT hint FROM migration_check() WHERE code = 'fill_trigger'});
	$m->sql($db, 'DROP EXTENSION migration_ext CASCADE');
	$m->sql($db, "INSERT INTO work (id) VALUES (7000000)");
	is($m->sql($db, 'SELECT c FROM work WHERE id = 7000000'), 'f7000000', 'without the extension it still fills');
	$m->sql($db, 'CREATE ROLE writer LOGIN; GRANT INSERT ON work TO writer; CREATE SCHEMA elsewhere');
	$m->sql($db, q{SET search_path = elsewhere; INSERT INTO public.work (id) VALUES (7000001)}, user => 'writer');
	is($m->sql($db, 'SELECT c FROM work WHERE id = 7000001'), 'f7000001', 'also for another role and path');
	$m->sql($db, $hint);
	is($m->sql($db, $triggers) + $m->sql($db, $functions), 0, 'the hint removes it');
	$m->drop_database($db);
}

# ---- the constraint of the proof is dropped under the run ----

{
	my $db = fresh();
	register($db, '{"verify": "constraint"}');
	$m->until_sql($db, $middle);
	my $name = $m->sql($db, q{SELECT conname FROM pg_constraint WHERE conname LIKE 'zzz_migration_check%'});
	$m->sql($db, "ALTER TABLE work DROP CONSTRAINT $name");
	is(outcome($db), 'failed 55000', 'verify constraint: without it the run stops');
	like($m->sql($db, 'SELECT message, hint FROM migration_runs() ORDER BY run_id DESC LIMIT 1'),
		qr/the constraint $name on public\.work was dropped.*SELECT migration_resume\(1\);/, 'verify constraint: and says so');
	$m->sql($db, 'SELECT migration_resume(); INSERT INTO gate VALUES (true)');
	is(outcome($db), 'succeeded', 'verify constraint: resumed, it is made again and goes on');
	is($m->sql($db, q{SELECT count(*) FROM work WHERE c IS DISTINCT FROM 'f' || id}), '0', 'verify constraint: every row is filled');
	is($m->sql($db, q{SELECT count(*) FROM pg_constraint WHERE conname LIKE 'zzz%'}), '0', 'verify constraint: nothing is left');
	$m->drop_database($db);
}

# ---- verify => scan: what cannot be filled is told ----

{
	my $db = fresh();
	$m->sql($db, q{CREATE FUNCTION stubborn() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.id IN (7, 4000) THEN NEW.c := NULL; END IF; RETURN NEW; END';
CREATE TRIGGER stubborn BEFORE UPDATE ON work FOR EACH ROW EXECUTE FUNCTION stubborn()});
	register($db, '{"verify": "scan", "trigger": "off"}');
	is(outcome($db), 'failed 55000', 'verify scan: rows that stay as they are');
	like($m->sql($db, 'SELECT message, detail FROM migration_runs() ORDER BY run_id DESC LIMIT 1'),
		qr/not proven: 2 rows still meet its condition.*ctid \(\d+,\d+\) of public\.work/, 'verify scan: how many, and one of them');
	$m->sql($db, 'DROP TRIGGER stubborn ON work; INSERT INTO gate VALUES (true); SELECT migration_resume()');
	is(outcome($db), 'succeeded', 'verify scan: resumed, it goes on');
	is($m->sql($db, 'SELECT count(*) FROM work WHERE c IS NULL'), '0', 'verify scan: every row is filled');
}

$node->stop;
done_testing();
