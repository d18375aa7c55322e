# The local cache in the server: a warm read asks a bucket for nothing, whoever reads it; folds are written through;
# it survives restarts, kills and damage, and a table that was dropped and made again is itself [I10].  The bucket is
# that of the lying server of the tests, where it does not lie, or the one that REEF_S3_ENDPOINT names.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ReefTest;

my $dir = PostgreSQL::Test::Utils::tempdir();
my ($liar, $liar_pid);
if (!$ENV{REEF_S3_ENDPOINT})
{
	$liar_pid = open $liar, '-|', 'perl', "$FindBin::RealBin/../s3/liar.pl" or die;
	my $port = <$liar>;
	chomp $port;
	@ENV{qw(REEF_S3_ENDPOINT REEF_S3_BUCKET REEF_S3_KEY REEF_S3_SECRET)} = ("http://127.0.0.1:$port", 'honest', 'k', 's');
}
END { local $?; kill 'KILL', $liar_pid if $liar_pid }

my $store = new_store();
my $cache = "$dir/cache";
my $node = new_node('main', conf => <<CONF);
reef.cache_dir = '$cache'
reef.cache_size = '64MB'
reef.page_cache_size = 0
reef.fold_interval = '1h'
reef.auto_compact = off
reef.auto_gc = off
autovacuum = off
CONF
my $table = "CREATE FOREIGN TABLE t (id bigint OPTIONS (key 'true'), note text) SERVER lake OPTIONS (namespace 'public/t');";
attach($node, $store, $table);

sub value { return $node->safe_psql('postgres', $_[0]) }

# Requests for objects so far, of all sessions; the last ones count when they end.
sub get_requests { return value("SELECT requests FROM reef_stat_store WHERE request = 'get'") }

sub cached { return value("SELECT $_[0] FROM reef_stat_store WHERE request = 'get'") }

# What a query answers, and how many objects or ranges it had the store send besides the manifest's check.
sub cost
{
	my ($query) = @_;
	my $before = get_requests();
	my $answer = value($query);
	return ($answer, get_requests() - $before);
}

my $sum = 'SELECT count(*), sum(id), sum(length(note)), min(md5(note)) FROM t';
value("INSERT INTO t SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 20000) i");
my $expected = value($sum);
value("SELECT * FROM reef_fold('t')");
cmp_ok(cached('cache_filled_bytes'), '>', 100_000, 'a fold is written through');

my ($answer, $requests) = cost($sum);
is($answer, $expected, 'what was folded is read right');
is($requests, 0, '... without asking the bucket');
is(cached('cache_misses'), 0, '... and nothing was missed');
cmp_ok(cached('cache_hits'), '>', 0, 'hits are counted');
is(cached('cache_hit_ratio'), 1, 'so is their share');
like(value("EXPLAIN (ANALYZE, VERBOSE, COSTS OFF, TIMING OFF, SUMMARY OFF) $sum"), qr/Cache Hits: [1-9]\d*\n.*Cache Misses: 0/,
	'EXPLAIN shows them');
is(((stat $cache)[2] & 07777), 0700, 'nobody else may enter the directory');
ok(!(grep { (stat)[2] & 077 } glob "$cache/block-*"), '... or read its files');

# A restart finds what is there, and removes what a crash has left.
kill_everything($node);
append_to_file("$cache/temporary-0123456789abcdef", 'x');
$node->start;
is(value("SELECT note FROM t WHERE id = 777"), value("SELECT repeat(md5('777'), 20)"), 'a row after a crash');
# Who does not write a table must ask whether somebody else did.
value("INSERT INTO t VALUES (0, ''); DELETE FROM t WHERE id = 0");
($answer, $requests) = cost($sum);
is($answer, $expected, 'the table after a crash');
is($requests, 0, '... from the files that were there');
ok(!-e "$cache/temporary-0123456789abcdef", 'leftovers are removed');

# Damage of all files, in all places, while the server runs.
my $files = 0;
for my $file (glob "$cache/block-*")
{
	open my $fh, '+<:raw', $file or die;
	my $at = $files % 3 == 0 ? 30 : $files % 3 == 1 ? 5000 : 8;
	seek $fh, $at, 0;
	read $fh, my $byte, 1;
	seek $fh, $at, 0;
	print $fh chr(ord($byte) ^ 4);
	close $fh;
	$files++;
}
cmp_ok($files, '>', 3, 'there are blocks to damage');
($answer, $requests) = cost($sum);
is($answer, $expected, 'damaged blocks are not believed');
cmp_ok($requests, '>', 0, '... but fetched again');
($answer, $requests) = cost($sum);
is("$answer, $requests", "$expected, 0", '... and kept again');

# reef_warm fills an empty one.
unlink glob "$cache/block-*";
my ($segments, $bytes, $fetched) = split /\|/, value("SELECT * FROM reef_warm('t')");
is($segments, value("SELECT count(*) FROM reef_segments('t')"), 'reef_warm reads all segments');
is($bytes, value("SELECT sum(bytes) FROM reef_segments('t')"), '... entirely');
is($fetched, $bytes, '... from the bucket');
is(value("SELECT fetched_bytes FROM reef_warm('t')"), 0, '... once');
($answer, $requests) = cost($sum);
is("$answer, $requests", "$expected, 0", 'and then nothing is asked for');

# Another user comes with other keys: the cache is nothing that they may read without them.
SKIP:
{
	skip 'this store believes every key', 2 if $liar_pid;
	$node->safe_psql('postgres', <<SQL);
CREATE ROLE stranger LOGIN;
CREATE USER MAPPING FOR stranger SERVER lake OPTIONS (access_key_id '$ENV{REEF_S3_KEY}', secret_access_key 'wrong');
GRANT SELECT ON t TO stranger;
SQL
	my ($rc, $out, $err) = $node->psql('postgres', $sum, extra_params => ['-U', 'stranger']);
	is($rc, 3, 'wrong keys read nothing');
	unlike($out, qr/\d/, '... whatever is in the cache');
}

# The same name, other rows.
$node->safe_psql('postgres', <<SQL);
DROP FOREIGN TABLE t;
CALL reef_drop_namespace('lake', 'public/t');
$table
INSERT INTO t SELECT i, 'new' FROM generate_series(1, 5000) i;
SELECT * FROM reef_fold('t');
SQL
is(value('SELECT count(*), min(note), max(note) FROM t'), '5000|new|new', 'a table made again is itself');

# A directory that cannot be used is a warning.
$node->stop;
chmod 0755, $cache;
$node->start;
my ($rc, $out, $err) = $node->psql('postgres', 'SELECT count(*) FROM t');
is($out, 5000, 'without its cache the server works');
like($err, qr/works without its local cache.*others may enter it/s, '... and says what is wrong');
($rc, $out, $err) = $node->psql('postgres', "SELECT reef_warm('t')");
like($err, qr/there is no local cache/, 'reef_warm says so, too');
chmod 0700, $cache;
$node->stop;
kill 'KILL', $liar_pid if $liar_pid;
undef $liar;
done_testing();
