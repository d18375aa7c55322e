# delay.pl PORT MILLISECONDS [LOG]: a loopback proxy that keeps every byte back for half the time in each direction, so
# that a request takes MILLISECONDS longer, as it does to a store in the same region.  Prints its own port.
#
# With LOG it writes a line for each request: when it came and when its answer ended, in seconds, its first line and range.
# From that one sees which requests waited for which (test/bench/s3.sh).  A request is what a client sends after an
# answer: the store's clients do not send a second one before.
use strict;
use warnings;
use Errno qw(EAGAIN EWOULDBLOCK EINTR);
use IO::Socket::INET;
use Time::HiRes qw(time);

my ($port, $delay, $log) = @ARGV;
$delay = $delay / 2000;
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 256, Proto => 'tcp') or die "listen: $!";
my $log_handle;
if ($log) { open $log_handle, '>>', $log or die "$log: $!"; $log_handle->autoflush(1) }
$| = 1;
print $listener->sockport, "\n";

my %ends;			# by file number: what came in, what has to go out, and the other end
my $high_water = 8 << 20;

sub add_end
{
	my ($socket, $is_client) = @_;
	$socket->blocking(0);
	setsockopt $socket, 6, 1, 1;	# TCP_NODELAY
	return $ends{ fileno $socket } = { socket => $socket, is_client => $is_client, queue => [], queued => 0 };
}

sub finish_request
{
	my ($client) = @_;
	my $request = delete $client->{request} or return;
	printf $log_handle "%.6f %.6f %s\n", $request->{from}, $request->{to} // $request->{from}, $request->{line} if $log_handle;
	return;
}

sub drop
{
	my ($end) = @_;
	for my $e ($end, $end->{peer})
	{
		my $socket = delete $e->{socket} or next;
		finish_request($e) if $e->{is_client};
		delete $ends{ fileno $socket };
		close $socket;
	}
	return;
}

sub note_bytes
{
	my ($end, $bytes, $now) = @_;
	my $client = $end->{is_client} ? $end : $end->{peer};
	if (!$end->{is_client})
	{
		$client->{request}{to} = $now if $client->{request};
		return;
	}
	return if $client->{request} && !defined $client->{request}{to};
	finish_request($client);
	my ($line) = $bytes =~ /^([^\r\n]*)/;
	$line .= " $1" if $bytes =~ /^range: (\S*)/mi;
	$client->{request} = { from => $now, line => $line };
	return;
}

# Read into the other end's queue; the time says when it may leave.
sub take
{
	my ($end) = @_;
	my $got = sysread $end->{socket}, my $bytes, 262144;
	if (!defined $got)
	{
		drop($end) unless $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR;
		return;
	}
	my $now = time;
	my $peer = $end->{peer};
	if ($got == 0) { $end->{is_read} = 1 }
	else { note_bytes($end, $bytes, $now) if $log_handle; $peer->{queued} += $got }
	push @{ $peer->{queue} }, [ $now + $delay, $bytes ];
	return;
}

sub give
{
	my ($end, $now) = @_;
	while (@{ $end->{queue} } && $end->{queue}[0][0] <= $now)
	{
		my $item = $end->{queue}[0];
		return drop($end) if $item->[1] eq '';
		my $sent = syswrite $end->{socket}, $item->[1];
		if (!defined $sent)
		{
			drop($end) unless $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR;
			return;
		}
		$end->{queued} -= $sent;
		substr $item->[1], 0, $sent, '';
		return if $item->[1] ne '';
		shift @{ $end->{queue} };
	}
	return;
}

while (1)
{
	my ($reads, $writes, $timeout, $now) = ('', '', undef, time);
	vec($reads, fileno $listener, 1) = 1;
	for my $number (keys %ends)
	{
		my $end = $ends{$number};
		vec($reads, $number, 1) = 1 if !$end->{is_read} && $end->{peer}{queued} < $high_water;
		next unless @{ $end->{queue} };
		my $left = $end->{queue}[0][0] - $now;
		if ($left <= 0) { vec($writes, $number, 1) = 1 }
		elsif (!defined $timeout || $left < $timeout) { $timeout = $left }
	}
	next if select($reads, $writes, undef, $timeout) < 0;
	$now = time;
	for my $number (keys %ends)
	{
		my $end = $ends{$number} or next;
		give($end, $now) if @{ $end->{queue} };
		take($end) if $end->{socket} && vec $reads, $number, 1;
	}
	next unless vec $reads, fileno $listener, 1;
	my $client = $listener->accept or next;
	my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
	if (!$server) { close $client; next }
	my ($a, $b) = (add_end($client, 1), add_end($server, 0));
	$a->{peer} = $b;
	$b->{peer} = $a;
}
