# F60: an event trigger (as another extension's hook would) raises an error in a step.
#
# The step fails with what was raised, nothing of it stays, the run can be resumed when the trigger is gone. Both in the
# calling session and in a worker.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('hooks');
$m->seed('seed');
$m->copy_database('seed', 'undisturbed');
$m->sql('undisturbed', 'SELECT migration_upgrade()');
my $raise = q{CREATE FUNCTION no_more() RETURNS event_trigger LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION 'no % today', tg_tag USING ERRCODE = 'P7777'; END $f$;};

for my $case ([ 'ALTER TABLE', '1', 'ddl_command_start', '' ], [ 'CREATE INDEX', '3', 'ddl_command_start', 'b1,b2' ],
	[ 'CREATE INDEX', '3', 'ddl_command_end', 'b1,b2' ], [ 'DROP INDEX', '7', 'sql_drop', 'b1,b2,b3,b4' ])
{
	my ($tag, $step, $event, $applied) = @$case;
	my $name = "$tag, $event";
	$m->copy_database('seed', 'work');
	$m->sql('work', $raise . "CREATE EVENT TRIGGER no_more ON $event WHEN tag IN ('$tag') EXECUTE FUNCTION no_more()");
	my $r = $m->attempt('work', 'SELECT migration_upgrade()');
	is($r->{state}, 'P7777', "$name: the error is passed on") or diag($r->{err});
	like($r->{message}, qr/step $step .*no $tag today/, "$name: with its place");
	is($m->applied('work'), $applied, "$name: applied are the revisions before it");
	is($m->state('work'), 'failed', "$name: failed");
	# DROP INDEX CONCURRENTLY has made it INVALID before the trigger is asked; then it must be named.
	my $left = $m->invalid_indexes('work');
	my $named = $m->sql('work', "SELECT count(*) FROM migration_check() WHERE object ~ 'item_note'");
	ok($left eq '' || ($tag eq 'DROP INDEX' && $left eq 'item_note invalid' && $named eq '1'), "$name: no INVALID index is left unnamed") or diag("$left, named: $named");
	$m->sql('work', 'DROP EVENT TRIGGER no_more; DROP FUNCTION no_more()');
	$r = $m->resume('work');
	is($r->{out}, 'succeeded', "$name: resumed when it is gone") or diag($r->{err});
	$m->oracle('work', "$name: all is well", like => 'undisturbed', probes => \%Migration::probes, rows => $Migration::rows);
	$m->drop_database('work');
}

# In the calling session: the whole migration is rolled back.
my $db = $m->new_database('here');
$m->register($db, 'h1', undef, 'CREATE TABLE a (id int); CREATE VIEW v AS SELECT * FROM a;');
$m->sql($db, $raise . "CREATE EVENT TRIGGER no_more ON ddl_command_end WHEN tag IN ('CREATE VIEW') EXECUTE FUNCTION no_more()");
my $r = $m->attempt($db, 'SELECT migration_upgrade()');
is($r->{state}, 'P7777', 'session: the error is passed on');
is($m->applied($db), '', 'session: nothing is applied');
$m->oracle($db, 'session: nothing is left', probes => { h1 => "to_regclass('a') IS NOT NULL" });
$m->node->stop;
done_testing();
