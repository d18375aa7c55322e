# ReefSession.pm: a psql that stays, to which one can send SQL without waiting for the end.
package ReefSession;

use strict;
use warnings;
use IPC::Run qw(start);
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep time);

sub new
{
	my ($class, $node, %options) = @_;
	my $self = bless { in => '', out => '', err => '', number => 0 }, $class;
	local %ENV = %ENV;
	$ENV{PGOPTIONS} = $options{options} if $options{options};
	$self->{psql} = start(
		[ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-f', '-', '-d', $node->connstr($options{database} // 'postgres') ],
		'<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err});
	$self->{pid} = $self->run('SELECT pg_backend_pid()')->{out};
	die "no session: $self->{err}" unless $self->{pid} =~ /^\d+$/;
	return $self;
}

# The server process.
sub pid { return $_[0]->{pid} }

sub send
{
	my ($self, $sql) = @_;
	$self->{out} = $self->{err} = '';
	$self->{mark} = 'end-of-answer-' . ++$self->{number};
	$self->{sent} = time;
	delete $self->{answer};
	# More than a pipe holds goes by way of a file.
	if (length $sql > 10_000)
	{
		$self->{script} //= PostgreSQL::Test::Utils::tempdir() . '/script';
		unlink $self->{script};
		append_to_file($self->{script}, $sql);
		$sql = "\\i $self->{script}";
	}
	$self->{in} .= "$sql\n;\n\\echo $self->{mark}\n";
	$self->{psql}->pump_nb;
	return $self;
}

# Has the answer come within so many seconds?
sub is_done
{
	my ($self, $timeout) = @_;
	my $deadline = time + ($timeout // 0);
	while (!$self->{answer})
	{
		my $is_over = !$self->{psql}->pumpable;
		$self->{psql}->pump_nb unless $is_over;
		if ($self->{out} =~ /^(.*?)\n?\Q$self->{mark}\E\n/s || $is_over)
		{
			my $out = $is_over ? $self->{out} : $1;
			# what psql wrote to stderr before the mark may still be in the pipe
			$self->{psql}->pump_nb unless $is_over;
			my ($state) = $self->{err} =~ /(?:ERROR|FATAL|PANIC):  (\w{5}):/;
			$self->{answer} = {
				out => $out,
				err => $self->{err},
				sqlstate => $state // ($is_over ? 'gone' : '00000'),
				seconds => time - $self->{sent}
			};
			last;
		}
		return 0 if time >= $deadline;
		usleep(5_000);
	}
	return 1;
}

# The answer: out, err, sqlstate ('00000': no error), seconds.
sub answer
{
	my ($self, $timeout) = @_;
	$self->is_done($timeout // 60) or die "no answer within a minute; stderr: $self->{err}";
	return $self->{answer};
}

sub run
{
	my ($self, $sql) = @_;
	return $self->send($sql)->answer;
}

sub quit
{
	my ($self) = @_;
	$self->{in} .= "\\q\n";
	eval { $self->{psql}->finish };
	return;
}

1;
