# What the TAP tests share: a cluster with the extension, sessions that can be left waiting, and the oracle.
#
# What: Migration->new makes a cluster (crash restart on, preload on request); sql() and attempt() run statements,
# session() keeps a psql open, so that a statement can be under way while the test does something to it; oracle() checks,
# after any fault, what must hold after every fault:
#   I1  a revision is applied exactly when its effects are there
#   I2  a backfill has changed each row exactly once
#   I3  no INVALID index, no half-detached partition, no rebuild's remains
#   I4  the final schema is that of an undisturbed run (dump compared)
#   I5  nothing is left: lock, worker, prepared transaction, queued start
# Why: faults differ, the promise does not. Waiting is always polling with a deadline, never a sleep of hopeful length.
# Source of the fault numbers (F1..F64) in the files' headers: docs, the fault matrix.
package Migration;

use strict;
use warnings;
use IPC::Run ();
use Migration::Session;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

our $deadline = $ENV{PG_TEST_TIMEOUT_DEFAULT} || 180;

# ---- clusters ----

# Options: preload, streaming (can have standbys), conf (more lines), bare (no extension in database postgres),
# install_path (another server than the one on the PATH), initdb (more arguments of it, as an array).
sub new
{
	my ($class, $name, %o) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name, $o{install_path} ? (install_path => $o{install_path}) : ());
	$node->init($o{streaming} ? (allows_streaming => 1) : (), $o{initdb} ? (extra => $o{initdb}) : ());
	$node->append_conf('postgresql.conf', join "\n",
		'restart_after_crash = on', 'jit = off', 'max_prepared_transactions = 10', 'max_worker_processes = 16',
		'max_connections = 60', 'autovacuum = off', "log_line_prefix = '%m [%p] %b %a '",
		($o{preload} ? "shared_preload_libraries = 'migration_ext'" : ()), ($o{conf} ? $o{conf} : ()), '');
	$node->start;
	my $self = bless { node => $node, preload => $o{preload}, dumps => {} }, $class;
	$self->sql('postgres', 'CREATE EXTENSION migration_ext') unless $o{bare};
	return $self;
}

sub node { return $_[0]{node}; }

