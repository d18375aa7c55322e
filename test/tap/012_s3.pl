# What only a bucket can show: the store killed under load [I1] [I2], stalls at every point of a request, credentials
# and who sees them.  The part s3 of the suite starts the store (test/s3/radosgw.sh) and says where it is.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);
use ReefSession;
use ReefTest;

plan skip_all => 'needs REEF_S3_ENDPOINT' unless $ENV{REEF_S3_ENDPOINT};

my $dir = PostgreSQL::Test::Utils::tempdir();
# The server shall learn it by SQL only: at debug5 it logs its environment.
my $secret = delete $ENV{REEF_S3_SECRET};
my $store = new_store();
my $node = new_node('main', conf => "reef.fold_size = '64kB'\nreef.fold_interval = '500ms'\nlog_min_messages = debug5\nlog_statement = none\n");
attach_with_secret($node, <<'SQL');
ALTER SERVER lake OPTIONS (ADD max_retries '20');
CREATE FOREIGN TABLE ledger (
	id bigint OPTIONS (key 'true'),
	part int OPTIONS (key 'true'),
	note text NOT NULL)
	SERVER lake OPTIONS (namespace 'public/ledger');
SQL

sub attach_with_secret
{
	my ($server, $ddl) = @_;
	local $ENV{REEF_S3_SECRET} = $secret;
	attach($server, $store, $ddl);
	return;
}

sub store_script { system('bash', $ENV{REEF_S3_SCRIPT}, $_[0], $ENV{REEF_S3_DIR}) == 0 or die "store: $_[0]"; return }

sub check
{
	my ($what) = @_;
	my @ids = acknowledged($dir);
	my $file = "$dir/ids";
	open my $fh, '>', $file or die;
	print $fh "$_\n" for @ids;
	close $fh;
	chmod 0644, $file;
	my ($lost, $partial) = split /\n/, $node->safe_psql('postgres', <<SQL);
CREATE TEMP TABLE acknowledged (id bigint);
COPY acknowledged FROM '$file';
SELECT coalesce(string_agg(id::text, ' '), 'none') FROM acknowledged a
	WHERE (SELECT count(*) FROM ledger l WHERE l.id = a.id) <> 3;
SELECT count(*) FROM (SELECT id FROM ledger GROUP BY id HAVING count(*) <> 3 OR count(DISTINCT part) <> 3) x;
SQL
	is($lost, 'none', "$what: none of " . scalar(@ids) . " acknowledged transactions is lost");
	is($partial, 0, "$what: no transaction is there in part");
	return scalar @ids;
}

# The store dies with kill -9 in mid-load; the clients see errors, or nothing but a delay.
my $last = 0;
for my $round (1 .. 4)
{
	my $gateway_only = $round % 2;
	my @writers = start_writers($node, 4, $round, $dir);
	# Sessions of the round before may still be finding out what became of their commits.
	ok(wait_until(60, sub { acknowledged($dir) > $last + 20 }), "round $round: the writers get somewhere");
	if ($gateway_only) { store_script('rgw') }
	else
	{
		store_script('kill');
		usleep(300_000);
		store_script('start');
	}
	usleep(500_000);
	stop_writers(@writers);
	$last = check("round $round (" . ($gateway_only ? 'gateway' : 'all daemons') . ' killed)');
}
ok(wait_until(20, sub {
	$node->safe_psql('postgres', q{SELECT segments_level0 + segments_level1 > 0 FROM reef_stats('ledger')}) eq 't' }),
	'a worker folds with the credentials that a session has left');

# On a server that has never seen the bucket.
my $other = new_node('other');
attach_with_secret($other, 'IMPORT FOREIGN SCHEMA public FROM SERVER lake INTO public;');
is($other->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id) FROM ledger'),
	$node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id) FROM ledger'), 'a second server sees the same');
$other->stop;

