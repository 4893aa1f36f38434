# F12: a backfill reaches temp_file_limit.
#
# What computes a row sorts more than fits into memory, and temporary files are limited. The batch is rolled back; the run
# pauses, because an administrator can do something about it, names the limit, and goes on after that.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('temporary');
$m->new_database('work');
$m->sql('work', <<'S');
CREATE TABLE work (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
INSERT INTO work SELECT g FROM generate_series(1, 2000) g;
CREATE FUNCTION sorted(id int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE most int;
BEGIN
  IF id <> 1500 THEN RETURN 1; END IF;
  SELECT count(*) INTO most FROM (SELECT g FROM generate_series(1, 60000) g ORDER BY md5(g::text) OFFSET 0) x;
  RETURN sign(most);
END $$;
ALTER DATABASE work SET work_mem = '64kB';
ALTER DATABASE work SET temp_file_limit = '256kB';
S
$m->sql('work', "SELECT migration_register('r1', 'add', NULL, 'UPDATE work SET n = n + sorted(id)', 'irreversible')");
$m->sql('postgres', "ALTER DATABASE work SET migration_ext.batch_target = '2ms'");
my $r = $m->attempt('work', 'SELECT migration_upgrade()');
is($r->{state}, 'MX011', 'the caller is told that the run stopped') or diag($r->{err});
like($r->{detail}, qr/a configured limit is reached: .*temp_file_limit"? \(256kB\)/, 'and which limit it was');
is($r->{hint}, 'SELECT migration_resume(1);', 'and how it goes on');
is($m->state('work'), 'paused', 'the run is paused');
is($m->sql('work', 'SELECT sqlstate FROM migration_runs()'), '53400', 'with the state of the limit');
like($r->{detail}, qr/Raise the limit first/, 'what has to be done first');
like($m->sql('work', 'SELECT detail FROM migration_log() WHERE event = $$paused$$'), qr/Raise the limit first/, 'which the log keeps');
my $done = $m->sql('work', 'SELECT count(*) FROM work WHERE n = 1');
cmp_ok($done, '>', 0, 'some batches are done');
is($done, $m->sql('work', 'SELECT rows_done FROM migration_ext.job'), 'as the ledger says');
is($m->sql('work', 'SELECT count(*) FROM work WHERE n = 1 AND id >= 1500'), '0', 'and none from that row on');
$m->sql('work', q{ALTER DATABASE work SET temp_file_limit = '1GB'});
is($m->resume('work')->{out}, 'succeeded', 'with a higher limit it goes on');
$m->oracle('work', 'each row exactly once, nothing left behind', rows => 'SELECT count(*) FROM work WHERE n <> 1');
$m->node->stop;
done_testing();
