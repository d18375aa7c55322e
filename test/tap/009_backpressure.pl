# Writers that are faster than folds wait for them, in bounded memory, and everybody can see it.  A store
# that is gone makes commits fail, as not committed (08006) or as unknown (08007), and costs no
# memory.  What was acknowledged is there afterwards [I1], what failed for certain is not [I3].
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
reef.memtable_size = '4MB'
reef.fold_interval = '1h'
reef.commit_timeout = '5s'
reef.request_timeout = '3s'
reef.max_retries = 2
CONF
attach($node, $store, <<'SQL');
CREATE FOREIGN TABLE t (id bigint OPTIONS (key 'true'), note text)
	SERVER lake OPTIONS (namespace 'public/t');
CREATE FOREIGN TABLE other (id bigint OPTIONS (key 'true'), note text)
	SERVER lake OPTIONS (namespace 'public/other');
SQL
my $watch = ReefSession->new($node);
my $next = 0;
my @acknowledged;
my %unknown;

sub value { return $watch->run($_[0])->{out} }

# One transaction of about 100 kB; returns its SQLSTATE.
sub write_rows
{
	my ($session) = @_;
	my $id = $next++;
	my $answer = $session->run("INSERT INTO t SELECT $id * 1000 + i, repeat(md5((i + $id)::text), 30) FROM generate_series(1, 100) i");
	push @acknowledged, $id if $answer->{sqlstate} eq '00000';
	$unknown{$id} = 1 if $answer->{sqlstate} eq '08007';
	return $answer;
}

