# Rows that a backfill changes page by page are changed as the server's UPDATE changes them.
#
# Generated columns, constraints, foreign keys, partitions, TOASTed values, unique and deferred checks, AFTER triggers: what
# one UPDATE makes of one table, the passes make of its twin, and every index finds every row. BEFORE triggers see and change
# rows as they do under an UPDATE; statement triggers, which the loop over pages leaves to the executor, act as ever. Only the fill trigger of the very backfill
# is not called for its own rows.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('rows', conf => "autovacuum = off\ntrack_functions = 'all'");
my $db = $m->new_database('rows');
$m->sql($db, 'CREATE EXTENSION amcheck');
my $passes = '"passes": 4';

sub backfill
{
	my ($table, $change, $condition, $options) = @_;
	my $more = defined $options ? ", $options" : '';
	my $run = $m->sql($db, "SELECT migration_backfill('$table', \$x\$$change\$x\$, \$x\$$condition\$x\$, '{$passes$more}')");
	my $state = $m->sql($db, "SELECT migration_wait($run)");
	is($m->sql($db, 'SELECT state FROM migration_ext.run ORDER BY run_id DESC LIMIT 1'), $state, "$table: $state");
	return $state;
}

# Every index entry leads to a row and every row has its entries.
sub sound
{
	my ($table) = @_;
	is($m->sql($db, "SELECT count(*) FROM verify_heapam('$table')"), '0', "$table: the table is sound");
	is($m->sql($db, "SELECT count(bt_index_check(c.oid, true)) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'btree' AND i.indrelid = '$table'::regclass"),
		$m->sql($db, "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'btree' AND i.indrelid = '$table'::regclass"), "$table: every row is in every index");
	return;
}

# A table with everything that an UPDATE has to see to, and its twin.
$m->sql($db, <<'S');
CREATE TABLE kind (id int PRIMARY KEY);
INSERT INTO kind SELECT generate_series(0, 9);
CREATE TABLE log (tab text, old_id int, new_v int);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.log VALUES (TG_TABLE_NAME, OLD.id, NEW.v); RETURN NULL; END';
CREATE TABLE base (id int, v int, big text, gone int, kind_id int NOT NULL, small "char" NOT NULL DEFAULT 'x');
ALTER TABLE base ALTER COLUMN big SET STORAGE EXTERNAL;
INSERT INTO base SELECT i, CASE WHEN i % 11 = 0 THEN i END, CASE WHEN i % 50 = 0 THEN repeat(md5(i::text), 100) ELSE 'b' || i END, 1, i % 10 FROM generate_series(1, 4000) i;
ALTER TABLE base DROP COLUMN gone;
S
for my $t ('ours', 'theirs')
{
	$m->sql($db, <<"S");
CREATE TABLE $t (LIKE base INCLUDING STORAGE, double int GENERATED ALWAYS AS (v * 2) STORED, CHECK (v <> -1), FOREIGN KEY (kind_id) REFERENCES kind) WITH (fillfactor = 100);
INSERT INTO $t SELECT * FROM base;
ALTER TABLE $t ADD PRIMARY KEY (id), ADD UNIQUE (v) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX ON $t (double);
CREATE INDEX ON $t (kind_id) WHERE v IS NULL;
CREATE INDEX ON $t USING brin (id);
CREATE TRIGGER note AFTER UPDATE ON $t FOR EACH ROW WHEN (NEW.id % 7 = 0) EXECUTE FUNCTION note();
VACUUM $t;
S
}
my $change = 'v = -id - 1, small = chr(65 + id % 26)::"char", kind_id = (kind_id + 1) % 10';
is(backfill('ours', $change, 'v IS NULL'), 'succeeded', 'everything at once');
$m->sql($db, "UPDATE theirs SET $change WHERE v IS NULL");
is($m->sql($db, 'SELECT count(*) FROM (TABLE ours EXCEPT ALL TABLE theirs) x'), '0', 'both made the same of it');
is($m->sql($db, 'SELECT count(*) FROM ours WHERE v < 0 AND double = v * 2'), '3637', 'all rows that needed it');
is($m->sql($db, q{SELECT count(*) FROM ((SELECT old_id, new_v FROM log WHERE tab = 'ours') EXCEPT ALL (SELECT old_id, new_v FROM log WHERE tab = 'theirs')) x}),
	'0', 'AFTER triggers: once for each row');
