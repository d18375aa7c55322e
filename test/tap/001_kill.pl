# Kill -9 at random moments under concurrent writers: of a backend, of the postmaster, of
# everything.  No acknowledged transaction is lost [I1], none is there in part [I2], and one
# that was reported as failed is not there [I3].
#
# REEF_ROUNDS sets how many rounds (5 in the suite; the long form is test/crash.sh).
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);
use ReefTest;

my $rounds = $ENV{REEF_ROUNDS} // 5;
my $dir = PostgreSQL::Test::Utils::tempdir();
my $store = new_store();
my $node = new_node('main', conf => "reef.fold_size = '64kB'\n");
my $ddl = <<'SQL';
CREATE FOREIGN TABLE ledger (
	id bigint OPTIONS (key 'true'),
	part int OPTIONS (key 'true'),
	note text NOT NULL)
	SERVER lake OPTIONS (namespace 'public/ledger');
SQL
attach($node, $store, $ddl);

my $seed = $ENV{REEF_SEED} // int(time);
srand($seed);
note "seed $seed";

sub check
{
	my ($what) = @_;
	my @ids = acknowledged($dir);
	my $file = "$dir/ids";
	open my $fh, '>', $file or die;
	print $fh "$_\n" for @ids;
	close $fh;
	chmod 0644, $file;
	my $result = $node->safe_psql('postgres', <<SQL);
CREATE TEMP TABLE acknowledged (id bigint);
COPY acknowledged FROM '$file';
SELECT coalesce(string_agg(id::text, ' '), 'none') FROM acknowledged a
	WHERE (SELECT count(*) FROM ledger l WHERE l.id = a.id) <> 3;
SELECT count(*) FROM (SELECT id FROM ledger GROUP BY id HAVING count(*) <> 3 OR count(DISTINCT part) <> 3) x;
SQL
	my ($lost, $partial) = split /\n/, $result;
	is($lost, 'none', "$what: none of " . scalar(@ids) . " acknowledged transactions is lost");
	is($partial, 0, "$what: no transaction is there in part");
	return scalar @ids;
}

my @kinds = qw(everything backend postmaster);
my $last = 0;
for my $round (1 .. $rounds)
{
	my $kind = $kinds[ $round % @kinds ];
	my @writers = start_writers($node, 4, $round, $dir);
	usleep(200_000 + int rand 1_300_000);
	if ($kind eq 'backend')
	{
		my $pid = pick_backend($node);
		if ($pid)
		{
			my $offset = -s $node->logfile;
			kill 'KILL', $pid;
			$node->wait_for_log(qr/all server processes terminated; reinitializing/, $offset);
			$node->poll_query_until('postgres', 'SELECT true') or die 'no restart after a crash';
		}
		stop_writers(@writers);
	}
	elsif ($kind eq 'postmaster')
	{
		my ($pid) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');
		my @children = map { s/\s//gr } `ps -o pid= --ppid $pid`;
		kill 'KILL', $pid;
		stop_writers(@writers);
		# The orphans must notice by themselves and be gone before a new start.
		my $deadline = time + 20;
		for my $child (@children)
		{
			usleep(50_000) while kill(0, $child) && time < $deadline;
		}
		is(scalar(grep { kill 0, $_ } @children), 0, "round $round: the orphans left");
		unlink $node->data_dir . '/postmaster.pid';
		$node->{_pid} = undef;
		$node->start;
	}
	else
	{
		kill_everything($node);
		stop_writers(@writers);
		$node->start;
	}
	my $count = check("round $round ($kind)");
	cmp_ok($count, '>', $last, "round $round: the writers got somewhere");
	$last = $count;
}

# From the directory alone, on a server that has never seen it.
$node->stop;
my $other = new_node('other');
$node = $other;
attach($other, $store, 'IMPORT FOREIGN SCHEMA public FROM SERVER lake INTO public;');
check('a second server');
$other->stop;

done_testing();
