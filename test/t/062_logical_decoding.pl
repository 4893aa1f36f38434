# F45: a backfill on a server whose changes somebody decodes, as a subscriber or a stream into another system does.
#
# The stream holds each changed row exactly once, also when a worker was killed in the middle, and batches as transactions
# of their own. Replica identity and publication are as they were. A published table that gives a subscriber no way to find
# a row cannot be changed by anybody; the backfill says so, in the server's words, and goes on when it has been mended.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('decoded', conf => "wal_level = logical\nmax_replication_slots = 4\nmax_wal_senders = 4");
$m->new_database('work');
$m->sql('work', <<'S');
CREATE FUNCTION slow(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
  'BEGIN IF x % 5 = 0 THEN PERFORM pg_sleep(0.001); END IF; RETURN x; END';
CREATE TABLE work (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, c text, filler text);
INSERT INTO work SELECT g, 0, NULL, repeat('x', 200) FROM generate_series(1, 4000) g;
CREATE TABLE keyless (id int, c text);
INSERT INTO keyless SELECT g FROM generate_series(1, 1000) g;
CREATE PUBLICATION all_of_it FOR TABLE work, keyless;
S
if (!$m->attempt('work', q{SELECT pg_create_logical_replication_slot('try', 'test_decoding', true)})->{ok})
{
	$m->node->stop;
	plan(skip_all => 'the server has no test_decoding');
}
my $identity = q{SELECT string_agg(relname || ' ' || relreplident::text, ' ' ORDER BY relname) FROM pg_class WHERE relname IN ('work', 'keyless')};
my $identity_before = $m->sql('work', $identity);

for my $job ([ 'count', q{migration_backfill('work', 'n = n + 1 + 0 * slow(id)')}, 'n <> 0', 'n[integer]:1' ],
	[ 'fill', q{migration_backfill('work', 'c = ''f'' || slow(id)', 'c IS NULL')}, 'c IS NOT NULL', q{c[text]:'f} ])
{
	my ($name, $call, $done, $mark) = @$job;
	# A slot of its own: what a slot has handed out it forgets in a crash, and hands out again.
	$m->sql('work', "SELECT pg_create_logical_replication_slot('$name', 'test_decoding')");
	$m->sql('work', "SET migration_ext.batch_target = '5ms'; SELECT $call");
	$m->until_sql('work', "SELECT EXISTS (SELECT FROM work WHERE $done)", 't', 30);
	my $pid = $m->worker_pid('work');
	my $life = $m->sql('postgres', q{SELECT backend_start FROM pg_stat_activity WHERE backend_type = 'checkpointer'});
	kill 'KILL', $pid;
	$m->until_sql('postgres', qq{SELECT backend_start <> '$life' FROM pg_stat_activity WHERE backend_type = 'checkpointer'}, 't', 60);
	my $left = $m->sql('work', "SELECT count(*) FROM work WHERE NOT ($done)");
	cmp_ok($left, '>', 0, "$name: killed in the middle");
	is($m->resume('work')->{out}, 'succeeded', "$name: resumed, it ends");
	# The stream as transactions: of changes of the table only.
	my @changes = split /\n/, $m->sql('work', qq{SELECT xid || ' ' || data FROM pg_logical_slot_get_changes('$name', NULL, NULL) WHERE data LIKE 'table public.work: %'});
	my (%seen, %transactions, $other);
	for (@changes)
	{
		my ($xid, $kind, $id) = /^(\d+) table public\.work: (\w+): id\[integer\]:(\d+) / or next;
		$other++ if $kind ne 'UPDATE' || index($_, $mark) < 0;
		$seen{$id}++;
		$transactions{$xid}++;
	}
	is(scalar(keys %seen), 4000, "$name: the stream has every row");
	is(scalar(grep { $_ != 1 } values %seen), 0, "$name: each exactly once");
	is($other // 0, 0, "$name: and nothing else");
	cmp_ok(scalar(keys %transactions), '>', 3, "$name: in many small transactions");
	$m->oracle('work', "$name: each row exactly once, nothing left behind", rows => "SELECT count(*) FROM work WHERE NOT ($done)");
}
is($m->sql('work', $identity), $identity_before, 'replica identity is as it was');

# A run that cannot start may be refused at once or fail; either way the server's words are there.
my $r = $m->attempt('work', q{SELECT migration_backfill('keyless', 'c = ''x''', 'c IS NULL')});
$r = $m->attempt('work', 'SELECT migration_wait()') if $r->{ok};
is($r->{state}, '55000', 'a published table without an identity: it cannot be changed');
like($r->{message} . $r->{detail}, qr/replica identity/, 'and that is said');
is($m->sql('work', 'SELECT count(*) FROM keyless WHERE c IS NOT NULL'), '0', 'nothing of it was done');
$m->sql('work', 'ALTER TABLE keyless REPLICA IDENTITY FULL');
is($m->resume('work')->{out}, 'succeeded', 'with an identity it goes on');
is($m->sql('work', 'SELECT count(*) FROM keyless WHERE c IS NULL'), '0', 'to its end');
$m->node->stop;
done_testing();
