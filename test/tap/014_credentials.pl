# Credentials of the server's own: who may say where they are from, who may use them, which are used, and who sees
# them.  test/s3/metadata.pl is the cloud; where REEF_S3_ENDPOINT names a real store, its keys come from the environment.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ReefSession;
use ReefTest;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $seen = "$dir/seen";
my $cloud_pid = open my $cloud, '-|', 'perl', "$FindBin::RealBin/../s3/metadata.pl", $seen or die;
chomp(my $port = <$cloud>);
my $liar_pid = open my $liar, '-|', 'perl', "$FindBin::RealBin/../s3/liar.pl" or die;
chomp(my $liar_port = <$liar>);

sub write_config
{
	open my $fh, '>', "$dir/config" or die;
	print $fh map { "$_\n" } @_;
	close $fh;
	return;
}
write_config('[profile one]', 'aws_access_key_id = FILEKEY', 'aws_secret_access_key = FileSecretNobodyMaySee');

my $env_key = $ENV{REEF_S3_KEY} // 'ENVKEY';
my $env_secret = $ENV{REEF_S3_SECRET} // 'EnvSecretNobodyMaySee';
my $node;
{
	local %ENV = %ENV;
	delete $ENV{$_} for grep { /^AWS_|^REEF_S3_SECRET/ } keys %ENV;
	$ENV{AWS_ACCESS_KEY_ID} = $env_key;
	$ENV{AWS_SECRET_ACCESS_KEY} = $env_secret;
	$ENV{AWS_CONFIG_FILE} = "$dir/config";
	$ENV{AWS_SHARED_CREDENTIALS_FILE} = "$dir/none";
	$ENV{AWS_EC2_METADATA_SERVICE_ENDPOINT} = "http://127.0.0.1:$port";
	$ENV{AWS_ENDPOINT_URL_STS} = "http://127.0.0.1:$port";
	$node = new_node('main', conf => "reef.fold_size = '64kB'\nreef.fold_interval = '500ms'\nreef.allowed_endpoints = '127.0.0.1'\nlog_statement = none\n");
}
# Not before: at debug3 the server logs its environment when it starts.
$node->safe_psql('postgres', 'ALTER SYSTEM SET log_min_messages = debug5');
$node->reload;

my $role = 'arn:aws:iam::123456789012:role/reader';
my $place = "location 's3://bucket', endpoint 'http://127.0.0.1:$port'";
$node->safe_psql('postgres', <<SQL);
CREATE EXTENSION reef_fdw;
CREATE ROLE bob LOGIN;
CREATE ROLE eve LOGIN;
GRANT USAGE ON FOREIGN DATA WRAPPER reef_fdw TO bob;
GRANT CREATE ON SCHEMA public TO bob;
SQL

my $super = ReefSession->new($node);
my $bob = ReefSession->new($node);
$bob->run('SET SESSION AUTHORIZATION bob');

sub fails
{
	my ($session, $sql, $sqlstate, $name) = @_;
	my $answer = $session->run($sql);
	is($answer->{sqlstate}, $sqlstate, $name);
	return $answer;
}

# ---- who may say it ----

fails($bob, "CREATE SERVER no FOREIGN DATA WRAPPER reef_fdw OPTIONS ($place, $_)", '42501', "not for everybody: $_")
	for "credential_source 'env'", "credential_source 'imds'", "credential_source 'chain'", "profile 'one'", "role_arn '$role'";
is($bob->run("CREATE SERVER own FOREIGN DATA WRAPPER reef_fdw OPTIONS ($place, credential_source 'mapping')")->{err}, '',
	'one\'s own mapping is for everybody');
fails($bob, q{ALTER SERVER own OPTIONS (SET credential_source 'env')}, '42501', 'nor by ALTER');
fails($super, "CREATE SERVER no FOREIGN DATA WRAPPER reef_fdw OPTIONS ($place, $_->[0])", '22023', $_->[1])
	for ["credential_source 'magic'", 'no such source'], ["credential_source 'imds', profile 'one'", 'a profile for another source'],
	["role_arn 'reader'", 'no role'];

