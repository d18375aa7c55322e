#!/usr/bin/perl
# liar.pl [PORT]: an S3 server in memory that behaves as its bucket's name says; prints its port, then serves.
#
# One process, one loop, no signatures checked.  Any bucket exists.  Its name is the way in which it lies:
#
#	honest				not at all
#	ignores				conditions: every PUT overwrites
#	sequential			decides about a condition when the head of a request is there, and stores when its body is, so
#						that it is right one at a time and wrong together (requests are answered a moment later)
#	two-winners			the same, but only for the first race: two racers win
#	wrong-bytes			of a race the winner is told so, and the last one's bytes are kept
#	lost-response		every other PUT of a key is done, and the connection closed instead of an answer
#	duplicated-put		every PUT arrives twice: the answer is that to the second
#	error-200			every other PUT of a key is not done, and answered 200 with an <Error>
#	no-etag				a PUT is answered 200 without an ETag, and not done
#	conflict-storm		the first three PUTs of each key: 409 ConditionalRequestConflict
#	slow-down			every other request: 503 SlowDown, Retry-After: 1
#	internal-error		every other PUT of a key: done, and answered 500
#	truncated			every other GET breaks off in the middle
#	short-range			every other range has fewer bytes than asked for, and says so
#	no-length			a GET has no Content-Length, and the connection ends in the middle
#	no-ranges			ranges are ignored
#	unordered			lists are in descending order
#	wrong-prefix		lists ignore the prefix
#	bad-list			every other list is cut off, and says that it is not
#	closing				every connection is closed after an answer without a word
#	portal				everything is answered 200 with a page
#	redirect			307 to elsewhere
#	expired, skewed, denied, wrong-region, no-bucket	their errors
#	silent				accepts a request and never answers
#	half-head			answers half a head
#	half-body			answers half a body and holds on
#	drip				a body comes at 20 bytes a second
#	echo-secret			errors that repeat the request's headers
#
# In all of them an object "open-uploads" says how many uploads have been begun and not ended, an object with "locked"
# in its name cannot be deleted with others, and one with "forgotten" is, without a word.
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use IO::Select;
use IO::Socket::INET;
use POSIX qw(strftime);
use Time::HiRes qw(time);

my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ARGV[0] // 0, Listen => 128, ReuseAddr => 1)
	or die "listen: $!";
$| = 1;
$SIG{PIPE} = 'IGNORE';
print $listener->sockport, "\n";

my (%objects, %counts, %uploads, %clients, @later);
my $select = IO::Select->new($listener);

# Whose turn is it?  True for the first, third, ... time that a thing is asked for.
sub odd { return $counts{$_[0]}++ % 2 == 0 }

sub xml_text { my $t = shift; $t =~ s/([&<>])/'&#' . ord($1) . ';'/ge; return $t }

sub http_date { return strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime) }

sub reply
{
	my ($client, $status, $body, %headers) = @_;
	my $length = delete $headers{length} // length $body;
	my $head = "HTTP/1.1 $status X\r\nDate: " . http_date() . "\r\nx-amz-request-id: liar-" . ++$counts{requests} . "\r\n";
	$head .= "Content-Length: $length\r\n" unless $length < 0;
	$head .= "$_: $headers{$_}\r\n" for sort grep { !/^_/ } keys %headers;
	$client->{out} .= "$head\r\n";
	$client->{out} .= $body unless $client->{method} eq 'HEAD';
	$client->{close} = 1 if $headers{_close} || $client->{bucket} eq 'closing';
	return;
}