sub conninfo
{
	my ($self, $db, %o) = @_;
	my $options = ($o{options} // '') =~ s/([\\'])/\\$1/gr;
	return $self->{node}->connstr($db) . ($o{user} ? " user=$o{user}" : '') . ($options ne '' ? " options='$options'" : '');
}

# Runs SQL in a session of its own, never dies. Gives { ok, out, err, state, message, hint, detail } of the first error.
sub attempt
{
	my ($self, $db, $sql, %o) = @_;
	my ($out, $err) = ('', '');
	my @cmd = ('psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', '-v', 'SHOW_CONTEXT=never', '-d',
		$self->conninfo($db, %o), '-f', '-');
	# While the server is down psql may end before it has read its input: a broken pipe is an attempt that failed.
	my $ok = eval { IPC::Run::run(\@cmd, '<', \$sql, '>', \$out, '2>', \$err, IPC::Run::timeout($o{timeout} || $deadline)) };
	die $@ if $@ && $@ !~ /Broken pipe/;
	chomp $out;
	return { ok => $ok ? 1 : 0, out => $out, err => $err, parse_error($err) };
}

sub parse_error
{
	my ($err) = @_;
	my ($state, $message) = $err =~ /(?:ERROR|FATAL):  (\w{5}): (.*)/;
	# The connection died before or while a statement ran.
	$state = '08006' if !defined $state && $err =~ /server closed the connection|connection to server|terminating connection/;
	my ($detail) = $err =~ /DETAIL:  (.*)/;
	my ($hint) = $err =~ /HINT:  (.*)/;
	return (state => $state // '', message => $message // '', detail => $detail // '', hint => $hint // '');
}

# Runs SQL that must succeed; gives its output.
sub sql
{
	my ($self, $db, $sql, %o) = @_;
	my $r = $self->attempt($db, $sql, %o);
	die "SQL failed in $db: $sql\n$r->{err}" unless $r->{ok};
	return $r->{out};
}

# Polls until the code gives true; gives that value, or nothing (and a diagnosis) at the deadline.
sub until_true
{
	my ($self, $what, $code, $limit) = @_;
	my $end = time + ($limit || $deadline);
	my $last;
	for (;;)
	{
		$last = $code->();
		return $last if $last;
		last if time > $end;
		usleep(30_000);
	}
	diag("gave up waiting until $what");
	return;
}

# Polls a query until it gives the wanted text; the server may be down meanwhile.
sub until_sql
{
	my ($self, $db, $sql, $wanted, $limit) = @_;
	$wanted //= 't';
	my $last = '';
	my $ok = $self->until_true("$sql gives $wanted",
		sub { my $r = $self->attempt($db, $sql); $last = $r->{out} . $r->{err}; return $r->{ok} && $r->{out} eq $wanted; }, $limit);
	diag("last: $last") unless $ok;
	return $ok ? 1 : 0;
}

# After a crash: until the server takes statements again.
sub until_up
{
	my ($self, $db) = @_;
	return $self->until_sql($db || 'postgres', 'SELECT NOT pg_is_in_recovery()', 't');
}

# Starts a server whose postmaster was killed: its orphans keep the shared memory for a moment.
sub start_after_kill
{
	my ($self) = @_;
	return $self->until_true('the server starts',
		sub { return 1 if $self->{node}->start(fail_ok => 1); $self->{node}->stop('fast', fail_ok => 1); return 0; });
}

sub session { my ($self, $db, %o) = @_; return Migration::Session->new($self, $db, %o); }

# A copy of a database, made by CREATE DATABASE: quick, and each case starts from the same state.
sub copy_database
{
	my ($self, $from, $to) = @_;
	$self->until_sql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE datname = '$from'", '0');
	$self->sql('postgres', "CREATE DATABASE $to TEMPLATE $from");
	return $to;
}

sub drop_database { my ($self, $db) = @_; $self->sql('postgres', "DROP DATABASE IF EXISTS $db WITH (FORCE)"); return; }

sub new_database
{
	my ($self, $db) = @_;
	$self->sql('postgres', "CREATE DATABASE $db");
	$self->sql($db, 'CREATE EXTENSION migration_ext');
	return $db;
}

# ---- what is going on ----

sub state { my ($self, $db) = @_; return $self->sql($db, 'SELECT state FROM migration_status()'); }

sub until_state
{
	my ($self, $db, $wanted, $limit) = @_;
	return $self->until_sql($db, 'SELECT state FROM migration_status()', $wanted, $limit);
}

# The pid of the executor at work in a database.
sub worker_pid
{
	my ($self, $db) = @_;
	my $pid;
	$self->until_true("a worker works in $db", sub {
		my $r = $self->attempt($db, "SELECT pid FROM pg_stat_activity WHERE datname = '$db' AND backend_type = 'migration_ext executor'");
		$pid = $r->{out}; return $r->{ok} && $pid =~ /^\d+$/; });
	return $pid;
}

sub applied { my ($self, $db) = @_; return $self->sql($db, q{SELECT coalesce(string_agg(revision, ',' ORDER BY revision), '') FROM migration_ext.applied}); }

# Resumes the run and waits for its end; gives the attempt().
sub resume
{
	my ($self, $db) = @_;
	my $r = $self->attempt($db, 'SELECT migration_resume()');
	return $r unless $r->{ok};
	return $self->attempt($db, 'SELECT migration_wait()');
}

# ---- the oracle ----

# The schema as text: pg_dump without what differs from dump to dump. The extension's own tables are its own business.
sub fingerprint
{
	my ($self, $db) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'pg_dump', '-s', '-d', $self->conninfo($db) ], '>', \$out, '2>', \$err, IPC::Run::timeout($deadline))
	  or die "pg_dump: $err";
	return join "\n", grep { !/^--|^\\(un)?restrict|^\s*$|^SET |^SELECT pg_catalog\.set_config/ } split /\n/, $out;
}

sub invalid_indexes
{
	my ($self, $db) = @_;
	return $self->sql($db, q{
SELECT coalesce(string_agg(what, ', ' ORDER BY what), '') FROM (
SELECT indexrelid::regclass || ' invalid' FROM pg_index WHERE NOT (indisvalid AND indisready AND indislive)
UNION ALL SELECT relname || ' remains of a rebuild' FROM pg_class WHERE relname ~ '_cc(new|old)[0-9]*$'
UNION ALL SELECT inhrelid::regclass || ' half detached' FROM pg_inherits WHERE inhdetachpending) x(what)});
}