is($m->sql($db, q{SELECT count(*) FROM log WHERE tab = 'ours'}), $m->sql($db, q{SELECT count(*) FROM log WHERE tab = 'theirs'}), 'and no more');
sound('ours');

# Rows that fail are set aside, one by one, whatever they fail of.
$m->sql($db, 'CREATE TABLE bad (id int PRIMARY KEY, v int, w int, CHECK (v <> 100), FOREIGN KEY (w) REFERENCES kind) WITH (fillfactor = 100)');
$m->sql($db, 'INSERT INTO bad SELECT i FROM generate_series(1, 5000) i');
$m->sql($db, 'CREATE UNIQUE INDEX bad_v ON bad (v); VACUUM bad');
is(backfill('bad', 'v = CASE id WHEN 200 THEN 201 WHEN 400 THEN id / (id - 400) ELSE id END, w = CASE WHEN id = 300 THEN 77 ELSE 1 END', 'v IS NULL', '"max_errors": 10'),
	'succeeded', 'with bad rows');
# Of the two with the same value, the one that comes later.
is($m->sql($db, q{SELECT string_agg(sqlstate || ' ' || (image ->> 'id'), ', ' ORDER BY (image ->> 'id')::int) FROM migration_ext.quarantine}),
	'23514 100, 23505 201, 23503 300, 22012 400', 'each with its own error');
is($m->sql($db, 'SELECT count(*) FROM bad WHERE v IS NULL'), '4', 'all others are changed');
sound('bad');

# Partitions, one of them not on the way of its bound.
$m->sql($db, <<'S');
CREATE TABLE part (id int, v int, region int NOT NULL DEFAULT 1) PARTITION BY LIST (region);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
CREATE TABLE part_2 (region int NOT NULL DEFAULT 1, v int, more text, id int);
ALTER TABLE part_2 DROP COLUMN more;
ALTER TABLE part ATTACH PARTITION part_2 FOR VALUES IN (2);
INSERT INTO part SELECT i, NULL, 1 + i % 2 FROM generate_series(1, 8000) i;
CREATE INDEX ON part (v);
S
is(backfill('part', 'v = id', 'v IS NULL'), 'succeeded', 'partitions');
is($m->sql($db, 'SELECT count(*), count(*) FILTER (WHERE v = id AND region = 1 + id % 2) FROM part'), '8000|8000', 'columns in another order');
sound($_) for 'part_1', 'part_2';

# A condition that names places of its own is met by these rows and no others.
$m->sql($db, 'CREATE TABLE placed AS SELECT i AS id, NULL::int AS v FROM generate_series(1, 8000) i');
for my $places (q{ctid = '(0,1)'}, q{ctid IN ('(1,1)', '(2,1)')}, q{(ctid = '(3,1)' OR ctid = '(4,1)')}, q{ctid = ANY (ARRAY['(5,1)'::tid])})
{
	my $wanted = $m->sql($db, "SELECT string_agg(id::text, ',' ORDER BY id) FROM placed WHERE $places");
	is(backfill('placed', 'v = id', "v IS NULL AND $places"), 'succeeded', $places);
	is($m->sql($db, 'SELECT string_agg(id::text, $$,$$ ORDER BY id) FROM placed WHERE v IS NOT NULL'), $wanted, "$places: no other row");
	$m->sql($db, 'UPDATE placed SET v = -1 WHERE v IS NOT NULL; DELETE FROM placed WHERE v = -1');
}

# Triggers that come before: one for some columns only, one with a condition, one that makes another row of it, refuses it or
# fails, one that changes a neighbour first. What they set is indexed, generated from, checked.
$m->sql($db, <<'S');
CREATE FUNCTION first_of_all() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public.log VALUES (TG_TABLE_NAME || ' ' || TG_NAME || ' ' || (OLD.v IS NULL)::text, OLD.id, NEW.v);
  IF NEW.id % 1000 = 1 THEN RETURN NULL; END IF;
  IF NEW.id % 1000 = 2 THEN RAISE EXCEPTION 'not %', NEW.id USING ERRCODE = 'P0042'; END IF;
  IF NEW.id % 1000 = 3 THEN RETURN OLD; END IF;
  NEW.stamp := NEW.stamp + NEW.v;
  IF NEW.id % 1000 = 4 THEN NEW.stamp := -1; END IF;
  RETURN NEW;