sub fail
{
	my ($client, $status, $code, $message, %headers) = @_;
	my $more = delete $headers{_more} // '';
	reply($client, $status, '<?xml version="1.0"?><Error><Code>' . $code . '</Code><Message>' . xml_text($message // 'no')
		. "</Message>$more<RequestId>body-id</RequestId></Error>", 'Content-Type' => 'application/xml', %headers);
	return;
}

sub put_object
{
	my ($client, $name) = @_;
	my ($bucket, $body) = @{$client}{qw(bucket body)};
	my $conditional = exists $client->{headers}{'if-none-match'};
	my $exists = exists $objects{$name};

	$exists = $client->{existed} if $bucket eq 'sequential' || $bucket eq 'two-winners' || $bucket eq 'wrong-bytes';
	if ($bucket eq 'two-winners')
	{
		my $again = !$client->{existed} && ($counts{"winners $name"} // 0) == 1 && !$counts{'two winners'}++;
		$exists = exists $objects{$name} && !$again;
		$counts{"winners $name"}++ unless $exists;
	}
	if ($bucket eq 'wrong-bytes' && exists $objects{$name})
	{
		$objects{$name}{body} = $body unless $client->{existed};
		return fail($client, 412, 'PreconditionFailed');
	}
	return fail($client, 412, 'PreconditionFailed') if $conditional && $exists && $bucket ne 'ignores';
	return fail($client, 409, 'ConditionalRequestConflict')
		if $bucket eq 'conflict-storm' && $counts{"storm $name"}++ < 3;
	return fail($client, 200, 'InternalError') if $bucket eq 'error-200' && odd("put $name");
	return reply($client, 200, '') if $bucket eq 'no-etag';

	$objects{$name} = { body => $body, time => time };
	return $client->{dead} = 1 if $bucket eq 'lost-response' && odd("put $name");
	return fail($client, 500, 'InternalError') if $bucket eq 'internal-error' && odd("put $name");
	return fail($client, 412, 'PreconditionFailed') if $bucket eq 'duplicated-put' && $conditional;
	return reply($client, 200, '', ETag => '"' . md5_hex($body) . '"');
}

sub get_object
{
	my ($client, $name) = @_;
	my $bucket = $client->{bucket};
	$objects{$name} = { body => scalar keys %uploads, time => time } if $name =~ m{/open-uploads$};
	my $object = $objects{$name};
	return fail($client, 404, 'NoSuchKey') unless $object;
	my $body = $object->{body};
	my %headers = (ETag => '"' . md5_hex($body) . '"',
		'Last-Modified' => strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime $object->{time}));
	my $status = 200;

	if ($bucket ne 'no-ranges' && ($client->{headers}{range} // '') =~ /^bytes=(\d+)-(\d+)$/)
	{
		my ($first, $last, $size) = ($1, $2, length $body);
		return fail($client, 416, 'InvalidRange') if $first >= $size;
		$last = $size - 1 if $last >= $size;
		$last = $first + int(($last - $first) / 2) if $bucket eq 'short-range' && odd('range');
		$body = substr($body, $first, $last - $first + 1);
		$headers{'Content-Range'} = "bytes $first-$last/$size";
		$status = 206;
	}
	my $half = substr($body, 0, length($body) / 2);
	return reply($client, $status, $half, %headers, length => length $body, _close => 1)
		if $bucket eq 'truncated' && $client->{method} eq 'GET' && odd('get');
	return reply($client, $status, $half, %headers, length => -1, _close => 1) if $bucket eq 'no-length';
	return reply($client, $status, $half, %headers, length => length $body) if $bucket eq 'half-body';
	reply($client, $status, $body, %headers);
	$client->{slow} = 1 if $bucket eq 'drip';
	return;
}

sub list_objects
{
	my ($client, %query) = @_;
	my $bucket = $client->{bucket};
	my $prefix = $bucket eq 'wrong-prefix' ? '' : $query{prefix} // '';
	my $after = $query{'continuation-token'} // $query{'start-after'} // '';
	my $max = $query{'max-keys'} // 1000;
	my @keys = sort grep { index($_, $prefix) == 0 && $_ gt $after }
		map { m{^\Q$bucket\E/(.*)$}s ? $1 : () } keys %objects;
	my $more = @keys > $max;
	@keys = @keys[0 .. $max - 1] if $more;
	my $token = $more ? $keys[-1] : '';
	@keys = reverse @keys if $bucket eq 'unordered';
	my $xml = '<?xml version="1.0"?><ListBucketResult><IsTruncated>' . ($more ? 'true' : 'false') . '</IsTruncated>';
	$xml .= "<NextContinuationToken>$token</NextContinuationToken>" if $more;
	for my $key (@keys)
	{
		my $object = $objects{"$bucket/$key"};
		$xml .= '<Contents><Key>' . xml_text($key) . '</Key><LastModified>'
			. strftime('%Y-%m-%dT%H:%M:%S.000Z', gmtime $object->{time}) . '</LastModified><Size>'
			. length($object->{body}) . '</Size></Contents>';
	}
	$xml .= '</ListBucketResult>';
	$xml = substr($xml, 0, length($xml) / 2) if $bucket eq 'bad-list' && odd('list');
	return reply($client, 200, $xml);
}

sub multipart
{
	my ($client, $name, %query) = @_;
	my $method = $client->{method};
	if (exists $query{uploads})
	{
		my $id = 'upload-' . ++$counts{uploads};
		$uploads{$id} = {};
		return reply($client, 200, "<InitiateMultipartUploadResult><UploadId>$id</UploadId></InitiateMultipartUploadResult>");
	}
	my $id = $query{uploadId};
	my $parts = $uploads{$id} or return fail($client, 404, 'NoSuchUpload');
	if ($method eq 'PUT')
	{
		$parts->{ $query{partNumber} } = $client->{body};
		return reply($client, 200, '', ETag => '"' . md5_hex($client->{body}) . '"');
	}
	delete $uploads{$id};
	return reply($client, 204, '') if $method eq 'DELETE';
	$objects{$name} = { body => join('', map { $parts->{$_} } sort { $a <=> $b } keys %$parts), time => time };
	return $client->{dead} = 1 if $client->{bucket} eq 'lost-response';
	return fail($client, 200, 'InternalError') if $client->{bucket} eq 'error-200';
	return reply($client, 200, '<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>');
}

sub delete_many
{
	my ($client) = @_;
	my $bucket = $client->{bucket};
	my $xml = '<DeleteResult>';
	while ($client->{body} =~ m{<Key>([^<]*)</Key>}g)
	{
		my $key = $1;
		if ($key =~ /locked/)
		{
			$xml .= "<Error><Key>$key</Key><Code>AccessDenied</Code><Message>it is locked</Message></Error>";
			next;
		}
		delete $objects{"$bucket/$key"};
		$xml .= "<Deleted><Key>$key</Key></Deleted>" unless $key =~ /forgotten/;
	}
	return reply($client, 200, "$xml</DeleteResult>");
}

sub serve
{
	my ($client) = @_;
	my ($bucket, $method) = @{$client}{qw(bucket method)};
	my ($path, $query) = split /\?/, $client->{target}, 2;
	my ($key) = $path =~ m{^/[^/]*/(.+)$};
	my %query = map { my ($n, $v) = split /=/, $_, 2; $v //= ''; $v =~ s/%(..)/chr hex $1/ge; ($n, $v) }
		split /&/, $query // '';

	return if $bucket eq 'silent';
	return $client->{out} .= "HTTP/1.1 200 OK\r\nContent-Le" if $bucket eq 'half-head';
	return reply($client, 200, '<html><body>Please log in</body></html>') if $bucket eq 'portal';
	return fail($client, 307, 'TemporaryRedirect', 'elsewhere', Location => 'http://127.0.0.1:1/x') if $bucket eq 'redirect';
	return fail($client, 403, 'ExpiredToken') if $bucket eq 'expired';
	return fail($client, 403, 'RequestTimeTooSkewed') if $bucket eq 'skewed';
	return fail($client, 403, 'AccessDenied', 'Access Denied') if $bucket eq 'denied';
	return fail($client, 400, 'AuthorizationHeaderMalformed', 'wrong', _more => '<Region>eu-west-1</Region>')
		if $bucket eq 'wrong-region';
	return fail($client, 404, 'NoSuchBucket') if $bucket eq 'no-bucket';
	return fail($client, 400, 'InvalidRequest', join ' ', map { "$_: $client->{headers}{$_}" } sort keys %{ $client->{headers} })
		if $bucket eq 'echo-secret';
	return fail($client, 503, 'SlowDown', 'slow down', 'Retry-After' => 1) if $bucket eq 'slow-down' && odd('slow-down');

	return delete_many($client) if $method eq 'POST' && exists $query{delete};
	return multipart($client, "$bucket/$key", %query) if exists $query{uploads} || exists $query{uploadId};
	return put_object($client, "$bucket/$key") if $method eq 'PUT';
	return list_objects($client, %query) if $method eq 'GET' && !defined $key;
	return reply($client, 200, '') if !defined $key;
	return get_object($client, "$bucket/$key") if $method eq 'GET' || $method eq 'HEAD';
	if ($method eq 'DELETE')
	{
		delete $objects{"$bucket/$key"};
		return reply($client, 204, '');
	}
	return fail($client, 501, 'NotImplemented');
}

# Take one request from what has been read; true if there was a whole one.
sub take_request
{
	my ($client) = @_;
	my $racy = 0;
	if (!$client->{method})
	{
		return 0 unless $client->{in} =~ s/^(.*?)\r\n\r\n//s;
		my ($line, @headers) = split /\r\n/, $1;
		@{$client}{qw(method target)} = split / /, $line;
		$client->{headers} = { map { /^([^:]+):\s*(.*)$/ ? (lc $1, $2) : () } @headers };
		($client->{bucket}) = $client->{target} =~ m{^/([^/?]*)};
		my ($path) = split /\?/, $client->{target};
		$client->{existed} = exists $objects{ substr($path, 1) };
	}
	my $size = $client->{headers}{'content-length'} // 0;
	return 0 if length $client->{in} < $size;
	$client->{body} = substr($client->{in}, 0, $size, '');
	$racy = 1 if $client->{method} eq 'PUT' && $client->{bucket} =~ /^(sequential|two-winners|wrong-bytes)$/;
	# Time for the other racers to come
	if ($racy) { push @later, [ time + 0.15, $client ] }
	else { finish($client) }
	return 1;
}

sub finish
{
	my ($client) = @_;
	serve($client);
	$client->{method} = '';
	return;
}

sub drop
{
	my ($client) = @_;
	$select->remove($client->{socket});
	delete $clients{ $client->{socket} };
	close $client->{socket};
	return;
}

sub send_out
{
	my ($client) = @_;
	my $size = $client->{slow} ? 1 : 1 << 20;
	return if $client->{slow} && time < ($client->{next} // 0);
	$client->{next} = time + 0.05;
	my $sent = syswrite($client->{socket}, $client->{out}, $size);
	return drop($client) unless defined $sent || $!{EAGAIN};
	substr($client->{out}, 0, $sent // 0, '');
	drop($client) if $client->{out} eq '' && $client->{close};
	return;
}

while (1)
{
	for my $socket ($select->can_read(0.01))
	{
		if ($socket == $listener)
		{
			my $new = $listener->accept or next;
			$new->blocking(0);
			$clients{$new} = { socket => $new, in => '', out => '', method => '', bucket => '' };
			$select->add($new);
			next;
		}
		my $client = $clients{$socket} or next;
		my $read = sysread($socket, $client->{in}, 1 << 20, length $client->{in});
		if (!$read) { drop($client) unless !defined $read && $!{EAGAIN}; next }
		take_request($client) unless $client->{method} && grep { $_->[1] == $client } @later;
	}
	for my $entry (splice @later)
	{
		if ($entry->[0] > time) { push @later, $entry; next }
		finish($entry->[1]) if $clients{ $entry->[1]{socket} };
	}
	for my $client (values %clients)
	{
		if ($client->{dead}) { drop($client) }
		elsif ($client->{out} ne '') { send_out($client) }
	}
}