sub leaks
{
	my ($self, $db) = @_;
	return $self->sql($db, qq{
SELECT coalesce(string_agg(what, ', '), '') FROM (
SELECT 'lock ' || locktype || ' ' || mode || ' of ' || coalesce(pid::text, 'nobody') FROM pg_locks l
  WHERE database = (SELECT oid FROM pg_database WHERE datname = '$db') AND locktype IN ('object', 'advisory') AND pid IS DISTINCT FROM pg_backend_pid()
UNION ALL SELECT 'worker ' || pid FROM pg_stat_activity WHERE datname = '$db' AND backend_type LIKE 'migration_ext%'
UNION ALL SELECT 'prepared ' || gid FROM pg_prepared_xacts WHERE database = '$db') x(what)});
}

# Checks of one database after a fault has been dealt with. Options:
#   like     a database whose schema is the undisturbed one (I4)
#   probes   { revision => boolean SQL, true when its effects are there } (I1)
#   rows     SQL that counts rows a backfill changed not exactly once (I2)
# Gives true when all hold; says what does not.
sub broken_invariants
{
	my ($self, $db, %o) = @_;
	my @broken;
	my %applied = map { $_ => 1 } split /,/, $self->applied($db);
	for my $revision (sort keys %{ $o{probes} || {} })
	{
		my $there = $self->sql($db, "SELECT ($o{probes}{$revision})::text");
		push @broken, "I1: $revision is " . ($applied{$revision} ? 'applied' : 'not applied') . ", effects: $there"
		  if ($there eq 'true') != ($applied{$revision} ? 1 : 0);
	}
	if ($o{rows})
	{
		my $wrong = $self->sql($db, $o{rows});
		push @broken, "I2: $wrong rows not changed exactly once" if $wrong ne '0';
	}
	my $invalid = $self->invalid_indexes($db);
	push @broken, "I3: $invalid" if $invalid ne '';
	if ($o{like})
	{
		my $wanted = $self->{dumps}{ $o{like} } //= $self->fingerprint($o{like});
		my $got = $self->fingerprint($db);
		push @broken, "I4: schema differs from an undisturbed run:\n" . line_difference($wanted, $got) if $wanted ne $got;
	}
	my $end = time + 15;
	my $leaks;
	while (($leaks = $self->leaks($db)) ne '' && time < $end) { usleep(50_000); }
	push @broken, "I5: $leaks" if $leaks ne '';
	return @broken;
}

sub line_difference
{
	my ($wanted, $got) = @_;
	my %w = map { $_ => 1 } split /\n/, $wanted;
	my %g = map { $_ => 1 } split /\n/, $got;
	return join "\n", (map { "- $_" } grep { !$g{$_} } sort keys %w), (map { "+ $_" } grep { !$w{$_} } sort keys %g);
}

sub oracle
{
	my ($self, $db, $name, %o) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @broken = $self->broken_invariants($db, %o);
	ok(!@broken, $name) or diag(join "\n", @broken);
	return !@broken;
}

# ---- a plan with every kind of step ----

# Makes database $db: table item (with rows), partitioned table part, a revision with every kind of step registered and
# waiting. Gives what oracle() needs.
our @revisions = (
	[ 'b1', undef, <<'S' ],
CREATE TABLE audit (id int);
ALTER TABLE item ADD COLUMN extra int;
S
	[ 'b2', 'b1', 'UPDATE item SET n = n + 1;' ],
	[ 'b3', 'b2', 'CREATE INDEX CONCURRENTLY item_n ON item (n);' ],
	[ 'b4', 'b3', <<'S' ],
ALTER TABLE item ADD CONSTRAINT item_positive CHECK (n > 0) NOT VALID;
ALTER TABLE item VALIDATE CONSTRAINT item_positive;
CREATE INDEX CONCURRENTLY part_v ON part (v);
S
	[ 'b5', 'b4', <<'S' ],
DROP INDEX CONCURRENTLY item_note;
REINDEX INDEX CONCURRENTLY item_n;
ALTER TABLE part DETACH PARTITION part_2 CONCURRENTLY;
UPDATE part SET v = v + 1;
S
);

sub seed
{
	my ($self, $db, $rows) = @_;
	$rows ||= 300;
	$self->new_database($db);
	$self->sql($db, <<"S");
CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, note text);
INSERT INTO item SELECT i, 0, 'row ' || i FROM generate_series(1, $rows) i;
CREATE INDEX item_note ON item (note);
CREATE TABLE part (id int PRIMARY KEY, v int NOT NULL DEFAULT 0) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (1000);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (1000) TO (2000);
INSERT INTO part SELECT i * 10, 0 FROM generate_series(1, 199) i;
S
	$self->register($db, @$_) for @revisions;
	return;
}

