# The maintenance worker: it comes back, folds by size and by age, says once what it cannot do
# and recovers, leaves an idle namespace alone, and never holds up a shutdown.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);
use ReefSession;
use ReefTest;

my $store = new_store();
my $node = new_node('main', conf => <<'CONF');
reef.fold_interval = '1h'
reef.fold_size = '256kB'
CONF
attach($node, $store, <<'SQL');
CREATE FOREIGN TABLE t (id bigint OPTIONS (key 'true'), note text)
	SERVER lake OPTIONS (namespace 'public/t');
SQL
my $namespace = "$store/public/t";
my $session = ReefSession->new($node);
my $rows = 0;

sub value { return $session->run($_[0])->{out} }

sub add
{
	my ($count, $size) = @_;
	my $answer = $session->run(
		"INSERT INTO t SELECT $rows + i, md5(i::text) || repeat('x', $size) FROM generate_series(1, $count) i");
	is($answer->{sqlstate}, '00000', "$count rows more") or diag $answer->{err};
	$rows += $count;
	return;
}

sub unfolded { return value("SELECT unfolded_records FROM reef_stats('t')") }

sub is_complete
{
	my ($what) = @_;
	is(value('SELECT count(*), count(DISTINCT id) FROM t'), "$rows|$rows", "$what: every row is there once");
	return;
}

sub set
{
	my ($setting, $value) = @_;
	$session->run("ALTER SYSTEM SET $setting = '$value'");
	$session->run('SELECT pg_reload_conf()');
	return;
}

# Names and times of everything below a directory.
sub traces
{
	my ($directory) = @_;
	my @lines = `find $directory -printf '%p %T@ %C@\\n' | sort`;
	return join '', @lines;
}

#
# By size, and only then.
#
add(10, 100);
usleep(2_500_000);
is(unfolded(), 2, 'nothing is due: the fence and the record stay');
add(1000, 1000);
ok(wait_until(20, sub { unfolded() eq '0' }), 'folded by size');
is_complete('folded by size');

#
# By age.
#
add(10, 100);
set('reef.fold_interval', '2s');
ok(wait_until(20, sub { unfolded() eq '0' }), 'folded by age');
is(value("SELECT failures, last_error, last_fold > now() - interval '30 seconds' FROM reef_namespaces"),
	'0||t', 'reef_namespaces says so');

#
# What is idle and folded is left alone.
#
{
	my $before = traces($store);
	my $fold = value('SELECT last_fold FROM reef_namespaces');
	my $worker = worker_pid($node);
	my $reads = sub { return slurp_file("/proc/$worker/io") =~ /syscr: (\d+)/ ? $1 : die };
	my $reads_before = $reads->();
	usleep(4_000_000);
	cmp_ok($reads->() - $reads_before, '<=', 2, 'the worker reads no files while nothing is due');
	is(traces($store), $before, 'an idle namespace does not change');
	is(value('SELECT last_fold FROM reef_namespaces'), $fold, 'nor does it fold');
}

#
# A store that refuses: said once, visible, retried ever more seldom, over when it is over.
#
{
	my $offset = -s $node->logfile;
	my $folds = () = glob "$namespace/manifest/*";
	chmod 0500, "$namespace/manifest" or die;
	add(10, 100);
	ok(wait_until(20, sub { value('SELECT failures >= 2 FROM reef_namespaces') eq 't' }), 'the worker fails');
	like(value('SELECT last_error FROM reef_namespaces'), qr/manifest/, 'reef_namespaces has the reason');
	is(value("SELECT last_error_at > now() - interval '20 seconds' FROM reef_namespaces"), 't', '... and when');
	usleep(5_000_000);
	cmp_ok(value('SELECT failures FROM reef_namespaces'), '<=', 5, 'it backs off');
	my $said = () = slurp_file($node->logfile, $offset) =~ /could not fold namespace/g;
	is($said, 1, 'the log says it once');
	is_complete('while folds fail');
	add(10, 100);
	chmod 0700, "$namespace/manifest" or die;
	ok(wait_until(60, sub { unfolded() eq '0' }), 'it recovers');
	is(value('SELECT failures, last_error FROM reef_namespaces'), '0|', 'and says so');
	cmp_ok(scalar(() = glob "$namespace/manifest/*"), '<=', $folds + 2, 'failed folds left no manifest');
	is_complete('after it recovered');
}

