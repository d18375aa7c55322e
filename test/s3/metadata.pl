#!/usr/bin/perl
# metadata.pl LOG: what a cloud offers its machines, and a bucket that shows who asks; prints its port, then serves.
#
#	PUT /latest/api/token, GET /latest/meta-data/...	metadata of an instance, version 2 only
#	POST /						the security token service: everybody may assume any role
#	anything else				a bucket that refuses everybody
#
# LOG gets a line for each request: the kind, the access key that signed it (or "-"), and the session token (or "-").
use strict;
use warnings;
use IO::Handle;
use IO::Socket::INET;
use POSIX qw(strftime);

open my $log, '>>', $ARGV[0] or die "log: $!";
$log->autoflush(1);
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 64) or die "listen: $!";
$| = 1;
$SIG{PIPE} = 'IGNORE';
$SIG{CHLD} = 'IGNORE';
print $listener->sockport, "\n";

my $roles = '/latest/meta-data/iam/security-credentials/';

sub expiry { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + 3600)) }

sub answer
{
	my ($method, $path, %headers) = @_;
	my $session = ($headers{'x-aws-ec2-metadata-token'} // '') eq 'SessionNobodyMaySee';
	return ('token', 200, 'SessionNobodyMaySee') if $method eq 'PUT' && $path eq '/latest/api/token';
	return ('metadata', 401, '') if $path =~ m{^/latest/} && !$session;
	return ('metadata', 200, 'machine') if $path eq $roles;
	return ('metadata', 200, '{"Code":"Success","AccessKeyId":"IMDSKEY","SecretAccessKey":"ImdsSecretNobodyMaySee",'
		. '"Token":"ImdsTokenNobodyMaySee","Expiration":"' . expiry() . '"}') if $path eq $roles . 'machine';
	return ('sts', 200, '<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>STSKEY</AccessKeyId>'
		. '<SecretAccessKey>StsSecretNobodyMaySee</SecretAccessKey><SessionToken>StsTokenNobodyMaySee</SessionToken>'
		. '<Expiration>' . expiry() . '</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>') if $method eq 'POST' && $path eq '/';
	return ('bucket', 403, '<Error><Code>AccessDenied</Code><Message>no</Message></Error>');
}

# A process for each connection, so that one that is kept open holds up nobody.
while (my $client = $listener->accept)
{
	next if fork;
	while (my $first = <$client>)
	{
		my ($method, $path) = $first =~ m{^(\S+) (\S+) } or last;
		my %headers;
		while (my $line = <$client>)
		{
			last if $line =~ /^\r?\n$/;
			$headers{lc $1} = $2 if $line =~ /^([^:]+):\s*(.*?)\r?\n/;
		}
		read $client, my $body, $headers{'content-length'} // 0;
		my ($key) = ($headers{authorization} // '') =~ m{Credential=([^/]+)/};
		my ($kind, $status, $text) = answer($method, $path, %headers);
		print $log "$kind ", $key // '-', ' ', $headers{'x-amz-security-token'} // '-', "\n";
		print $client "HTTP/1.1 $status X\r\nContent-Length: ", length $text, "\r\n\r\n", $method eq 'HEAD' ? '' : $text;
		$client->flush;
	}
	exit 0;
}