my %sources = (
	env => ["credential_source 'env'", "$env_key -"],
	profile => ["credential_source 'profile', profile 'one'", 'FILEKEY -'],
	imds => ["credential_source 'imds'", 'IMDSKEY ImdsTokenNobodyMaySee'],
	chain => ["credential_source 'chain'", "$env_key -"],
	role => ["credential_source 'imds', role_arn '$role'", 'STSKEY StsTokenNobodyMaySee'],
);
for my $name (sort keys %sources)
{
	$node->safe_psql('postgres', <<SQL);
CREATE SERVER s_$name FOREIGN DATA WRAPPER reef_fdw OPTIONS ($place, $sources{$name}[0]);
CREATE FOREIGN TABLE t_$name (id int OPTIONS (key 'true')) SERVER s_$name OPTIONS (namespace 'public/t_$name');
GRANT SELECT ON t_$name TO bob, eve;
GRANT USAGE ON FOREIGN SERVER s_$name TO bob, eve;
SQL
}
fails($bob, q{CREATE USER MAPPING FOR bob SERVER s_env OPTIONS (allow_server_credentials 'true')}, '42501', 'nobody gives himself leave');
is($bob->run(q{CREATE USER MAPPING FOR bob SERVER s_env OPTIONS (allow_server_credentials 'false')})->{err}, '', 'none may be said');
fails($bob, q{ALTER USER MAPPING FOR bob SERVER s_env OPTIONS (SET allow_server_credentials 'true')}, '42501', 'nor by ALTER');
$super->run('ALTER SERVER s_chain OWNER TO bob');
fails($bob, q{ALTER SERVER s_chain OPTIONS (SET location 's3://elsewhere')}, '42501', 'an owner cannot direct the identity elsewhere');

# ---- which are used, by whom ----

# Who asked the bucket during a statement.
sub who
{
	my ($session, $sql) = @_;
	truncate $seen, 0;
	my $answer = $session->run($sql);
	my %keys = map { $_ => 1 } slurp_file($seen) =~ /^bucket (.*)$/mg;
	return ($answer->{sqlstate}, join ' and ', sort keys %keys);
}

for my $name (sort keys %sources)
{
	my ($sqlstate, $keys) = who($super, "SELECT * FROM t_$name");
	is($keys, $sources{$name}[1], "$name: the identity that was meant");
	is($sqlstate, '42501', "$name: which the bucket refuses");
	($sqlstate, $keys) = who($bob, "SELECT * FROM t_$name");
	is($sqlstate, '2F003', "$name: not for everybody");
	is($keys, '', "$name: and nobody is asked");
}
like(fails($bob, 'SELECT * FROM t_imds', '2F003', 'no leave')->{err}, qr/allow_server_credentials/, 'it says how to get it');

truncate $seen, 0;
$super->run('SELECT * FROM t_imds');
unlike(slurp_file($seen), qr/^(token|metadata)/m, 'a session looks once');

$super->run(q{CREATE USER MAPPING FOR bob SERVER s_imds OPTIONS (allow_server_credentials 'true')});
is((who($bob, 'SELECT * FROM t_imds'))[1], 'IMDSKEY ImdsTokenNobodyMaySee', 'with leave');
$super->run(q{ALTER USER MAPPING FOR bob SERVER s_imds OPTIONS (SET allow_server_credentials 'false')});
is((who($bob, 'SELECT * FROM t_imds'))[0], '2F003', 'without again, from the next statement on');
$super->run(q{ALTER USER MAPPING FOR bob SERVER s_imds OPTIONS (SET allow_server_credentials 'true', ADD access_key_id 'BOBKEY', ADD secret_access_key 'BobSecretNobodyMaySee')});
is((who($bob, 'SELECT * FROM t_imds'))[1], 'BOBKEY -', 'keys in the mapping count before');
$super->run(q{CREATE USER MAPPING FOR bob SERVER s_role OPTIONS (access_key_id 'BOBKEY', secret_access_key 'BobSecretNobodyMaySee')});
is((who($bob, 'SELECT * FROM t_role'))[1], 'STSKEY StsTokenNobodyMaySee', 'a role is assumed');
like(slurp_file($seen), qr/^sts BOBKEY -$/m, 'with the user\'s own keys');
$super->run(q{CREATE USER MAPPING FOR PUBLIC SERVER s_profile OPTIONS (allow_server_credentials 'true')});
is((who($bob, 'SELECT * FROM t_profile'))[1], 'FILEKEY -', 'leave for everybody');

# Whose rights count: the owner's of the view.
$super->run('CREATE VIEW v_super AS SELECT * FROM t_env; GRANT SELECT ON v_super TO bob');
is((who($bob, 'SELECT * FROM v_super'))[1], "$env_key -", 'a superuser\'s view may use it');
$bob->run('CREATE VIEW v_bob AS SELECT * FROM t_env');
is((who($super, 'SELECT * FROM v_bob'))[0], '2F003', 'another\'s view may not, whoever asks');