# Stalls: each of these takes the request so far and no further.
my $liar_pid = open my $liar, '-|', 'perl', "$FindBin::RealBin/../s3/liar.pl" or die;
my $port = <$liar>;
chomp $port;
my $deaf = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die;
my $deaf_port = $deaf->sockport;
# Its queue is full, so a connection is neither made nor refused.
my @fillers = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $deaf_port, Timeout => 0.2) } 1 .. 4;
my %stalls = (
	connect => ['honest', "http://127.0.0.1:$deaf_port"],
	tls => ['honest', "https://127.0.0.1:$port"],
	answer => ['silent', "http://127.0.0.1:$port"],
	head => ['half-head', "http://127.0.0.1:$port"],
);
my $mapping = "OPTIONS (access_key_id 'k', secret_access_key 's')";
for my $name (sort keys %stalls)
{
	my ($bucket, $endpoint) = @{ $stalls{$name} };
	$node->safe_psql('postgres', <<SQL);
CREATE SERVER s_$name FOREIGN DATA WRAPPER reef_fdw
	OPTIONS (location 's3://$bucket', endpoint '$endpoint', connect_timeout '60s', request_timeout '60s');
CREATE USER MAPPING FOR PUBLIC SERVER s_$name $mapping;
CREATE FOREIGN TABLE t_$name (id int OPTIONS (key 'true')) SERVER s_$name OPTIONS (namespace 'public/t');
SQL
}
my $control = ReefSession->new($node);
for my $name (sort keys %stalls)
{
	for my $kind (qw(cancel timeout terminate))
	{
		my $session = ReefSession->new($node);
		$session->run("SET statement_timeout = '500ms'") if $kind eq 'timeout';
		my $since = time;
		$session->send("SELECT * FROM t_$name");
		if ($session->is_done(0.3))
		{
			fail("$name: it should wait: " . $session->answer->{err});
			next;
		}
		$since = $kind eq 'timeout' ? $since + 0.5 : time;
		$control->run('SELECT pg_cancel_backend(' . $session->pid . ')') if $kind eq 'cancel';
		$control->run('SELECT pg_terminate_backend(' . $session->pid . ')') if $kind eq 'terminate';
		my $answer = $session->answer(20);
		cmp_ok(time - $since, '<', 1.5, "$name: $kind takes effect soon");
		is($answer->{sqlstate}, $kind eq 'terminate' ? '57P01' : '57014', "$name: SQLSTATE of $kind");
	}
}

# An answer's body that does not end, and a commit that nobody answers.
$node->safe_psql('postgres', <<SQL);
CREATE SERVER s_body FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 's3://half-body', endpoint 'http://127.0.0.1:$port');
CREATE USER MAPPING FOR PUBLIC SERVER s_body $mapping;
CREATE FOREIGN TABLE t_body (id int OPTIONS (key 'true')) SERVER s_body OPTIONS (namespace 'public/t');
SQL
{
	my $session = ReefSession->new($node);
	$session->send('INSERT INTO t_body VALUES (1)');
	ok(!$session->is_done(0.5), 'the probe of a new namespace waits for a body');
	my $since = time;
	$control->run('SELECT pg_cancel_backend(' . $session->pid . ')');
	my $answer = $session->answer(20);
	cmp_ok(time - $since, '<', 2, 'body: cancel takes effect soon');
	like($answer->{sqlstate}, qr/^(57014|40001|08)/, 'body: it was not committed');
}

# Other databases can be dropped while a session waits for the store, and its own one by force.
for my $kind (sort keys %stalls)
{
	$node->safe_psql('postgres', 'CREATE DATABASE unconcerned');
	$node->safe_psql('postgres', 'CREATE DATABASE concerned');
	my ($bucket, $endpoint) = @{ $stalls{$kind} };
	$node->safe_psql('concerned', <<SQL);
CREATE EXTENSION reef_fdw;
CREATE SERVER lake FOREIGN DATA WRAPPER reef_fdw
	OPTIONS (location 's3://$bucket', endpoint '$endpoint', connect_timeout '60s', request_timeout '60s');
CREATE USER MAPPING FOR PUBLIC SERVER lake $mapping;
CREATE FOREIGN TABLE t (id int OPTIONS (key 'true')) SERVER lake OPTIONS (namespace 'public/t');
SQL
	my $session = ReefSession->new($node, database => 'concerned');
	$session->send('BEGIN; SELECT * FROM t');
	ok(!$session->is_done(0.4), "$kind: it waits for the store");
	my $since = time;
	is($control->run('DROP DATABASE unconcerned')->{err}, '', "$kind: DROP DATABASE of another database");
	cmp_ok(time - $since, '<', 1.5, "$kind: soon");
	$since = time;
	is($control->run('DROP DATABASE concerned WITH (FORCE)')->{err}, '', "$kind: DROP DATABASE of the one that waits");
	cmp_ok(time - $since, '<', 1.5, "$kind: soon too");
}

# Liars are refused when a namespace is created.
for my $bucket (qw(ignores sequential two-winners))
{
	my $name = $bucket =~ tr/-/_/r;
	$node->safe_psql('postgres', <<SQL);
CREATE SERVER s_$name FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 's3://$bucket', endpoint 'http://127.0.0.1:$port');
CREATE USER MAPPING FOR PUBLIC SERVER s_$name $mapping;
CREATE FOREIGN TABLE t_$name (id int OPTIONS (key 'true')) SERVER s_$name OPTIONS (namespace 'public/t');
SQL
	my $answer = ReefSession->new($node)->run("INSERT INTO t_$name VALUES (1)");
	is($answer->{sqlstate}, '0A000', "$bucket is refused");
	like($answer->{err}, qr/does not keep the promise of conditional puts/, "$bucket: and told why");
}

