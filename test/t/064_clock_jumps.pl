# F42: the clock of the machine jumps by a day, forward and back.
#
# The server runs with a calendar that the test sets (lib/clock.c); the monotonic clock goes on. While a backfill rests
# (throttled by hand, by its own rate of WAL, or waiting for a lock) nothing may hang, be skipped, or be reckoned in days:
# durations are those of the monotonic clock. What is said in terms of the calendar goes by the calendar: start_at, window.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;
use Time::HiRes qw(time);

plan(skip_all => 'a sanitizer is loaded already') if $ENV{LD_PRELOAD};
my $dir = PostgreSQL::Test::Utils::tempdir_short();
my ($library, $clock) = ("$dir/clock.so", "$dir/clock");
plan(skip_all => 'there is no C compiler')
  unless PostgreSQL::Test::Utils::run_log([ $ENV{CC} || 'cc', '-O1', '-shared', '-fPIC', '-o', $library, "$FindBin::Bin/lib/clock.c", '-ldl' ]);

# In seconds ahead of the real time; in place, as it is mapped.
sub set_clock
{
	my ($offset) = @_;
	open my $handle, (-e $clock ? '+<' : '>'), $clock or die "$clock: $!";
	syswrite($handle, pack('q', $offset)) == 8 or die "$clock: $!";
	close $handle;
	return;
}
set_clock(0);
my $m;
{
	local $ENV{LD_PRELOAD} = $library;
	local $ENV{MIGRATION_CLOCK} = $clock;
	$m = Migration->new('clock', preload => 1);
}
sub ahead { return $m->sql('postgres', 'SELECT round(extract(epoch FROM clock_timestamp() - to_timestamp(' . time . ')) / 3600)'); }
is(ahead(), '0', 'the clock of the server is right at first');
set_clock(86400);
if (ahead() ne '24') { $m->node->stop; BAIL_OUT('the clock has no effect on the server'); }
set_clock(0);