# ---- the whole of it, with workers ----

my ($location, $endpoint, $source) = $ENV{REEF_S3_ENDPOINT} ? (new_store(), $ENV{REEF_S3_ENDPOINT}, 'env') :
	('s3://honest/t', "http://127.0.0.1:$liar_port", 'imds');
$node->safe_psql('postgres', <<SQL);
CREATE SERVER real FOREIGN DATA WRAPPER reef_fdw OPTIONS (location '$location', endpoint '$endpoint', credential_source '$source');
CREATE USER MAPPING FOR bob SERVER real OPTIONS (allow_server_credentials 'true');
CREATE FOREIGN TABLE t_real (id int OPTIONS (key 'true'), note text) SERVER real OPTIONS (namespace 'public/t');
ALTER FOREIGN TABLE t_real OWNER TO bob;
SQL
is($bob->run(q{INSERT INTO t_real SELECT i, repeat('x', 100) FROM generate_series(1, 1000) i})->{err}, '', 'rows are written');
is($bob->run('SELECT count(*) FROM t_real')->{out}, '1000', 'and read');
ok(wait_until(20, sub {
	$node->safe_psql('postgres', q{SELECT segments_level0 + segments_level1 > 0 FROM reef_stats('t_real')}) eq 't' }),
	'a worker folds, and finds the credentials by itself');

# Keys that the store refuses are looked for again, and what was derived from them is forgotten.
SKIP:
{
	skip 'needs a store that checks signatures', 2 unless $ENV{REEF_S3_ENDPOINT};
	write_config('[profile two]', "aws_access_key_id = $env_key", 'aws_secret_access_key = FileSecretNobodyMaySee');
	$node->safe_psql('postgres', <<SQL);
CREATE SERVER two FOREIGN DATA WRAPPER reef_fdw OPTIONS (location '$location', endpoint '$endpoint', credential_source 'profile', profile 'two');
CREATE FOREIGN TABLE t_two (id int OPTIONS (key 'true'), note text) SERVER two OPTIONS (namespace 'public/t');
SQL
	fails($super, 'SELECT count(*) FROM t_two', '28000', 'a wrong key in a file');
	write_config('[profile two]', "aws_access_key_id = $env_key", "aws_secret_access_key = $env_secret");
	sleep 6;
	is($super->run('SELECT count(*) FROM t_two')->{out}, '1000', 'the right one, in the same session');
}

# ---- who sees them ----

my $explain = $super->run('EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM t_real')->{out};
my $catalogs = $node->safe_psql('postgres', <<'SQL', extra_params => [ '-U', 'eve' ]);
SELECT string_agg(x, ' ') FROM (
	SELECT query AS x FROM pg_stat_activity WHERE pid <> pg_backend_pid()
	UNION ALL SELECT srvoptions::text FROM pg_foreign_server
	UNION ALL SELECT ftoptions::text FROM pg_foreign_table
	UNION ALL SELECT m::text FROM pg_user_mappings m) y;
SQL
my $monitor = $node->safe_psql('postgres', <<'SQL');
SELECT string_agg(x, ' ') FROM (
	SELECT n::text AS x FROM reef_namespaces n UNION ALL SELECT s::text FROM reef_stat_store s
	UNION ALL SELECT m::text FROM reef_stat_maintenance m) y;
SQL
$node->stop('fast');
my %texts = (log => slurp_file($node->logfile), explain => $explain, catalogs => $catalogs, monitor => $monitor);
# Statements that set a mapping's secret are the user's own; here they went without an error.
for my $name (sort keys %texts)
{
	cmp_ok(length $texts{$name}, '>', 0, "$name: there is something to look at");
	unlike($texts{$name}, qr/(Imds|Sts|File|Env|Bob|Session)\w*NobodyMaySee|\Q$env_secret\E/, "$name: no secret and no token");
	unlike($texts{$name}, qr/Signature=|AWS4-HMAC/, "$name: no signature");
}
unlike($texts{explain} . $texts{catalogs} . $texts{monitor}, qr/IMDSKEY|STSKEY|FILEKEY/, 'nor the key\'s name where others look');

kill 'KILL', $cloud_pid, $liar_pid;
done_testing();
