# One session that lives long: its memory and its descriptors stay what they are after a warm-up,
# and so do the worker's; aborted statements leave nothing behind, neither pins nor files.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use File::Temp;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ReefSession;
use ReefTest;

# Memory is much faster than a disk, and here nothing is about durability.
my $fast = -w '/dev/shm' ? File::Temp->newdir('reef.XXXXXX', DIR => '/dev/shm') : undef;
my $store = ($fast // PostgreSQL::Test::Utils::tempdir()) . '/store';
my $node = new_node('main', conf => <<'CONF');
fsync = off
reef.maintenance_workers = 0
reef.fold_size = '64kB'
reef.fold_interval = '300ms'
jit = off
CONF
attach($node, $store, <<'SQL');
CREATE FOREIGN TABLE t (id bigint OPTIONS (key 'true'), n bigint, note text NOT NULL)
	SERVER lake OPTIONS (namespace 'public/t');
CREATE TABLE h (id bigint, n bigint);
SQL
my $session = ReefSession->new($node);

sub kilobytes
{
	my ($pid) = @_;
	return slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m ? $1 : die;
}

sub descriptors
{
	my ($pid) = @_;
	return scalar(() = glob "/proc/$pid/fd/*");
}

sub use_of { return map { (kilobytes($_), descriptors($_)) } @_ }

# The table has as many rows afterwards as before: whatever grows, grows for nothing.
my $round = 0;
sub transactions
{
	my ($count) = @_;
	$round++;
	my $sql = '';
	for my $i (1 .. $count / 4)
	{
		my $id = $round * 100_000 + $i;
		$sql .= "INSERT INTO t VALUES ($id, $i, repeat(md5('$i'), 4));\n";
		$sql .= 'UPDATE t SET n = n + 1 WHERE id = ' . ($i % 2000) . ";\n";
		$sql .= "BEGIN; SAVEPOINT s; INSERT INTO t VALUES (-1, 0, ''); ROLLBACK TO s; INSERT INTO h VALUES (1, 1); UPDATE t SET n = 0 WHERE id = $id; COMMIT;\n";
		$sql .= "DELETE FROM t WHERE id = $id;\n";
	}
	my $answer = $session->send($sql)->answer(180);
	die $answer->{err} if $answer->{err};
	return;
}

sub reads
{
	my ($count) = @_;
	my $sql = '';
	for my $i (1 .. $count / 2)
	{
		$sql .= $i % 10 ? "SELECT sum(n) FROM t WHERE id BETWEEN $i AND $i + 100;\n" : "SELECT count(*), max(note) FROM t;\n";
		$sql .= "SELECT note FROM t WHERE id = $i;\n";
	}
	my $answer = $session->send($sql)->answer(180);
	die $answer->{err} if $answer->{err};
	return;
}

# What fails, is cancelled, or is left in the middle.
sub aborted
{
	my ($count) = @_;
	my $sql = "SET statement_timeout = '15ms';\n";
	for my $i (1 .. $count)
	{
		$sql .= "SELECT 1 / (id - 1000) FROM t WHERE id > 500;\n";
		$sql .= "INSERT INTO t SELECT id + 1, 0, '' FROM t WHERE id > 1990;\n";
		$sql .= "BEGIN; DECLARE c CURSOR FOR SELECT * FROM t; FETCH 10 FROM c; SELECT 1/0; COMMIT;\n";
		$sql .= "BEGIN; SAVEPOINT s; DECLARE c CURSOR FOR SELECT * FROM t; FETCH 10 FROM c; ROLLBACK TO s; ROLLBACK;\n";
		$sql .= "UPDATE t SET note = NULL WHERE id = 7;\n";
		$sql .= "UPDATE t SET n = 1 / (id - 300);\n";
		if ($i % 20 == 0)
		{
			$sql .= "SELECT count(pg_sleep(0.001)) FROM t;\n";
			$sql .= "COPY t FROM PROGRAM 'seq -f \"%.0f,0,x\" 1000000 9000000' (FORMAT csv);\n";
		}
	}
	$sql .= "RESET statement_timeout;\n";
	my $answer = $session->send($sql)->answer(180);
	my %states;
	$states{$_}++ for $answer->{err} =~ /(?:ERROR|FATAL):  (\w{5}):/g;
	return %states;
}

sub is_flat
{
	my ($what, $before, $after) = @_;
	note "$what: @$before -> @$after";
	cmp_ok($after->[0] - $before->[0], '<', 1200, "$what: memory is flat");
	cmp_ok($after->[1] - $before->[1], '<=', 1, "$what: so are descriptors");
	return;
}

$session->run("INSERT INTO t SELECT i, 0, repeat(md5(i::text), 4) FROM generate_series(0, 1999) i");
$session->run(q{SELECT reef_fold('t')});
my (@before, @after);

#
# The session.  Nobody folds meanwhile: new segments are something to remember, up to a limit.
#
transactions(4000);
reads(1000);
@before = use_of($session->pid);
for my $part (1 .. 4)
{
	transactions(5000);
	reads(500);
}
@after = use_of($session->pid);
is_flat('20000 transactions and 2000 queries', \@before, \@after);
is($session->run('SELECT count(*), (SELECT count(*) FROM h) FROM t')->{out}, '2000|6000', 'they did something');

aborted(100);
@before = use_of($session->pid);
my %states = aborted(600);
@after = use_of($session->pid);
is_flat('aborted statements', \@before, \@after);
is_deeply([ sort keys %states ], [qw(22012 23502 23505 57014)], 'they failed as they should');
cmp_ok($states{57014}, '>=', 20, '... and were cancelled');
is($node->safe_psql('postgres', q{SELECT pins FROM reef_stats('t')}), '0', 'no pins are left');
is($session->run('SELECT count(*), sum(id) FROM t')->{out}, '2000|1999000', 'nothing of them is there');
is(scalar(() = glob "$store/.tmp/*"), 0, 'no temporary files are left');

#
# The worker, which has much to fold.
#
$session->quit;
$node->append_conf('postgresql.conf', "reef.maintenance_workers = 1\nreef.auto_compact = off\n");
$node->restart;
$session = ReefSession->new($node);
my $worker = worker_pid($node);
my $segments = sub { return $node->safe_psql('postgres', q{SELECT segments_level0 FROM reef_stats('t')}) };
transactions(5000);
@before = use_of($worker);
my $count = $segments->();
my $fold = sub {
	for my $part (1 .. shift)
	{
		transactions(5000);
		wait_until(10, sub { $node->safe_psql('postgres', q{SELECT unfolded_records FROM reef_stats('t')}) eq '0' });
	}
};
$fold->(4);
@after = use_of($worker);
is_flat('the worker', \@before, \@after);
cmp_ok($segments->(), '>', $count + 3, 'it has folded');

# and to merge what it has folded, again and again
$node->append_conf('postgresql.conf', "reef.auto_compact = on\nreef.gc_grace = '1s'\n");
$node->reload;
my $merges = sub { $node->safe_psql('postgres', q{SELECT runs FROM reef_stat_maintenance WHERE job = 'compact'}) };
$fold->(8);
@before = use_of($worker);
$count = $merges->();
$fold->(6);
@after = use_of($worker);
is_flat('the worker, merging', \@before, \@after);
cmp_ok($merges->(), '>', $count, 'it has merged');
ok(wait_until(10, sub { $node->safe_psql('postgres', q{SELECT memtable_bytes FROM reef_stats('t')}) < 200_000 }), 'the memtable is empty');
is($session->run('SELECT count(*), sum(id) FROM t')->{out}, '2000|1999000', 'the rows are there');
$session->quit;
$node->stop;

done_testing();
