# Passes of a backfill by key go to the places where the rows of their window were, and each row is changed exactly once
# whatever has become of these places.
#
# While a window is open and nobody holds a lock: rows are updated, deleted, their places are taken by others; the table is
# rewritten, in the same order and in another; a trigger appears. While a pass waits for a row: its key becomes one that is
# still to come, it is deleted, or only its other columns change. All rows of a table have the same xmin, as after a load.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('key_places', conf => "max_wal_size = '2GB'\nautovacuum = off");
my $db = $m->new_database('places');
my $new = 1000000;

sub table
{
	my ($name) = @_;
	$m->sql($db, <<"S");
CREATE TABLE $name AS SELECT g::bigint AS id, (g * 7919) % 100003 AS r, g % 7 AS base, g % 7 AS n, repeat('x', 60) AS filler FROM generate_series(1, 20000) g ORDER BY g;
ALTER TABLE $name ADD PRIMARY KEY (id);
CREATE INDEX ${name}_r ON $name (r);
VACUUM ANALYZE $name;
S
	return;
}

sub job { my ($what) = @_; return $m->sql($db, "SELECT $what FROM migration_ext.job ORDER BY job_id DESC LIMIT 1"); }

# Starts a backfill and stops it in the middle of a window: after a pass it has to rest, for its WAL.
sub stopped_in_a_window
{
	my ($name) = @_;
	my $run = $m->sql($db, "SET migration_ext.batch_target = '50ms'; SELECT migration_backfill('$name', 'n = n + 1', NULL, '{\"max_wal_rate\": \"64kB\"}')");
	$m->until_true('a window is open', sub { return job('window_part BETWEEN 1 AND 500 AND window_key[1]::bigint > coalesce(next_key[1]::bigint, 0) + 1000') eq 't' });
	$m->sql($db, qq(DO \$\$ BEGIN PERFORM migration_tune($run, '{"throttle": "on"}'); END \$\$));
	$m->until_sql($db, q{SELECT count(*) FROM migration_progress() WHERE throttled_by IS NOT NULL}, '1');
	cmp_ok(job('window_part'), '>', 0, "$name: it is still open");
	cmp_ok($m->sql($db, "SELECT count(*) FROM $name WHERE n = base AND id <= " . job('window_key[1]::bigint')), '>', 100, "$name: and rows of it are left to do");
	return $run;
}

sub goes_on
{
	my ($name, $run) = @_;
	$m->sql($db, qq(DO \$\$ BEGIN PERFORM migration_tune($run, '{"throttle": "off", "max_wal_rate": "off"}'); END \$\$));
	is($m->sql($db, "SELECT migration_wait($run)"), 'succeeded', "$name: ends");
	is($m->sql($db, "SELECT count(*) FROM $name WHERE id < $new AND n <> base + 1"), '0', "$name: each row once");
	is($m->sql($db, "SELECT count(*) FROM $name WHERE id >= $new AND n <> base"), '0', "$name: later ones not at all");
	return;
}

table('moved');
my $run = stopped_in_a_window('moved');
$m->sql($db, 'CREATE TABLE places AS SELECT ctid AS place, xmin::text AS version FROM moved WHERE id % 10 = 4');
my $before = $m->sql($db, 'SELECT count(*) FROM moved');
$m->sql($db, q{UPDATE moved SET filler = filler || 'y' WHERE id % 10 = 3; DELETE FROM moved WHERE id % 10 = 4});
$m->sql($db, 'VACUUM moved');
$m->sql($db, "INSERT INTO moved SELECT $new + g, g, g % 7, g % 7, repeat('z', 60) FROM generate_series(1, 2000) g");
cmp_ok($m->sql($db, "SELECT count(*) FROM moved t JOIN places ON place = t.ctid AND version <> t.xmin::text WHERE id > $new"), '>', 500, 'moved: places of others are taken');
goes_on('moved', $run);
is($m->sql($db, 'SELECT count(*) FROM moved'), $before, 'moved: no row is gone');

for my $case (['rewritten', 'VACUUM FULL rewritten'], ['sorted', 'CLUSTER sorted USING sorted_r'])
{
	my ($name, $command) = @$case;
	table($name);
	# So that rows do not stand where they stood, though their order is the same.
	$m->sql($db, "DELETE FROM $name WHERE id % 10 = 4");
	$run = stopped_in_a_window($name);
	$m->sql($db, $command);
	goes_on($name, $run);
}

table('triggered');
$run = stopped_in_a_window('triggered');
$m->sql($db, <<'S');
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.filler := 'seen'; RETURN NEW; END $$;
CREATE TRIGGER noted BEFORE UPDATE ON triggered FOR EACH ROW EXECUTE FUNCTION noted();
S
my $done = $m->sql($db, 'SELECT count(*) FROM triggered WHERE n <> base');
goes_on('triggered', $run);
is($m->sql($db, q{SELECT count(*) FROM triggered WHERE filler <> 'seen'}), $done, 'triggered: the trigger is called for every row from then on');
cmp_ok($m->sql($db, q{SELECT idx_tup_read FROM pg_stat_all_indexes WHERE indexrelname = 'triggered_pkey'}), '<', 3 * 20000,
	'triggered: and is no reason to read a window again in each pass');