sub register
{
	my ($self, $db, $revision, $down, $upgrade, %o) = @_;
	$down = defined $down ? "'$down'" : 'NULL';
	$self->sql($db, "SELECT migration_register('$revision', 'step $revision', $down, \$r\$$upgrade\$r\$, 'irreversible')", %o);
	return;
}

our %probes = (
	b1 => q{to_regclass('audit') IS NOT NULL AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'item'::regclass AND attname = 'extra')},
	b2 => q{NOT EXISTS (SELECT FROM item WHERE n < 1)},
	b3 => q{EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('item_n') AND indisvalid)},
	b4 => q{EXISTS (SELECT FROM pg_constraint WHERE conname = 'item_positive' AND convalidated) AND EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('part_v') AND indisvalid)},
	b5 => q{to_regclass('item_note') IS NULL AND (SELECT count(*) FROM pg_inherits WHERE inhparent = 'part'::regclass) = 1 AND NOT EXISTS (SELECT FROM part WHERE v < 1)},
);
our $rows = q{SELECT (SELECT count(*) FROM item WHERE n <> 1) + (SELECT count(*) FROM part WHERE v <> 1) + (SELECT count(*) FROM part_2 WHERE v <> 0)};

# ---- crash points ----

# Every point at which a process can die while it carries out the plan of seed(), as [ point, kind of step ].
sub crash_points
{
	my ($self, $db) = @_;
	my %of = (
		tx => [qw(step:before step:before_commit step:after)],
		validate => [qw(step:before step:before_commit step:after)],
		concurrent => [qw(step:before step:after_effect step:before_mark step:after)],
		backfill => [qw(backfill:start backfill:batch step:after)]);
	my @points;
	my %seen;
	for (split /\n/, $self->sql($db, q{SELECT DISTINCT ON (step) step || ' ' || kind || ' ' || statement FROM migration_plan() ORDER BY step}))
	{
		my ($step, $kind, $statement) = split / /, $_, 3;
		push @points, map { [ "$_:$step", $kind ] } @{ $of{$kind} || die "unknown kind $kind" };
		push @points, map { [ "$_:$step", $kind ] } qw(partitions:after_parent partitions:after_member) if $statement =~ /part_v/;
	}
	return @points, map { [ $_, 'run' ] } qw(run:before_end run:after_end);
}

# One case: a copy of `seed`, a client that waits for the run, a process killed with SIGKILL at the point. Then the run is
# resumed (by hand, or by the launcher when the server has us preloaded) and everything is checked.
sub crash_case
{
	my ($self, $point) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $db = 'crash';
	$self->copy_database('seed', $db);
	my $client = $self->attempt($db, "LOAD 'migration_ext'; SET migration_ext.crash_at = '$point'; SELECT migration_upgrade()");
	my @wrong;
	push @wrong, "client got '$client->{state}' $client->{message}, not a lost connection" unless $client->{state} =~ /^(08006|57P0[123])$/;
	$self->until_up($db) or push @wrong, 'the server did not come back';
	if ($self->{preload})
	{
		$self->until_state($db, 'up to date', 30) or push @wrong, 'the run was not resumed by itself';
	}
	else
	{
		my $state = $self->state($db);
		my $expected = $point eq 'run:after_end' ? 'up to date' : 'interrupted';
		push @wrong, "state is $state, not $expected" if $state ne $expected;
		my @now = grep { /^I1/ } $self->broken_invariants($db, probes => { map { $_ => $probes{$_} } grep { $_ ne 'b3' } 'b1' });
		push @wrong, "right after the crash: @now" if @now;
		if ($expected eq 'interrupted')
		{
			my $resumed = $self->resume($db);
			push @wrong, "resume: $resumed->{err}" unless $resumed->{ok} && $resumed->{out} eq 'succeeded';
		}
	}
	push @wrong, $self->broken_invariants($db, like => 'undisturbed', probes => \%probes, rows => $rows);
	my $applied = $self->applied($db);
	push @wrong, "applied: $applied" if $applied ne 'b1,b2,b3,b4,b5';
	ok(!@wrong, "killed at $point") or diag(join "\n", @wrong);
	$self->drop_database($db);
	return;
}

1;