sub is_complete
{
	my ($what) = @_;
	my %found = map { split /\|/ } split /\n/, value('SELECT id / 1000, count(*) FROM t GROUP BY 1');
	my @lost = grep { ($found{$_} // 0) != 100 } @acknowledged;
	is("@lost", '', "$what: every acknowledged transaction is there");
	my %known = map { $_ => 1 } @acknowledged, keys %unknown;
	my @unexpected = grep { !$known{$_} } keys %found;
	is("@unexpected", '', "$what: nothing else is");
	return;
}

#
# Folding goes on: writers that outrun it are slowed down, not refused.
#
my $session = ReefSession->new($node);
{
	my %states;
	$states{ write_rows($session)->{sqlstate} }++ for 1 .. 60;
	is_deeply(\%states, { '00000' => 60 }, 'more than the memory holds, one after the other');
	is(value("SELECT writers_waiting, backpressure_reason FROM reef_stats('t')"), '0|', 'nobody waits');
	is_complete('folding');
	cmp_ok(value("SELECT write_amplification FROM reef_stats('t')"), '>', 0, 'what was put for what was written');
	cmp_ok(value("SELECT user_bytes FROM reef_stats('t')"), '>', 60 * 100 * 960, 'the rows are counted');
	is(value("SELECT bytes_put_records > 0 AND bytes_put_folds > 0 FROM reef_stats('t')"), 't', 'and what was put');
}

#
# Folding fails: the memory fills up to its bound, writers wait, then fail cleanly.
#
{
	chmod 0500, "$store/public/t/segment" or die;
	my $writer = ReefSession->new($node);
	my $answer;
	my $waited = 0;
	for (1 .. 80)
	{
		$answer = write_rows($writer);
		last if $answer->{sqlstate} ne '00000';
	}
	is($answer->{sqlstate}, '08006', 'in the end nothing is sent');
	like($answer->{err}, qr/folding fails/, '... because folding fails');
	like($answer->{err}, qr/public\/t\/segment/, '... and why');
	cmp_ok($answer->{seconds}, '<', 8, '... after reef.commit_timeout');

	$writer->send("INSERT INTO t SELECT -i, repeat('x', 900) FROM generate_series(1, 10) i");
	ok(wait_until(4, sub { value("SELECT writers_waiting FROM reef_stats('t')") eq '1' }), 'a writer waits, which can be seen');
	is(value("SELECT backpressure_reason FROM reef_stats('t')"), 'the memtable is full, and folding fails', '... and why');
	my $wait_event = value('SELECT wait_event FROM pg_stat_activity WHERE pid = ' . $writer->pid);
	like($wait_event, $node->pg_version >= 17 ? qr/^ReefMemory$/ : qr/^Extension$/, '... also in pg_stat_activity');
	my $since = time;
	value('SELECT pg_cancel_backend(' . $writer->pid . ')');
	is($writer->answer->{sqlstate}, '57014', 'it can be cancelled');
	cmp_ok(time - $since, '<', 1.5, '... at once');
	cmp_ok(value("SELECT backpressure_ms FROM reef_stats('t')"), '>', 4000, 'the time is counted');
	is(value("SELECT memtable_bytes <= 4 * 1024 * 1024 FROM reef_stats('t')"), 't', 'memory is bounded');
	is_complete('while folding fails');

	# it comes back while somebody waits
	$writer->send("SELECT 1");
	$writer->answer;
	value("SET reef.commit_timeout = '5s'");
	my $patient = ReefSession->new($node, options => '-c reef.commit_timeout=100s');
	$patient->send("INSERT INTO t SELECT 1000000 * 1000 + i, 'patient' FROM generate_series(1, 100) i");
	ok(!$patient->is_done(1), 'a patient writer waits');
	chmod 0700, "$store/public/t/segment" or die;
	is($patient->answer(90)->{sqlstate}, '00000', '... until folding succeeds');
	push @acknowledged, 1_000_000;
	is(value("SELECT failures FROM reef_stat_maintenance WHERE namespace = 'public/t' AND job = 'fold'"), '0', 'which is no failure any more');
	is_complete('after folding succeeded');
}

#
# The store refuses records, or is gone, or is something else.
#
sub store_fails
{
	my ($what, $expected, $break, $mend) = @_;
	my $size = value('SELECT sum(memtable_bytes) FROM reef_namespaces');
	my $writer = ReefSession->new($node);
	write_rows($writer);
	$break->($writer);
	my %states;
	for (1 .. 6)
	{
		my $answer = write_rows($writer);
		$states{ $answer->{sqlstate} }++;
		cmp_ok($answer->{seconds}, '<', 10, "$what: it fails in time");
	}
	is_deeply([grep { !/$expected/ } keys %states], [], "$what: commits fail as they should")
	  or diag join ' ', %states;
	cmp_ok(value('SELECT sum(memtable_bytes) FROM reef_namespaces'), '<=', 4 * 1024 * 1024, "$what: memory is bounded");
	$mend->($writer);
	ok(wait_until(30, sub { write_rows($writer)->{sqlstate} eq '00000' }), "$what: it goes on when the store is back");
	is_complete($what);
	return;
}

# a refusal has a state of its own
store_fails('an unwritable directory', qr/^42501$/,
	sub { chmod 0500, "$store/public/t/wal" or die },
	sub { chmod 0700, "$store/public/t/wal" or die });
store_fails('a file in its place', qr/^(08006|08007|22023)$/,
	sub { rename "$store/public/t/wal", "$store/public/away" or die; append_to_file("$store/public/t/wal", 'no directory') },
	sub { unlink "$store/public/t/wal" or die; rename "$store/public/away", "$store/public/t/wal" or die });
store_fails('a store out of reach', qr/^(08006|08007)$/,
	sub { stall_files($_[0]->pid) },
	sub { unstall_files($_[0]->pid) });

# the errors are counted where they can be seen
cmp_ok(value("SELECT sum(errors) FROM reef_stat_store WHERE request = 'put'"), '>', 0, 'reef_stat_store counts errors');
cmp_ok(value("SELECT sum(retries) FROM reef_stat_store"), '>', 0, '... and retries');

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP/, 'no panic');

done_testing();
