# F29, F30: somebody changes the table of a backfill while nobody is at work on it.
#
# A run that is paused, or whose process has died, has no process that could notice. What must hold is what holds for a
# live one: it stops with 55000 and says what has changed, whoever resumes it then goes on with the tables as they are,
# and with a key that is sorted another way it never goes on, because its position says nothing any more.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('changed_while_paused');
$m->new_database('seed');
$m->sql('seed', q{
CREATE FUNCTION slow(x bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS
  'BEGIN IF x % 6 = 0 THEN PERFORM pg_sleep(0.001); END IF; RETURN x; END';
CREATE TABLE work (id text COLLATE "C" PRIMARY KEY, i int NOT NULL, n int NOT NULL DEFAULT 0, c text);
INSERT INTO work SELECT i, i FROM generate_series(1, 3000) i;
CREATE TABLE named (name text PRIMARY KEY, i int NOT NULL, n int NOT NULL DEFAULT 0);
INSERT INTO named SELECT i, i FROM generate_series(1, 3000) i;
CREATE TABLE parts (id text NOT NULL, i bigint NOT NULL) PARTITION BY RANGE (i);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (80000);
CREATE TABLE kept (id text PRIMARY KEY, i bigint NOT NULL);
});

my $count = q{migration_backfill('work', 'n = n + 1 + 0 * slow(i)::int')};
my $fill = q{migration_backfill('work', 'c = slow(i)', 'c IS NULL')};
my $copy = q{migration_backfill('work', 'id, slow(i)', NULL, '{"action": "copy", "into": "kept", "columns": ["id", "i"]}')};
my $last = 'FROM migration_runs() ORDER BY run_id DESC LIMIT 1';

# Starts $call on a copy of the seed and pauses it in the middle; with crash, takes the server and its process away there.
my $db = '';
sub in_the_middle
{
	my ($name, $call, $done, $crash) = @_;
	$m->drop_database($db) if $db ne '';
	$db = $m->copy_database('seed', $name);
	$m->sql($db, "SET migration_ext.batch_target = '5ms'; SELECT $call");
	$m->until_true("$name: it is in the middle", sub { return $m->sql($db, "SELECT EXISTS (SELECT FROM $done)") eq 't'; }, 30);
	if ($crash)
	{
		$m->node->stop('immediate');
		$m->node->start;
		$m->until_up;
		is($m->state($db), 'interrupted', "$name: nobody is at work on it");
		return;
	}
	$m->sql($db, 'SELECT migration_pause()');
	$m->until_true("$name: it is paused", sub { return $m->state($db) =~ /^paused/; }, 30);
	return;
}

# Resumes it, expects that it stops because of a change and says this about it.
sub stops
{
	my ($name, $says) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok(!$m->resume($db)->{ok}, "$name: it does not go on");
	is($m->sql($db, "SELECT state || ' ' || sqlstate $last"), 'failed 55000', "$name: 55000");
	like($m->sql($db, "SELECT concat_ws(' ', message, detail) $last"), $says, "$name: what has changed");
	return;
}

for my $key ('int USING id::int', 'text COLLATE "POSIX"')
{
	in_the_middle('key', $count, 'work WHERE n > 0');
	$m->sql($db, "ALTER TABLE work ALTER id TYPE $key");
	my $done = $m->sql($db, 'SELECT count(*) FROM work WHERE n > 0');
	cmp_ok($done, '<', 3000, "key $key: in the middle");
	stops("key $key", qr/the key of table public\.work has another order.*id by text_ops C, and is id by/);
	stops("key $key, once more", qr/has another order/);
	like($m->sql($db, "SELECT hint $last"), qr/^SELECT migration_cancel\(\d+\);$/, "key $key: all that is left is to cancel");
	is($m->sql($db, 'SELECT migration_cancel()'), 'cancelled', "key $key: which can be done");
	is($m->sql($db, 'SELECT count(*) FROM work WHERE n > 0'), $done, "key $key: nothing was changed meanwhile");
}

# The same order under another name of the type.
in_the_middle('key_alike', $count, 'work WHERE n > 0');
$m->sql($db, 'ALTER TABLE work ALTER id TYPE varchar(20) COLLATE "C"');
stops('key alike', qr/started with id text \(column 1\), n integer \(column 3\); now there is id character varying\(20\) \(column 1\), n integer/);
is($m->resume($db)->{out}, 'succeeded', 'key alike: whoever knows goes on');
is($m->sql($db, 'SELECT count(*) FROM work WHERE n = 1'), '3000', 'key alike: each row once');

in_the_middle('assigned', $fill, 'work WHERE c IS NOT NULL');
$m->sql($db, 'ALTER TABLE work ALTER c TYPE bigint USING c::bigint');
stops('column', qr/started with c text \(column 4\); now there is c bigint/);
$m->sql($db, 'ALTER TABLE work ALTER c TYPE text');
is($m->resume($db)->{out}, 'succeeded', 'column: whoever knows goes on');
is($m->sql($db, 'SELECT count(*) FROM work WHERE c = i::text'), '3000', 'column: each row is filled');

# A column of the same name and type is another one.
in_the_middle('made_again', $count, 'work WHERE n > 0');
$m->sql($db, 'ALTER TABLE work DROP n, ADD n int NOT NULL DEFAULT 0');
stops('made again', qr/started with id text \(column 1\), n integer \(column 3\); now there is id text \(column 1\), n integer \(column 5\)/);
is($m->sql($db, 'SELECT max(n) FROM work'), '0', 'made again: it is not touched');

in_the_middle('emptied', $copy, 'kept');
my $lost = $m->sql($db, 'SELECT count(*) FROM kept');
$m->sql($db, 'TRUNCATE kept');
stops('emptied', qr/table public\.kept was rewritten or truncated.*the rows copied so far are gone/);
is($m->sql($db, 'SELECT count(*) FROM kept'), '0', 'emptied: nothing was copied behind the gap');
is($m->resume($db)->{out}, 'succeeded', 'emptied: whoever knows goes on');
is($m->sql($db, 'SELECT count(*) FROM kept'), 3000 - $lost, 'emptied: with the rows behind those that were done');

in_the_middle('copied', $copy, 'kept');
$m->sql($db, 'ALTER TABLE kept ALTER i TYPE numeric');
stops('into', qr/columns of table public\.kept have changed/);
is($m->resume($db)->{out}, 'succeeded', 'into: whoever knows goes on');
is($m->sql($db, 'SELECT count(*) FROM kept'), '3000', 'into: each row once');

# A target may get partitions; one of those that were there may not lose its rows.
my $into_parts = $copy =~ s/kept/parts/r;
for my $what ('comes', 'is emptied')
{
	in_the_middle('parts', $into_parts, 'parts');
	$m->sql($db, $what eq 'comes' ? 'CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (90000) TO (91000)' : 'TRUNCATE parts_1');
	stops("a partition $what", qr/table public\.parts was rewritten or truncated/) if $what ne 'comes';
	is($m->resume($db)->{out}, 'succeeded', "a partition $what: it goes on");
	my $copied = $m->sql($db, 'SELECT count(*) FROM parts');
	is($copied, '3000', 'a partition comes: each row once') if $what eq 'comes';
}

# Nothing has changed, or nothing that matters: it goes on by itself.
in_the_middle('other', $copy, 'kept');
$m->sql($db, 'ALTER TABLE work ADD COLUMN more int; ALTER TABLE kept ADD COLUMN more int; CREATE INDEX ON kept (i)');
is($m->resume($db)->{out}, 'succeeded', 'other changes: it goes on');
is($m->sql($db, 'SELECT count(*) FROM kept'), '3000', 'other changes: each row once');

# Nobody has paused it: the server went down.
in_the_middle('down', $copy, 'kept', 'crash');
$m->sql($db, 'VACUUM FULL kept');
stops('down', qr/rewritten or truncated/);
is($m->resume($db)->{out}, 'succeeded', 'down: whoever knows goes on');
is($m->sql($db, 'SELECT count(*) FROM kept'), '3000', 'down: each row once');

# Restored from a dump under another default order, or under the same.
in_the_middle('named', q{migration_backfill('named', 'n = n + 1 + 0 * slow(i)::int')}, 'named WHERE n > 0');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
my $run = $m->sql($db, 'SELECT max(run_id) FROM migration_runs()');
$m->node->command_ok([ 'pg_dump', '-f', $dump, '-d', $m->conninfo($db) ], 'restored: dumped');
my $same = $m->sql($db, 'SELECT datcollate FROM pg_database WHERE datname = current_database()');
for my $order ($same eq 'C.UTF-8' ? 'POSIX' : 'C.UTF-8', $same)
{
	$m->sql('postgres', "CREATE DATABASE restored TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE '$order' LC_CTYPE 'C.UTF-8'");
	$m->node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $m->conninfo('restored'), '-f', $dump ], "restored, $order");
	my $r = $m->attempt('restored', "SELECT migration_resume($run); SELECT migration_wait($run)");
	if ($order ne $same)
	{
		like($r->{err}, qr/key of table public\.named has another order.*text_ops default \Q$same\E, and is name by text_ops default/s, "restored, $order: it does not go on");
	}
	else
	{
		ok($r->{ok}, "restored, $order: it goes on") or diag($r->{err});
		is($m->sql('restored', 'SELECT count(*) FROM named WHERE n = 1'), '3000', "restored, $order: each row once");
	}
	$m->drop_database('restored');
}

$m->node->stop;
done_testing();