#
# A directory that is something else meanwhile.
#
{
	my $offset = -s $node->logfile;
	rename "$namespace/segment", "$namespace/away" or die;
	append_to_file("$namespace/segment", 'not a directory');
	add(10, 100);
	ok(wait_until(20, sub { value('SELECT failures > 0 FROM reef_namespaces') eq 't' }), 'a file in a directory\'s place');
	unlink "$namespace/segment" or die;
	rename "$namespace/away", "$namespace/segment" or die;
	ok(wait_until(60, sub { unfolded() eq '0' }), 'it recovers');
	my $said = () = slurp_file($node->logfile, $offset) =~ /could not fold namespace/g;
	is($said, 1, 'the log said it once');
	is_complete('after a file in a directory\'s place');
}

#
# TERM: it comes back.  KILL: the server restarts, and nothing is lost.
#
{
	my $worker = worker_pid($node);
	kill 'TERM', $worker;
	ok(wait_until(15, sub { my $pid = worker_pid($node); $pid && $pid != $worker }), 'back after TERM');
	add(10, 100);
	ok(wait_until(20, sub { unfolded() eq '0' }), 'it works after TERM');

	set('reef.fold_interval', '1h');
	add(20, 100);
	my $offset = -s $node->logfile;
	kill 'KILL', worker_pid($node);
	$node->wait_for_log(qr/all server processes terminated; reinitializing/, $offset);
	$node->poll_query_until('postgres', 'SELECT true') or die 'no restart';
	$session = ReefSession->new($node);
	is_complete('after KILL');
	ok(wait_until(15, sub { worker_pid($node) }), 'back after KILL');
	add(10, 100);
	set('reef.fold_interval', '1s');
	ok(wait_until(20, sub { unfolded() eq '0' }), 'it works after KILL');
	is_complete('after KILL and a fold');
}

#
# Killed in the middle of folds.
#
{
	set('reef.fold_size', '64kB');
	for my $round (1 .. 4)
	{
		add(3000, 100);
		usleep(20_000 * $round * $round);
		my $offset = -s $node->logfile;
		kill 'KILL', worker_pid($node);
		$node->wait_for_log(qr/all server processes terminated; reinitializing/, $offset);
		$node->poll_query_until('postgres', 'SELECT true') or die 'no restart';
		$session = ReefSession->new($node);
		is_complete("killed while it folded, round $round");
	}
}

#
# Shutdown while a fold runs.
#
{
	set('reef.fold_size', '1GB');
	set('reef.fold_interval', '1h');
	$session->run("INSERT INTO t SELECT $rows + i, md5(i::text) || repeat(md5((i * 7)::text), 20) FROM generate_series(1, 80000) i");
	$rows += 80_000;
	my $before = () = glob "$namespace/segment/*";
	set('reef.fold_interval', '100ms');
	# its first bytes show that it runs
	my $began = wait_until(20, sub { scalar(() = glob "$store/.tmp/*") > 0 });
	ok($began, 'a long fold has begun');
	my $since = time;
	$node->stop('fast');
	cmp_ok(time - $since, '<', 3, 'a fast shutdown does not wait for it');
	$node->start;
	$session = ReefSession->new($node);
	is_complete('after a shutdown in the middle of a fold');
	# who has not written since its start does not fold
	add(10, 100);
	ok(wait_until(30, sub { unfolded() eq '0' }), 'it is folded in the end');
	is_complete('folded in the end');

	# a fold that tries and tries
	$session->run("ALTER SERVER lake OPTIONS (ADD request_timeout '60s', ADD max_retries '100')");
	add(10, 100);
	ok(wait_until(20, sub { unfolded() eq '0' }), 'the worker has a store with these options');
	set('reef.fold_interval', '1h');
	set('reef.fold_size', '64kB');
	usleep(1_500_000);
	# from here on it cannot read its configuration either
	stall_files(worker_pid($node));
	$session->run("INSERT INTO t SELECT $rows + i, repeat(md5(i::text), 20) FROM generate_series(1, 1000) i");
	$rows += 1000;
	usleep(1_500_000);
	isnt(unfolded(), '0', 'a fold cannot reach the store');
	is(value('SELECT failures FROM reef_namespaces'), '0', 'and tries and tries')
	  or diag value('SELECT job, last_error FROM reef_stat_maintenance WHERE failures > 0');
	$since = time;
	$node->stop('fast');
	cmp_ok(time - $since, '<', 3, 'a fast shutdown does not wait for it either');
	$node->start;
	$session = ReefSession->new($node);
	is_complete('after a shutdown while the store is out of reach');
}
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP/, 'no panic');

done_testing();
