# A damaged store, through SQL: what is damaged is never read as data, verify says what it is, repair
# loses nothing that can be got back and says what else is lost, and the server goes on from there.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use ReefSession;
use ReefTest;

my $store = new_store();
my $node = new_node('main', conf => <<'CONF');
reef.fold_interval = '1h'
reef.gc_grace = '1h'
CONF
attach($node, $store, <<'SQL');
CREATE FOREIGN TABLE t (id bigint OPTIONS (key 'true'), note text) SERVER lake OPTIONS (namespace 'd/t');
CREATE TABLE twin (id bigint PRIMARY KEY, note text);
SQL

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql) }

sub sqlstate
{
	my ($sql) = @_;
	my ($out, $err) = ('', '');
	$node->psql('postgres', "\\set VERBOSITY verbose\n$sql", stdout => \$out, stderr => \$err);
	return $err =~ /ERROR:  (\w{5}):/ ? ($1, $err) : ('00000', $out);
}

sub both { my ($sql) = @_; (my $other = $sql) =~ s/\bt\b/twin/g; sql("$sql; $other"); return }

sub findings { return sql("SELECT coalesce(string_agg(DISTINCT check_name, ', '), '') FROM reef_verify('t', deep => true) WHERE severity <> 'info'") }

sub repair { my ($dry_run) = @_; return sql("SELECT string_agg(DISTINCT action, ', ') FROM reef_repair('t', $dry_run)") }

# How many rows the table lacks, and how many it has that it should not have.
sub missing { return sql('SELECT count(*) FROM (SELECT * FROM twin EXCEPT SELECT * FROM t) lost') }
sub wrong { return sql('SELECT count(*) FROM (SELECT * FROM t EXCEPT SELECT * FROM twin) wrong') }

# Nothing that is in memory may hide the damage.
sub damage
{
	my ($change) = @_;
	$node->stop;
	$change->();
	$node->start;
	return;
}

sub flip
{
	my ($file, $offset) = @_;
	open my $handle, '+<:raw', $file or die "$file: $!";
	seek $handle, $offset, 0;
	read $handle, my $byte, 1;
	seek $handle, $offset, 0;
	print $handle chr(ord($byte) ^ 0x20);
	close $handle or die "$file: $!";
	return;
}

sub largest_segment { return (sort { -s $b <=> -s $a } glob "$store/d/t/segment/*")[0] }

both("INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 20000) i");
sql("SELECT reef_fold('t')");
both("UPDATE t SET note = 'new' WHERE id % 400 = 0");
both("DELETE FROM t WHERE id % 1000 = 1");
both("INSERT INTO t VALUES (0, 'last')");
is(findings(), '', 'a sound table has no findings');
is(sql("SELECT count(*) FROM reef_repair('t')"), 0, 'and nothing to repair');

# Records are still there: nothing is lost.
my $segment = largest_segment();
damage(sub { flip($segment, int((-s $segment) / 3)) });
my ($state, $message) = sqlstate('SELECT * FROM t ORDER BY id');
is($state, 'XX001', 'a damaged segment is not read');
my ($name) = $segment =~ m{(segment/.*)};
like($message, qr/\Q$name\E/, 'and named');
is(findings(), 'checksum, unreadable', 'verify finds it');
my $planned = repair('true');
is(repair('true'), $planned, 'a dry run changes nothing');
is(repair('false'), $planned, 'a repair does what it said');
like($planned, qr/^base, /, 'from what there was before');
is(missing() . ' ' . wrong(), '0 0', 'no row is lost');
is(findings(), '', 'the table is sound again');
is(sql("SELECT count(*) FROM reef_repair('t')"), 0, 'and there is nothing more to repair');
both("UPDATE t SET note = 'after' WHERE id = 5");
is(missing() . ' ' . wrong(), '0 0', 'one can write on');

# Records are collected: the rows of a page are lost, and said to be.
sql("SELECT reef_fold('t')");
sql("SELECT reef_compact('t', true)");
sql("ALTER SYSTEM SET reef.gc_grace = '1s'");
sql('SELECT pg_reload_conf()');
ok(wait_until(30, sub {
	sql("SELECT count(*) FROM reef_gc('t')");
	return (() = glob "$store/d/t/segment/*") == 1;
}), 'what is not needed is collected');
$segment = largest_segment();
damage(sub { flip($segment, int((-s $segment) / 3)) });
is((sqlstate('SELECT * FROM t ORDER BY id'))[0], 'XX001', 'a damaged segment is not read');
my $reported = sql("SELECT sum(substring(detail FROM '^\\d+')::int) FROM reef_repair('t', true) WHERE action = 'lost documents'");
ok($reported > 0 && $reported < 20000, "$reported rows are said to be lost");
repair('false');
is(missing() . ' ' . wrong(), "$reported 0", 'exactly these are');
is(findings(), '', 'the table is sound again');
is(sql('SELECT count(*) = (SELECT count(*) FROM twin) - ' . $reported . ' FROM t'), 't', 'the row count is right');
ok(-s (glob("$store/d/t/quarantine/*/segment/*"))[-1] == -s $segment || !-e $segment, 'the damaged one is set aside');

# No manifest is left.
both("INSERT INTO t SELECT i, 'more' FROM generate_series(30000, 30100) i");
my $before = sql('SELECT count(*), md5(string_agg(t::text, $$,$$ ORDER BY id)) FROM t');
damage(sub { unlink glob "$store/d/t/manifest/*" });
isnt((sqlstate('SELECT * FROM t ORDER BY id'))[0], '00000', 'without a manifest the table is not an empty one');
like(findings(), qr/no manifest/, 'verify finds it');
repair('false');
is(sql('SELECT count(*), md5(string_agg(t::text, $$,$$ ORDER BY id)) FROM t'), $before, 'nothing is lost');
is(findings(), '', 'the table is sound again');

# A verification that takes long can be stopped.
my $session = ReefSession->new($node);
$session->run("SET reef.maintenance_io_limit = '64kB'");
$session->run("SET statement_timeout = '300ms'");
my $started = time;
my $answer = $session->run("SELECT count(*) FROM reef_verify('t', deep => true)");
SKIP: {
	skip 'the limit is not to be set in a session', 1 if $answer->{sqlstate} eq '00000';
	is($answer->{sqlstate}, '57014', 'a verification is stopped');
}
cmp_ok(time - $started, '<', 5, 'soon');
$node->stop;
done_testing();
