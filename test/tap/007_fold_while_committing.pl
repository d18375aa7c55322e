# Folds that run all the time while clients commit: a fold must not take a transaction that is
# about to be acknowledged for one that was rolled back [I1], nor fold an undecided one [I2].
#
# What a maintenance worker knows of others' transactions comes from the process array, from a
# process that has no database; so the folds here are the worker's own.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use ReefTest;

my $seconds = $ENV{REEF_FOLD_SECONDS} // 10;
my $dir = PostgreSQL::Test::Utils::tempdir();
my $store = new_store();
my $node = new_node('main', conf => "reef.fold_interval = '100ms'\nlog_statement = none\n");
attach($node, $store, <<'SQL');
CREATE FOREIGN TABLE ledger (
	id bigint OPTIONS (key 'true'), part int OPTIONS (key 'true'), note text NOT NULL)
	SERVER lake OPTIONS (namespace 'public/ledger');
SQL
my @writers = start_writers($node, 6, 1, $dir, rows => 1, transactions => 200_000);
sleep $seconds;
stop_writers(@writers);

my @ids = acknowledged($dir);
my $file = "$dir/ids";
open my $fh, '>', $file or die;
print $fh "$_\n" for @ids;
close $fh;
chmod 0644, $file;
is( $node->safe_psql('postgres', <<SQL), 'none', 'none of ' . scalar(@ids) . ' acknowledged transactions is lost');
CREATE TEMP TABLE acknowledged (id bigint);
COPY acknowledged FROM '$file';
SELECT coalesce(string_agg(id::text, ' '), 'none') FROM acknowledged a
	WHERE (SELECT count(*) FROM ledger l WHERE l.id = a.id) <> 1;
SQL
cmp_ok(scalar(@ids), '>', 500, 'the writers got somewhere');
cmp_ok($node->safe_psql('postgres', q{SELECT manifest_version FROM reef_stats('ledger')}),
	'>', $seconds / 2, 'the worker folded all the time');
$node->stop;

done_testing();
