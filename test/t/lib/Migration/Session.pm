# A psql that is kept open, so that a statement can be under way while the test does something to it; see Migration.pm,
# whose session() makes one. Ends with the test; whatever became of the server, done() and result() come to an end.
package Migration::Session;

use strict;
use warnings;
use IPC::Run ();
use Time::HiRes qw(time usleep);

sub new
{
	my ($class, $m, $db, %o) = @_;
	my $self = bless { in => '', out => '', err => '', n => 0, m => $m, db => $db }, $class;
	$self->{h} = IPC::Run::start(
		[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=0', '-v', 'VERBOSITY=verbose', '-v', 'SHOW_CONTEXT=never', '-d', $m->conninfo($db, %o) ],
		'<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err});
	$self->{pid} = $self->run('SELECT pg_backend_pid()')->{out};
	return $self;
}

sub pid { return $_[0]{pid}; }

# Sends a statement and comes back at once.
sub send
{
	my ($self, $sql) = @_;
	$self->{n}++;
	($self->{out}, $self->{err}) = ('', '');
	$self->{in} .= "$sql\n;\n\\echo done-$self->{n}-\n\\warn done-$self->{n}-\n";
	$self->{sent} = time;
	eval { $self->{h}->pump_nb; };
	return $self;
}

# Has the statement ended?
sub done
{
	my ($self) = @_;
	return 1 if $self->{gone};
	my $mark = "done-$self->{n}-";
	# A dead psql ends the wait too.
	eval { $self->{h}->pump_nb; 1 } or $self->{gone} = 1;
	return 1 if $self->{out} =~ /^\Q$mark\E$/m && $self->{err} =~ /^\Q$mark\E$/m;
	$self->{gone} = 1 unless eval { $self->{h}->pumpable };
	return $self->{gone} ? 1 : 0;
}

# The result of the statement, like attempt(); waits for it. `took` is seconds since it was sent.
sub result
{
	my ($self, $limit) = @_;
	my $end = time + ($limit || $Migration::deadline);
	until ($self->done)
	{
		die "no end of the statement in session $self->{pid}: $self->{out} $self->{err}" if time > $end;
		usleep(3_000);
	}
	my ($out, $err) = ($self->{out}, $self->{err});
	s/^done-\d+-\n//mg for $out, $err;
	chomp $out;
	my %e = Migration::parse_error($err);
	return { ok => $e{state} eq '' && !$self->{gone} ? 1 : 0, out => $out, err => $err, took => time - $self->{sent}, %e };
}

sub run { my ($self, $sql, $limit) = @_; return $self->send($sql)->result($limit); }

# Kills the client program, not the backend.
sub kill_client { my ($self) = @_; $self->{h}->kill_kill; $self->{gone} = 1; return; }

sub close
{
	my ($self) = @_;
	return if $self->{closed}++;
	eval { $self->{in} .= "\\q\n"; $self->{h}->finish; 1 } or eval { $self->{h}->kill_kill };
	return;
}

1;
