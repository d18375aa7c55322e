# TLS in front of a bucket: whom we trust, and that nothing goes out before we do.  nginx is the front, with a
# certificate of an authority of the test's own; the part s3 of the suite starts the store behind it.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use ReefSession;
use ReefTest;

plan skip_all => 'needs REEF_S3_ENDPOINT' unless $ENV{REEF_S3_ENDPOINT};
my ($nginx) = grep { -x } '/usr/sbin/nginx', '/usr/bin/nginx', '/usr/local/sbin/nginx';
plan skip_all => 'needs nginx' unless $nginx;
plan skip_all => 'needs openssl' if system('openssl version >/dev/null 2>&1') != 0;

my $dir = PostgreSQL::Test::Utils::tempdir();
my ($store_host) = $ENV{REEF_S3_ENDPOINT} =~ m!^http://(.*)$!;

sub openssl { system("cd $dir && openssl $_[0] >>openssl.log 2>&1") == 0 or die "openssl $_[0]: " . slurp_file("$dir/openssl.log"); return }

# Two authorities; certificates for the address, for another name, and for the address but of long ago.
for my $authority (qw(ours other))
{
	openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=$authority -keyout $authority.key -out $authority.pem");
}

sub make_certificate
{
	my ($name, $san, $validity) = @_;
	openssl("req -newkey rsa:2048 -nodes -subj /CN=$name -keyout $name.key -out $name.csr");
	append_to_file("$dir/$name.ext", "subjectAltName=$san\n");
	openssl("x509 -req -in $name.csr -CA ours.pem -CAkey ours.key -CAcreateserial $validity -extfile $name.ext -out $name.pem");
	return;
}
make_certificate('good', 'IP:127.0.0.1', '-days 2');
make_certificate('elsewhere', 'DNS:elsewhere.example', '-days 2');
make_certificate('expired', 'IP:127.0.0.1', '-days 0');

my %ports = map { $_ => PostgreSQL::Test::Cluster::get_free_port() } qw(good elsewhere expired old plain);
sub front
{
	my ($name, $certificate, $protocols) = @_;
	return <<CONF;
	server {
		listen 127.0.0.1:$ports{$name} ssl;
		ssl_certificate $dir/$certificate.pem;
		ssl_certificate_key $dir/$certificate.key;
		ssl_protocols $protocols;
		location / { proxy_pass http://$store_host; }
	}
CONF
}
append_to_file("$dir/nginx.conf", <<CONF);
daemon off;
master_process off;
pid $dir/nginx.pid;
error_log $dir/nginx_error.log;
events { worker_connections 256; }
http {
	access_log $dir/access.log;
	client_body_temp_path $dir/body;
	proxy_temp_path $dir/proxy;
	fastcgi_temp_path $dir/fastcgi;
	uwsgi_temp_path $dir/uwsgi;
	scgi_temp_path $dir/scgi;
	client_max_body_size 0;
	proxy_set_header Host \$http_host;
	proxy_http_version 1.1;
	proxy_request_buffering off;
@{[ front('good', 'good', 'TLSv1.2 TLSv1.3') ]}
@{[ front('elsewhere', 'elsewhere', 'TLSv1.2 TLSv1.3') ]}
@{[ front('expired', 'expired', 'TLSv1.2 TLSv1.3') ]}
@{[ front('old', 'good', 'TLSv1 TLSv1.1') ]}
}
CONF
my $nginx_pid = fork // die;
if ($nginx_pid == 0)
{
	open STDOUT, '>', "$dir/nginx.out";
	open STDERR, '>&', \*STDOUT;
	exec $nginx, '-p', $dir, '-e', "$dir/nginx_error.log", '-c', "$dir/nginx.conf" or die;
}
END { kill 'KILL', $nginx_pid if $nginx_pid }
wait_until(10, sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $ports{good}) })
	or die 'nginx: ' . slurp_file("$dir/nginx.out");

my $node = new_node('main');
$node->safe_psql('postgres', 'CREATE EXTENSION reef_fdw');
my $bucket = new_store();
my $number = 0;

