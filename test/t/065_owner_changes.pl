# A table that changes hands between two batches, and a role that is dropped: no batch runs with rights that are not the
# owner's, what is missing is said with the statements that give it, and every row is changed once.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('owner_changes');
my $db = $m->new_database('hands');
$m->sql($db, <<'S');
CREATE ROLE first_owner; CREATE ROLE second_owner; CREATE ROLE runner LOGIN; CREATE ROLE leaver LOGIN;
GRANT first_owner TO runner;
GRANT first_owner TO leaver;
CREATE SCHEMA app;
GRANT USAGE, CREATE ON SCHEMA app TO first_owner, second_owner;
GRANT USAGE ON SCHEMA app TO runner, leaver;
CREATE TABLE app.seen (id int, who text);
CREATE TABLE app.gate (open boolean NOT NULL);
GRANT INSERT ON app.seen TO PUBLIC;
GRANT SELECT ON app.gate TO PUBLIC;
CREATE FUNCTION app.look() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO app.seen VALUES (NEW.id, current_user); PERFORM pg_sleep(0.01); RETURN NEW; END';
S
$m->sql($db, "SELECT migration_grant('$_', 'operator')") for qw(runner leaver);

# The trigger is slow, so that the check is asked meanwhile: a run of `$role` that stands still after a batch or two, until the gate is opened.
sub begin_as
{
	my ($role) = @_;
	$m->sql($db, <<'S');
DROP TABLE IF EXISTS app.item;
TRUNCATE app.seen, app.gate;
INSERT INTO app.gate VALUES (false);
CREATE TABLE app.item (id int PRIMARY KEY, n int NOT NULL);
INSERT INTO app.item SELECT i, 0 FROM generate_series(1, 1000) i;
ALTER TABLE app.item OWNER TO first_owner;
CREATE TRIGGER look BEFORE UPDATE ON app.item FOR EACH ROW EXECUTE FUNCTION app.look();
GRANT SELECT ON app.item TO PUBLIC;
S
	my $session = $m->session($db, user => $role);
	my $run = $session->run(q{SELECT migration_backfill('app.item', 'n = n + 1', NULL,
		'{"max_batch_rows": 50, "passes": "off", "check": "(SELECT open FROM app.gate) OR (SELECT count(*) FROM app.item WHERE n > 0) < 100"}')})->{out};
	$session->close;
	ok($m->until_sql($db, q{SELECT count(*) >= 100 AND count(*) < 1000 FROM app.item WHERE n > 0}), "$role: some batches are done");
	ok($m->until_sql($db, q{SELECT throttled_by LIKE 'check%' FROM migration_progress() ORDER BY run_id DESC LIMIT 1}), "$role: then it waits");
	return $run;
}
sub state_of { my ($run) = @_; return $m->sql($db, "SELECT state FROM migration_ext.run WHERE run_id = $run"); }
sub stands { my ($run) = @_; return $m->until_sql($db, "SELECT state NOT IN ('queued', 'running') FROM migration_ext.run WHERE run_id = $run"); }

# ---- another owner, whose rights the run does not have ----
my $run = begin_as('runner');
$m->sql($db, 'ALTER TABLE app.item OWNER TO second_owner; UPDATE app.gate SET open = true');
ok(stands($run), 'it does not go on as somebody else');
is($m->sql($db, "SELECT sqlstate, message FROM migration_ext.run WHERE run_id = $run"),
	'42501|role "runner" cannot act as role "second_owner", the owner of table app.item', 'it says why');
my $done = $m->sql($db, 'SELECT count(*) FROM app.item WHERE n > 0');
is($m->sql($db, 'SELECT DISTINCT who FROM app.seen'), 'first_owner', 'nothing was done with other rights');
my $hint = $m->sql($db, "SELECT hint FROM migration_ext.run WHERE run_id = $run");
like($hint, qr/\AGRANT second_owner TO runner/, 'and what to type');
$m->sql($db, $hint);
is($m->sql($db, "SELECT migration_wait($run)"), 'succeeded', 'typed, it ends');
is($m->sql($db, 'SELECT count(*) FROM app.item WHERE n <> 1'), '0', 'every row once');
is($m->sql($db, 'SELECT who, count(*) FROM app.seen GROUP BY who ORDER BY who'), "first_owner|$done\nsecond_owner|" . (1000 - $done), 'each by the owner of its time');

# ---- the table becomes that of a superuser: nobody is told to hand a superuser out ----
$run = begin_as('runner');
$m->sql($db, 'ALTER TABLE app.item OWNER TO postgres; UPDATE app.gate SET open = true');
ok(stands($run), 'it does not go on as a superuser');
like($m->sql($db, "SELECT hint FROM migration_ext.run WHERE run_id = $run"), qr/\AALTER TABLE app\.item OWNER TO runner;\nSELECT migration_resume\($run\);\z/, 'the table can change hands');
is($m->sql($db, q{SELECT count(*) FROM app.seen WHERE who <> 'first_owner'}), '0', 'nothing was done as a superuser');
$m->sql($db, "SELECT migration_cancel($run)");

# ---- the role of the run is dropped ----
$run = begin_as('leaver');
$done = $m->sql($db, 'SELECT count(*) FROM app.item WHERE n > 0');
$m->sql($db, "SELECT migration_pause($run)");
ok(stands($run), 'it is paused');
$m->sql($db, 'DROP OWNED BY leaver; DROP ROLE leaver; UPDATE app.gate SET open = true');
my $r = $m->attempt($db, "SELECT migration_resume($run)");
unless ($r->{ok})
{
	is($r->{state}, '42704', 'resumed, it is refused: there is no such role');
}
else
{
	ok(stands($run), 'resumed, it does not go on');
	is($m->sql($db, "SELECT sqlstate FROM migration_ext.run WHERE run_id = $run"), '42704', 'there is no such role');
	$r->{hint} = $m->sql($db, "SELECT hint FROM migration_ext.run WHERE run_id = $run");
}
like($r->{hint}, qr/\ASELECT migration_cancel\($run\);/, 'and what to type');
is($m->sql($db, 'SELECT count(*) FROM app.item WHERE n > 0'), $done, 'nothing was done meanwhile');
$m->sql($db, $r->{hint});
is(state_of($run), 'cancelled', 'typed, it is out of the way');
$m->node->stop;
done_testing();
