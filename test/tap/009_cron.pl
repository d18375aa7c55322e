# A compaction that pg_cron schedules happens.  Needs Debian's package of pg_cron for this release.
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

my ($libdir) = map { chomp; $_ } `pg_config --pkglibdir`;
plan skip_all => "this release has no package of pg_cron (no $libdir/pg_cron.so)" if !-e "$libdir/pg_cron.so";

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(no_data_checksums => 1);
# pg_cron starts its jobs as background workers or through a connection; this asks for workers
$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'pg_cron, reef_fdw'
cron.database_name = 'postgres'
cron.use_background_workers = on
max_worker_processes = 16
reef.auto_compact = off
reef.fold_interval = '1h'
CONF
$node->start;
attach($node, new_store(), <<'SQL');
CREATE EXTENSION pg_cron;
CREATE FOREIGN TABLE t (id bigint OPTIONS (key 'true'), note text)
	SERVER lake OPTIONS (namespace 'public/t');
CREATE FOREIGN TABLE u (id bigint OPTIONS (key 'true'), note text)
	SERVER lake OPTIONS (namespace 'public/u');
SQL

sub value { return $node->safe_psql('postgres', $_[0]) }

for my $round (1 .. 5)
{
	value("INSERT INTO $_ SELECT i * 5 + $round, 'note' FROM generate_series(1, 100) i; SELECT reef_fold('$_')") for qw(t u);
}
is(value("SELECT segments_level0 > 1 AND segments_level1 = 0 FROM reef_stats('$_')"), 't', "$_ has several segments") for qw(t u);

# pg_cron knows minutes, and seconds only from 1.5 on
value(q{SELECT cron.schedule('compact t', '* * * * *', $$SELECT reef_compact('t', full => true)$$)});
value(q{SELECT cron.schedule('compact all', '* * * * *', 'CALL reef_compact_all(full => true)')});
for my $table (qw(t u))
{
	ok(wait_until(150, sub {
		value("SELECT segments_level0 = 0 AND segments_level1 = 1 FROM reef_stats('$table')") eq 't' }),
		"$table was compacted")
	  or diag value("SELECT string_agg(command || ': ' || status || ' ' || coalesce(return_message, ''), '; ') FROM cron.job_run_details");
}
ok(wait_until(30, sub { value("SELECT count(*) > 0 FROM cron.job_run_details WHERE status = 'succeeded' AND command LIKE 'CALL%'") eq 't' }),
	'pg_cron says that the procedure succeeded')
  or diag value("SELECT string_agg(command || ': ' || status || ' ' || coalesce(return_message, ''), '; ') FROM cron.job_run_details");
is(value("SELECT count(*) FROM $_"), '500', "$_ has every row") for qw(t u);
value(q{SELECT cron.unschedule('compact t')});
value(q{SELECT cron.unschedule('compact all')});
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP/, 'no panic');

done_testing();