END $$;
CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'fired'; END $$;
CREATE TABLE seed (id int PRIMARY KEY, v int, stamp int NOT NULL DEFAULT 5 CHECK (stamp >= 0), other int, filler text);
INSERT INTO seed SELECT i, CASE WHEN i % 11 = 0 THEN i END, 5, i, repeat('f', 40) FROM generate_series(1, 6000) i;
S
for my $t ('ours_before', 'theirs_before')
{
	$m->sql($db, <<"S");
CREATE TABLE $t (LIKE seed INCLUDING ALL, twice int GENERATED ALWAYS AS (stamp * 2) STORED);
INSERT INTO $t SELECT * FROM seed;
CREATE INDEX ON $t (stamp);
CREATE INDEX ON $t (twice);
CREATE TRIGGER a BEFORE UPDATE OF v ON $t FOR EACH ROW EXECUTE FUNCTION first_of_all();
CREATE TRIGGER b BEFORE UPDATE ON $t FOR EACH ROW WHEN (NEW.stamp > 1000 AND NEW.id > 50) EXECUTE FUNCTION first_of_all();
CREATE TRIGGER c BEFORE UPDATE OF other ON $t FOR EACH ROW EXECUTE FUNCTION never();
CREATE TRIGGER d BEFORE UPDATE ON $t FOR EACH ROW EXECUTE FUNCTION never();
ALTER TABLE $t DISABLE TRIGGER d;
CREATE TRIGGER e AFTER UPDATE ON $t FOR EACH ROW WHEN (NEW.id % 7 = 0) EXECUTE FUNCTION note();
VACUUM $t;
S
}
my $not_these = 'v IS NULL AND id % 1000 NOT IN (2, 4)';
is(backfill('ours_before', 'v = id', $not_these), 'succeeded', 'triggers that come before');
$m->sql($db, "UPDATE theirs_before SET v = id WHERE $not_these");
is($m->sql($db, 'SELECT count(*) FROM (TABLE ours_before EXCEPT ALL TABLE theirs_before) x'), '0', 'both made the same of it');
is($m->sql($db, 'SELECT count(v), count(*) FILTER (WHERE twice = stamp * 2 AND stamp > 5) FROM ours_before'), '5980|5435', 'what the triggers want');
# A row that is met again because a trigger does not want it changed is shown to it again.
is($m->sql($db, q{SELECT count(*) FROM (SELECT DISTINCT tab, old_id, new_v FROM log WHERE tab ~ 'ours_before' EXCEPT SELECT replace(tab, 'theirs', 'ours'), old_id, new_v FROM log WHERE tab ~ 'theirs_before') x}),
	'0', 'they see what they see under an UPDATE');
is($m->sql($db, q{SELECT count(DISTINCT (tab, old_id)) FROM log WHERE tab ~ 'ours_before'}), $m->sql($db, q{SELECT count(*) FROM log WHERE tab ~ 'theirs_before'}), 'all of it');
sound('ours_before');
$m->sql($db, 'DELETE FROM migration_ext.quarantine');
is(backfill('ours_before', 'v = id', 'v IS NULL AND id % 1000 IN (2, 4)', '"max_errors": 20'), 'succeeded', 'rows that a trigger refuses or spoils');
is($m->sql($db, q{SELECT string_agg(DISTINCT sqlstate || ' ' || (image ->> 'id')::int % 1000, ', ') FROM migration_ext.quarantine}), '23514 4, P0042 2', 'each with its own error');

# A trigger that changes another row of the same statement is told what the server tells it.
$m->sql($db, <<'S');
CREATE TABLE meddled (id int PRIMARY KEY, v int, w int);
INSERT INTO meddled SELECT i FROM generate_series(1, 500) i;
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 100 AND NEW.w IS NULL THEN UPDATE meddled SET w = 1 WHERE id = 101; END IF; RETURN NEW; END $$;
CREATE TRIGGER meddle BEFORE UPDATE OF v ON meddled FOR EACH ROW EXECUTE FUNCTION meddle();
S
like($m->attempt($db, 'UPDATE meddled SET v = id WHERE v IS NULL')->{err}, qr/already modified by an operation triggered/, 'the server');
my $meddling = $m->sql($db, "SELECT migration_backfill('meddled', 'v = id', 'v IS NULL', '{\"passes\": \"off\", \"max_errors\": 5}')");
is($m->attempt($db, "SELECT migration_wait($meddling)")->{state}, '27000', 'a backfill');
is($m->sql($db, 'SELECT count(w) FROM meddled'), '0', 'nothing is half done');
$m->sql($db, 'DROP TRIGGER meddle ON meddled');
$m->sql($db, "SELECT migration_resume($meddling)");
is($m->sql($db, "SELECT migration_wait($meddling)"), 'succeeded', 'without the trigger it goes on');
is($m->sql($db, 'SELECT count(v) FROM meddled'), '500', 'and every row is filled');