# What becomes of an INSERT over such a server.
sub attempt
{
	my (%options) = @_;
	my $name = 's' . ++$number;
	my $list = join ', ', map { "$_ '$options{$_}'" } sort keys %options;
	$node->safe_psql('postgres', <<SQL);
CREATE SERVER $name FOREIGN DATA WRAPPER reef_fdw OPTIONS (location '$bucket', $list, max_retries '0');
CREATE USER MAPPING FOR PUBLIC SERVER $name OPTIONS (access_key_id '$ENV{REEF_S3_KEY}', secret_access_key '$ENV{REEF_S3_SECRET}');
CREATE FOREIGN TABLE t_$name (id int OPTIONS (key 'true')) SERVER $name OPTIONS (namespace 'public/t');
SQL
	return ReefSession->new($node)->run("INSERT INTO t_$name VALUES ($number)");
}

sub requests { return -e "$dir/access.log" ? scalar(() = slurp_file("$dir/access.log") =~ /\n/g) : 0 }

my $answer = attempt(endpoint => "https://127.0.0.1:$ports{good}", ca_file => "$dir/ours.pem");
is($answer->{err}, '', 'a private authority that is named is trusted');
is($node->safe_psql('postgres', 'SELECT count(*) FROM t_s1'), 1, 'and the row is there');
cmp_ok(requests(), '>', 5, 'the requests went through nginx');
my $before = requests();

my %refused = (
	'the system\'s authorities do not include it' => [ { endpoint => "https://127.0.0.1:$ports{good}" }, qr/certificate/i ],
	'a wrong authority' => [ { endpoint => "https://127.0.0.1:$ports{good}", ca_file => "$dir/other.pem" }, qr/certificate/i ],
	'a certificate for another name' =>
		[ { endpoint => "https://127.0.0.1:$ports{elsewhere}", ca_file => "$dir/ours.pem" }, qr/subject|name/i ],
	'a certificate that has expired' => [ { endpoint => "https://127.0.0.1:$ports{expired}", ca_file => "$dir/ours.pem" }, qr/expired/i ],
	'TLS older than 1.2' => [ { endpoint => "https://127.0.0.1:$ports{old}", ca_file => "$dir/ours.pem" }, qr/version|protocol|handshake|alert/i ],
	'https to a server of http' => [ { endpoint => "https://$store_host", ca_file => "$dir/ours.pem" }, qr/SSL|TLS|version/i ],
	'a file of authorities that is not there' =>
		[ { endpoint => "https://127.0.0.1:$ports{good}", ca_file => "$dir/nobody.pem" }, qr/certificate|CAfile/i ],
);
for my $name (sort keys %refused)
{
	my ($options, $reason) = @{ $refused{$name} };
	my $since = time;
	$answer = attempt(%$options);
	is($answer->{sqlstate}, '08001', "$name: SQLSTATE");
	like($answer->{err}, $reason, "$name: the reason is told");
	cmp_ok(time - $since, '<', 5, "$name: soon");
}
# http to a port of https, which answers 400: never a fall back in either direction.
$answer = attempt(endpoint => "http://127.0.0.1:$ports{good}");
isnt($answer->{sqlstate}, undef, 'http to a server of https fails');
unlike(slurp_file("$dir/access.log") =~ s/^(?:.*\n){$before}//r, qr/" 2\d\d /, 'nobody was served without trust');
is($node->safe_psql('postgres', 'SELECT string_agg(id::text, \',\') FROM t_s1'), '1', 'and nothing was written');

# A session is resumed, a connection kept: a warm commit makes no new handshake.
{
	my $session = ReefSession->new($node);
	$session->run('INSERT INTO t_s1 VALUES (1001)');
	my $count = requests();
	$session->run("INSERT INTO t_s1 VALUES (2000 + $_)") for 1 .. 5;
	is(requests() - $count, 5, 'five commits, five requests');
}
kill 'TERM', $nginx_pid;
waitpid $nginx_pid, 0;
undef $nginx_pid;
$answer = ReefSession->new($node)->run('SET LOCAL reef.commit_timeout = 2000; INSERT INTO t_s1 VALUES (3000)');
like($answer->{sqlstate}, qr/^(08|40)/, 'without the front nothing is committed');
$node->stop;
done_testing();
