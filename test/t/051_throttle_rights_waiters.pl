# What may not be read holds a backfill, with the privilege that is missing; who waits for its rows makes its batches small.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use PostgreSQL::Test::Utils;
use Test::More;

my $m = Migration->new('rights', bare => 1, streaming => 1, conf => "archive_mode = on\narchive_command = 'true'\nautovacuum_freeze_max_age = 100000\n");
$m->sql('postgres', 'CREATE ROLE boss SUPERUSER LOGIN');
$m->sql('postgres', 'CREATE DATABASE work');
my $db = 'work';
$m->sql($db, 'CREATE EXTENSION migration_ext', user => 'boss');
$m->sql($db, q{CREATE TABLE item (id int PRIMARY KEY, n int); INSERT INTO item SELECT generate_series(1, 1000)});

sub held_by
{
	my ($pattern, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $last = '';
	my $found = $m->until_true("it is held by $pattern",
		sub { $last = $m->attempt($db, 'SELECT throttled_by FROM migration_progress()')->{out}; return $last =~ $pattern; }, 60);
	ok($found, $name) or diag("last: $last\n" . $m->sql($db, 'SELECT event, message FROM migration_log() ORDER BY event_id DESC LIMIT 5'));
	return;
}

# ---- an owner of the ledger who may not see ----
$m->sql('postgres', 'ALTER ROLE boss NOSUPERUSER');
$m->sql($db, q{SELECT migration_backfill('item', 'n = 1', 'n IS NULL')});
held_by(qr/^max_lag: how far standbys are cannot be read; role boss lacks pg_read_all_stats: GRANT pg_monitor TO boss; also: max_archive_backlog/,
	'a limit that cannot be watched holds');
$m->sql($db, q{SELECT migration_tune(NULL, '{"max_lag": "off"}')});
held_by(qr/^max_archive_backlog: the backlog of the archive cannot be read; role boss may not execute pg_ls_archive_statusdir\(\)/,
	'each says what it lacks');
$m->sql('postgres', 'GRANT pg_monitor TO boss');
is($m->sql($db, 'SELECT migration_wait()'), 'succeeded', 'it goes on with the privilege');

# A vacuum against wraparound is let pass also by who may not see what it is: a lock on a table of that age.
$m->sql('postgres', 'REVOKE pg_monitor FROM boss');
my $holder = $m->session($db);
$holder->run('BEGIN');
$holder->run('LOCK TABLE item IN SHARE UPDATE EXCLUSIVE MODE');
$m->sql('postgres', 'DO $$ BEGIN FOR i IN 1 .. 101000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$');
cmp_ok($m->sql($db, q{SELECT age(relfrozenxid) FROM pg_class WHERE relname = 'item'}), '>', 100000, 'the table is old');
$m->sql($db, q{SELECT migration_backfill('item', 'n = 2', 'n = 1', '{"max_lag": "off", "max_archive_backlog": "off", "max_waiters": "off"}')});
held_by(qr/^autovacuum: the table is vacuumed to prevent transaction id wraparound/, 'it holds the backfill of a role without rights');
$holder->run('COMMIT');
$holder->close;
is($m->sql($db, 'SELECT migration_wait()'), 'succeeded', 'and nothing does when it has ended');
$m->sql('postgres', 'GRANT pg_monitor TO boss');

# ---- who waits for our rows ----
$m->sql($db, q{
CREATE TABLE wide (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, f text NOT NULL);
ALTER TABLE wide ALTER COLUMN f SET STORAGE PLAIN;
INSERT INTO wide SELECT g, 0, repeat('x', 1800) FROM generate_series(1, 20000) g;
CREATE FUNCTION slow(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.003); RETURN n; END $$;
});
$m->sql($db, q{
BEGIN;
SELECT migration_backfill('wide', 'n = slow(1)', 'n = 0');
SELECT migration_tune(NULL, '{"batch_target": "400ms"}');
COMMIT;});
my $size = 'SELECT batch_size FROM migration_ext.job ORDER BY job_id DESC LIMIT 1';
$m->until_sql($db, 'SELECT batches >= 6 AND batch_size > 8 FROM migration_ext.job ORDER BY job_id DESC LIMIT 1', 't');
my $alone = $m->sql($db, $size);
cmp_ok($alone, '>', 8, 'alone, a batch is many blocks');
my $script = $m->node->basedir . '/touch.sql';
append_to_file($script, "\\set id random(1, 20000)\nUPDATE wide SET id = id WHERE id = :id;\n");
my ($out, $err) = ('', '');
my $load = IPC::Run::start(
	[ 'pgbench', '-n', '-c', '4', '-T', '120', '-f', $script, '-h', $m->node->host, '-p', $m->node->port, $db ], '>', \$out, '2>', \$err);
ok($m->until_sql($db, "SELECT batch_size <= $alone / 4 FROM migration_ext.job ORDER BY job_id DESC LIMIT 1", 't', 60), 'batches shrink when somebody waits for their rows');
$load->signal('TERM');
$load->finish;
ok($m->until_sql($db, "SELECT batch_size > $alone / 2 FROM migration_ext.job ORDER BY job_id DESC LIMIT 1", 't', 60), 'and grow again when nobody does');
$m->sql($db, 'SELECT migration_cancel()');
$m->until_sql($db, 'SELECT state FROM migration_ext.run ORDER BY run_id DESC LIMIT 1', 'cancelled');
$m->node->stop;
done_testing();