# Left to the executor: statement triggers. And row security is refused.
$m->sql($db, <<'S');
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.stamped := coalesce(NEW.stamped, 0) + 1; RETURN CASE WHEN NEW.id % 1000 <> 0 THEN NEW END; END';
CREATE FUNCTION total() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.log SELECT ''total'', id, v FROM fresh; RETURN NULL; END';
CREATE TABLE before_it (id int, v int, stamped int);
INSERT INTO before_it SELECT generate_series(1, 4000);
CREATE TRIGGER stamp BEFORE UPDATE ON before_it FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE TABLE statement_it (id int, v int);
INSERT INTO statement_it SELECT generate_series(1, 4000);
CREATE TRIGGER total AFTER UPDATE ON statement_it REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION total();
CREATE ROLE rows_owner;
GRANT CREATE ON SCHEMA public TO rows_owner;
SET ROLE rows_owner;
CREATE TABLE secured (id int, v int);
INSERT INTO secured SELECT generate_series(1, 4000);
ALTER TABLE secured ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY half ON secured USING (id % 2 = 0);
S
$m->sql($db, q{DELETE FROM migration_ext.quarantine});
backfill('before_it', 'v = id', 'v IS NULL AND id % 1000 <> 0');
is($m->sql($db, 'SELECT count(*) FILTER (WHERE v = id AND stamped = 1), count(*) FILTER (WHERE v IS NULL) FROM before_it'), '3996|4', 'BEFORE triggers');
is(backfill('statement_it', 'v = id', 'v IS NULL'), 'succeeded', 'statement triggers');
is($m->sql($db, q{SELECT count(*), count(DISTINCT old_id) FROM log WHERE tab = 'total'}), '4000|4000', 'they see each row once');
my $run = $m->sql($db, "SELECT migration_backfill('secured', 'v = id', 'v IS NULL', '{$passes}')");
is($m->attempt($db, "SELECT migration_wait($run)")->{state}, '42501', 'row security that holds for the owner, too, is no reason to leave rows out');
is($m->sql($db, "SELECT count(v) FROM secured; SELECT migration_cancel($run)"), "0\ncancelled", 'nothing is half done');

# The fill trigger fills what others write; the rows of its own backfill need it no more.
$m->sql($db, 'CREATE TABLE filled (id int PRIMARY KEY, filler text)');
$m->sql($db, q{INSERT INTO filled SELECT i, 'f' || i FROM generate_series(1, 20000) i; VACUUM filled});
$m->register($db, 'r1', undef, <<'S');
ALTER TABLE filled ADD COLUMN v int;
UPDATE filled SET v = id * 2 WHERE v IS NULL;
ALTER TABLE filled ADD CONSTRAINT stop CHECK (id < 30000), ALTER COLUMN v SET NOT NULL;
S
$m->sql($db, 'INSERT INTO filled VALUES (40000)');
like($m->attempt($db, 'SELECT migration_upgrade()')->{err}, qr/"stop"/, 'stops with the trigger in place');
is($m->sql($db, 'SELECT count(*) FROM filled WHERE v IS DISTINCT FROM id * 2'), '0', 'filled');
is($m->sql($db, q{SELECT coalesce(sum(calls), 0) FROM pg_stat_user_functions WHERE funcname LIKE 'zzz\_migration\_fill%'}), '0', 'without its trigger');
$m->sql($db, 'INSERT INTO filled (id) VALUES (20001); UPDATE filled SET v = NULL WHERE id = 7');
is($m->sql($db, 'SELECT sum(v - id * 2) FROM filled WHERE id IN (7, 20001)'), '0', 'which fires for everybody else');

unlike(PostgreSQL::Test::Utils::slurp_file($m->node->logfile), qr/PANIC|TRAP|terminated by signal/, 'no process died');
$m->node->stop;
done_testing();