$m->new_database('work');
$m->sql('work', <<'S');
CREATE TABLE work (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, c text, filler text);
INSERT INTO work SELECT g, 0, NULL, repeat('x', 100) FROM generate_series(1, 40000) g;
CREATE TABLE small (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
INSERT INTO small SELECT g FROM generate_series(1, 100) g;
ALTER DATABASE work SET timezone = 'UTC';
S
sub batches { return $m->sql('work', 'SELECT coalesce(max(batches), 0) FROM migration_ext.job WHERE state = $$running$$'); }
# What people see: never negative, nothing of days; less than a quarter of an hour is sane for this table.
my $insane = q{SELECT coalesce(string_agg(concat_ws('/', eta, bar, throttled, percent, rate), ' '), '') FROM migration_progress()
WHERE eta < interval '0' OR eta > interval '15 min' OR throttled < interval '0' OR throttled > interval '15 min' OR percent NOT BETWEEN 0 AND 100 OR rate < 0
  OR bar ~ 'day|-[0-9]'};
sub sane { my ($when) = @_; is($m->sql('work', $insane), '', "$when: progress is sane"); return; }

# Held by hand.
my $run = $m->sql('work', q{
BEGIN;
SET LOCAL migration_ext.batch_target = '3ms';
SELECT migration_backfill('work', 'n = n + 1');
DO $$ BEGIN PERFORM migration_tune(NULL, '{"max_wal_rate": "1MB"}'); END $$;
COMMIT;});
ok($m->until_true('it works', sub { return batches() > 3 }, 60), 'a backfill rests by its rate of WAL');
for my $jump (86400, 0, -86400, 0)
{
	set_clock($jump);
	my $before = batches();
	ok($m->until_true('it gets on', sub { return batches() > $before + 3 }, 20), "clock at $jump, resting: it gets on");
	sane("clock at $jump, resting");
	$m->sql('work', q{DO $$ BEGIN PERFORM migration_tune(NULL, '{"throttle": "on"}'); END $$});
	ok($m->until_sql('work', q{SELECT count(*) FROM migration_progress() WHERE throttled_by LIKE 'throttle%'}, '1', 20), "clock at $jump: it can be held");
	# While it is held the clock jumps once more, and back.
	for my $more ($jump == 0 ? (86400, -86400, 0) : (0, $jump))
	{
		set_clock($more);
		sane("clock to $more while held");
	}
	$m->sql('work', q{DO $$ BEGIN PERFORM migration_tune(NULL, '{"throttle": "off"}'); END $$});
	$before = batches();
	ok($m->until_true('it gets on', sub { return batches() > $before + 1 }, 20), "clock at $jump: and let go");
	sane("clock at $jump, let go");
}
$m->sql('work', q{DO $$ BEGIN PERFORM migration_tune(NULL, '{"max_wal_rate": "off"}'); END $$});
ok($m->until_sql('work', "SELECT state FROM migration_runs() WHERE run_id = $run", 'succeeded', 60), 'it ends');
is($m->sql('work', 'SELECT count(*) FROM work WHERE n <> 1'), '0', 'each row exactly once');

# Between two tries for a lock it pauses for up to seconds; the clock goes back in just such a pause.
my $holder = $m->session('work');
$holder->run('BEGIN');
$holder->run('SELECT FROM small WHERE id = 50 FOR UPDATE');
$m->sql('work', q{SET migration_ext.lock_timeout = '50ms'; SET migration_ext.lock_retries = 200;
SELECT migration_backfill('small', 'n = n + 1')});
ok($m->until_sql('work', q{SELECT count(*) >= 4 FROM migration_log() WHERE event = 'retry'}, 't', 60), 'a backfill waits for a lock, with pauses');
set_clock(-86400);
my $tries = q{SELECT count(*) FROM migration_log() WHERE event = 'retry'};
my $then = $m->sql('work', $tries);
ok($m->until_true('it tries again', sub { return $m->sql('work', $tries) > $then + 1 }, 60), 'the clock goes back a day: it tries again, not a day later');
$holder->run('ROLLBACK');
$holder->close;
ok($m->until_sql('work', 'SELECT state FROM migration_runs() ORDER BY run_id DESC LIMIT 1', 'succeeded', 60), 'and ends');
is($m->sql('work', 'SELECT count(*) FROM small WHERE n <> 1'), '0', 'each row exactly once');

# By the calendar: due tomorrow, and tomorrow comes at once. The launcher looks at the clock at least once a minute.
set_clock(0);
my $due = $m->sql('work', q{SELECT migration_backfill('small', 'n = n + 1', NULL, jsonb_build_object('start_at', (clock_timestamp() + interval '23 hours')::text))});
is($m->sql('work', "SELECT state FROM migration_runs() WHERE run_id = $due"), 'scheduled', 'start_at: tomorrow');
set_clock(86400);
ok($m->until_sql('work', "SELECT state FROM migration_runs() WHERE run_id = $due", 'succeeded', 90), 'start_at: tomorrow has come, it starts');
# The clock goes back between a look and the next one, which had been set for a second from now.
my $soon = $m->sql('work', q{SELECT migration_backfill('small', 'n = n + 1', NULL, jsonb_build_object('start_at', (clock_timestamp() + interval '2 hours')::text))});
set_clock(0);
is($m->sql('work', "SELECT state FROM migration_runs() WHERE run_id = $soon"), 'scheduled', 'start_at: put off by a clock that goes back');
$m->sql('work', "SELECT migration_cancel($soon)");

# A window that is open at one time and closed at the other, half a day apart.
my $window = $m->sql('work', q{SELECT to_char(clock_timestamp() - interval '1 hour', 'HH24:MI') || '-' || to_char(clock_timestamp() + interval '1 hour', 'HH24:MI') || ' UTC'});
my $hours = $m->sql('work', qq{
BEGIN;
SET LOCAL migration_ext.batch_target = '3ms';
SELECT migration_backfill('work', 'c = ''x''', 'c IS NULL', '{"window": "$window", "max_wal_rate": "500kB"}');
COMMIT;});
ok($m->until_true('it works', sub { return batches() > 3 }, 60), 'window: open');
set_clock(43200);
ok($m->until_sql('work', q{SELECT count(*) FROM migration_progress() WHERE throttled_by LIKE 'window%'}, '1', 30), 'window: the clock leaves it, it is closed');
sane('window closed');
set_clock(86400);
my $before = batches();
ok($m->until_true('it gets on', sub { return batches() > $before }, 30), 'window: open again a day later');
sane('window open again');
$m->sql('work', q{DO $$ BEGIN PERFORM migration_tune(NULL, '{"max_wal_rate": "off"}'); END $$});
ok($m->until_sql('work', "SELECT state FROM migration_runs() WHERE run_id = $hours", 'succeeded', 60), 'it ends');
is($m->sql('work', q{SELECT count(*) FROM work WHERE c IS DISTINCT FROM 'x'}), '0', 'every row is filled');
is($m->leaks('work'), '', 'nothing is left behind') if $m->until_sql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'migration_ext executor'", '0');
unlike(PostgreSQL::Test::Utils::slurp_file($m->node->logfile), qr/PANIC|TRAP|terminated by signal/, 'no process crashed');
$m->node->stop;
done_testing();