# ---- partitions: rows move to another one, a partition is rewritten, renamed, dropped ----
$m->sql($db, <<'S');
CREATE TABLE parts (id bigint, kind int NOT NULL, base int, n int, filler text, PRIMARY KEY (id, kind)) PARTITION BY LIST (kind);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES IN (0);
CREATE TABLE parts_1 (n int, filler text, kind int NOT NULL, id bigint NOT NULL, base int);
ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES IN (1);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES IN (3);
INSERT INTO parts SELECT g, g % 4, g % 7, g % 7, repeat('x', 60) FROM generate_series(1, 20000) g;
VACUUM ANALYZE parts;
S
$run = stopped_in_a_window('parts');
$m->sql($db, q{UPDATE parts SET filler = filler || 'y' WHERE id % 10 = 3; DELETE FROM parts WHERE id % 20 = 4});
$m->sql($db, 'VACUUM FULL parts_1');
$m->sql($db, 'ALTER TABLE parts_2 RENAME TO parts_two; CREATE TABLE parts_2 (LIKE parts_two)');
$m->sql($db, 'INSERT INTO parts_2 SELECT * FROM parts_two');
my $others = $m->sql($db, 'SELECT sum(n) FROM parts_2');
$m->sql($db, 'DROP TABLE parts_3');
$done = $m->sql($db, 'SELECT count(*) FROM parts');
goes_on('parts', $run);
is($m->sql($db, 'SELECT count(*) FROM parts'), $done, 'parts: no row is gone');
is($m->sql($db, 'SELECT sum(n) FROM parts_2'), $others, 'parts: the table that has the name of a partition now is left alone');

# ---- a table that others inherit from: they may have the same keys ----
for my $when ('before', 'later')
{
	my $name = "inherited_$when";
	table($name);
	my $heir = "CREATE TABLE heir_$when (LIKE $name INCLUDING ALL) INHERITS ($name); INSERT INTO heir_$when SELECT * FROM ONLY $name";
	$m->sql($db, "$heir; VACUUM ANALYZE heir_$when") if $when eq 'before';
	$run = stopped_in_a_window($name);
	$m->sql($db, $heir) if $when eq 'later';
	$m->sql($db, "UPDATE ONLY $name SET filler = filler || 'y' WHERE id % 10 = 3");
	$m->sql($db, qq(DO \$\$ BEGIN PERFORM migration_tune($run, '{"throttle": "off", "max_wal_rate": "off"}'); END \$\$));
	is($m->sql($db, "SELECT migration_wait($run)"), 'succeeded', "$name: ends");
	is($m->sql($db, "SELECT count(*) FROM ONLY $name WHERE n <> base + 1"), '0', "$name: each row once");
	is($m->sql($db, "SELECT count(*) FROM heir_before WHERE n <> base + 1"), '0', "$name: the heir's, too") if $when eq 'before';
}

# ---- a row that a pass waits for, without and with a trigger that comes before ----
$m->sql($db, <<'S');
CREATE TABLE fired (tab text, id bigint, old_filler text, old_n int, new_n int);
CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public.fired VALUES (TG_TABLE_NAME, OLD.id, OLD.filler, OLD.n, NEW.n);
  NEW.r := -NEW.n;
  RETURN NEW;
END $$;
S
for my $case (['rekeyed', 'SET id = id + 15000', 1], ['gone', undef, 0], ['touched', q{SET filler = 'touched'}, 1])
{
	for my $triggered (0, 1)
	{
		my ($what, $change, $stays) = @$case;
		my $name = $what . ($triggered ? '_triggered' : '');
		table($name);
		# One of the first rows, whose fraction puts it into the first pass.
		my $id = $m->sql($db, "SELECT id FROM $name WHERE id BETWEEN 50 AND 200 ORDER BY (id * 1327217885) & 2147483647 LIMIT 1");
		$m->sql($db, "DELETE FROM $name WHERE id = $id + 15000");
		$m->sql($db, "CREATE TRIGGER fired BEFORE UPDATE OF n ON $name FOR EACH ROW WHEN (NEW.n <> OLD.n) EXECUTE FUNCTION fired()") if $triggered;
		my $other = $m->session($db);
		$other->run('BEGIN');
		$other->run($change ? "UPDATE $name $change WHERE id = $id" : "DELETE FROM $name WHERE id = $id");
		$run = $m->sql($db, "SET migration_ext.batch_target = '50ms'; SELECT migration_backfill('$name', 'n = n + 1', NULL)");
		ok($m->until_sql($db, q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type LIKE 'migration_ext%' AND wait_event = 'transactionid'}, 't'), "$name: a pass waits for the row");
		$other->run('COMMIT');
		$other->close;
		is($m->sql($db, "SELECT migration_wait($run)"), 'succeeded', "$name: ends");
		is($m->sql($db, "SELECT count(*) FROM $name WHERE n <> base + 1"), '0', "$name: each row once");
		is($m->sql($db, "SELECT count(*) FROM $name"), 19998 + $stays, "$name: no row is gone that nobody deleted");
		next unless $triggered;
		is($m->sql($db, "SELECT count(*) FROM $name WHERE r <> -n"), '0', "$name: what the trigger makes of a row is what is written");
		is($m->sql($db, "SELECT count(*), count(DISTINCT id) FROM fired WHERE tab = '$name' AND new_n = old_n + 1"),
			(19998 + $stays) . '|' . (19998 + $stays), "$name: it is called once for each");
		is($m->sql($db, "SELECT old_filler FROM fired WHERE tab = '$name' AND id = $id"), 'touched', "$name: and sees what the other has made of it") if $what eq 'touched';
	}
}
unlike(PostgreSQL::Test::Utils::slurp_file($m->node->logfile), qr/PANIC|TRAP|terminated by signal/, 'no process died');
$m->node->stop;
done_testing();
