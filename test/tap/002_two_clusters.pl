# Two servers write in turns to one directory.  Whoever was overtaken says so and loses
# nothing; no row is lost or doubled [I1] [I3] [I4].
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ReefTest;

my $store = new_store();
my @nodes = map { new_node("node$_") } 0, 1;
my $ddl = <<'SQL';
CREATE FOREIGN TABLE t (id bigint OPTIONS (key 'true'), who int, n bigint)
	SERVER lake OPTIONS (namespace 'public/t');
SQL
attach($_, $store, $ddl) for @nodes;

my (%expected, $fenced);
my $id = 0;
# Insert, again after a 40001 that says what happened, as a driver would.
sub insert
{
	my ($who) = @_;
	$id++;
	for my $try (1 .. 20)
	{
		my ($rc, $out, $err) = $nodes[$who]->psql('postgres',
			"\\set VERBOSITY verbose\nINSERT INTO t VALUES ($id, $who, 0)");
		if ($rc == 0 && $err eq '')
		{
			$expected{$id} = $who;
			return;
		}
		like($err, qr/40001.*another server/s, "the fenced server says so") unless $fenced++;
		die $err unless $err =~ /40001/;
		my $there = $nodes[1 - $who]->safe_psql('postgres', "SELECT count(*) FROM t WHERE id = $id");
		is($there, 0, 'a row reported as failed is nowhere') if $there ne '0';
	}
	die "no luck with $id";
}

for my $turn (1 .. 12)
{
	my $who = $turn % 2;
	insert($who) for 1 .. 5;
	$nodes[$who]->safe_psql('postgres', q{SELECT reef_fold('t')}) if $turn % 3 == 0;
	# The other one reads what this one has just committed, without writing.
	is($nodes[$who]->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id) FROM t'),
		"$id|$id", "turn $turn: the writer sees all rows once");
}
cmp_ok($fenced, '>', 3, 'servers were fenced on the way');

# Updates from both sides: each change is there once.
for my $turn (1 .. 10)
{
	for my $try (1 .. 20)
	{
		my ($rc, $out, $err) = $nodes[ $turn % 2 ]->psql('postgres', 'UPDATE t SET n = n + 1 WHERE id = 7');
		last if $rc == 0 && $err eq '';
		die $err if $try == 20;
	}
}
$_->restart for @nodes;
is($_->safe_psql('postgres', 'SELECT n FROM t WHERE id = 7'), 10, 'ten updates are ten') for @nodes;
is($_->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id), sum(who) FROM t'),
	"$id|$id|" . (grep { $_ == 1 } values %expected), 'both read the same rows after a restart')
	for @nodes;
$_->stop for @nodes;

done_testing();