# A changed mapping counts from the next statement on.
{
	my $session = ReefSession->new($node);
	is($session->run('SELECT count(*) > 0 FROM ledger')->{out}, 't', 'the right key reads');
	$control->run(q{ALTER USER MAPPING FOR PUBLIC SERVER lake OPTIONS (SET secret_access_key 'wrong')});
	my $answer = $session->run('SELECT count(*) > 0 FROM ledger');
	is($answer->{sqlstate}, '28000', 'a wrong key does not, whatever is in memory');
	like($answer->{err}, qr/request id/, 'and the request can be found');
	$control->run("ALTER USER MAPPING FOR PUBLIC SERVER lake OPTIONS (SET secret_access_key '$secret')");
	is($session->run('SELECT count(*) > 0 FROM ledger')->{out}, 't', 'the right key reads again');
}

# A user without keys of his own, and one with another's endpoint.
$node->safe_psql('postgres', 'CREATE ROLE plain LOGIN IN ROLE pg_monitor; GRANT SELECT ON ledger TO plain; GRANT USAGE ON FOREIGN SERVER lake TO plain');
{
	my $session = ReefSession->new($node);
	$control->run('DROP USER MAPPING FOR PUBLIC SERVER lake');
	$session->run('SET ROLE plain');
	is($session->run('SELECT count(*) FROM ledger')->{sqlstate}, '2F003', 'no keys of one\'s own');
	$control->run("CREATE USER MAPPING FOR plain SERVER lake OPTIONS (access_key_id '$ENV{REEF_S3_KEY}', secret_access_key '$secret')");
	$control->run('ALTER FOREIGN TABLE ledger OWNER TO plain');
	is($session->run('SELECT count(*) > 0 FROM ledger')->{out}, 't', 'keys of one\'s own');
}

# Two identities commit to one table at the same time, each with its own keys.
$node->safe_psql('postgres', <<SQL);
CREATE USER MAPPING FOR postgres SERVER lake OPTIONS (access_key_id 'nobody', secret_access_key 'wrong');
CREATE FOREIGN TABLE ledger_too (id bigint OPTIONS (key 'true'), part int OPTIONS (key 'true'), note text NOT NULL)
	SERVER lake OPTIONS (namespace 'public/ledger');
SQL
is(ReefSession->new($node)->run('SELECT count(*) FROM ledger_too')->{sqlstate}, '28000',
	'what another identity has in memory is not shown to wrong keys');

# The secret is nowhere: not in the log of a debug5 run, not where everybody may look.
{
	my $log = slurp_file($node->logfile);
	# Statements that contain it are the user's own; here they went without an error.
	is(() = $log =~ /\Q$secret\E/g, 0, 'the secret is not in the log');
	is(() = $log =~ /Signature=|AWS4/g, 0, 'no signature is in the log');
	my $seen = $node->safe_psql('postgres', <<'SQL', extra_params => [ '-U', 'plain' ]);
SELECT string_agg(x, ' ') FROM (
	SELECT query AS x FROM pg_stat_activity WHERE pid <> pg_backend_pid()
	UNION ALL SELECT s::text FROM reef_namespaces s UNION ALL SELECT srvoptions::text FROM pg_foreign_server
	UNION ALL SELECT umoptions::text FROM pg_user_mappings WHERE usename = 'postgres') y;
SQL
	unlike($seen, qr/\Q$secret\E/, 'others see no secret');
	my $explain = $node->safe_psql('postgres', 'EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM ledger', extra_params => [ '-U', 'plain' ]);
	unlike($explain, qr/\Q$secret\E|\Q$ENV{REEF_S3_KEY}\E/, 'EXPLAIN shows none');
}
{
	my ($pid) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');
	like(slurp_file("/proc/$pid/smaps"), qr/^VmFlags:.*\bsh\b.*\bdd\b/m, 'the shared credentials are kept out of core dumps');
}

# Shutdown does not wait for a store that does not answer.
{
	my $session = ReefSession->new($node);
	$session->send('SELECT * FROM t_answer');
	$session->is_done(0.3);
	my $since = time;
	$node->stop('fast');
	cmp_ok(time - $since, '<', 5, 'a fast shutdown is fast');
}

# Nor does a session outlive its postmaster because of one.
{
	$node->start;
	my $session = ReefSession->new($node);
	$session->send('SELECT * FROM t_answer');
	ok(!$session->is_done(0.5), 'it waits for the store');
	my $backend = $session->pid;
	my ($postmaster) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');
	kill 'KILL', $postmaster;
	ok(wait_until(2, sub { !kill 0, $backend }), 'the death of the postmaster ends it');
	kill 'KILL', $backend;
	$node->{_pid} = undef;
}
kill 'KILL', $liar_pid;

done_testing();
