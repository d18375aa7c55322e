# Maintenance as a whole: workers share the work of many namespaces, one that fails does not hold up
# the others, compactions and collections come by themselves and stop when there is nothing left to
# do; everything can be watched, cancelled and shut down; and the SQL functions do the same by hand.
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
my $tables = 12;
my $node = new_node('main', conf => <<'CONF');
reef.maintenance_workers = 2
reef.fold_interval = '500ms'
reef.gc_grace = '2s'
CONF
attach($node, $store, join '',
	map { "CREATE FOREIGN TABLE t$_ (id bigint OPTIONS (key 'true'), note text) SERVER lake OPTIONS (namespace 'm/t$_');\n" }
	1 .. $tables);
my $session = ReefSession->new($node);

sub value
{
	my ($sql) = @_;
	my $answer = $session->run($sql);
	diag "$sql: $answer->{err}" if $answer->{sqlstate} ne '00000';
	return $answer->{out};
}

sub set
{
	my (%settings) = @_;
	$session->run("ALTER SYSTEM SET $_ = '$settings{$_}'") for keys %settings;
	$session->run('SELECT pg_reload_conf()');
	return;
}

# The workers' process ids, the one that only folds first.
sub workers
{
	my ($postmaster) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');
	my %pid = map { /^\s*(\d+) .*reef worker (\d+)/ ? ($2 => $1) : () } `ps -o pid=,args= --ppid $postmaster`;
	return map { $pid{$_} } sort keys %pid;
}

sub objects { my ($kind, $table) = @_; return scalar(() = glob "$store/m/$table/$kind/*") }

sub requests { return value('SELECT sum(requests) FROM reef_stat_store') }

sub job
{
	my ($table, $job, $column) = @_;
	return value("SELECT $column FROM reef_stat_maintenance WHERE namespace = 'm/$table' AND job = '$job'");
}

sub checksum { return value("SELECT count(*), md5(string_agg(t::text, ',' ORDER BY id)) FROM $_[0] t") }

# Until a number of the view has come to rest.
sub wait_for_rest
{
	my ($seconds, $measure) = @_;
	my ($last, $since) = ('', time);
	return wait_until($seconds, sub {
		my $now = $measure->();
		($last, $since) = ($now, time) if $now ne $last;
		return time - $since > 4;
	});
}

#
# Many namespaces, one of which cannot be folded.
#
{
	is(scalar(workers()), 2, 'two workers');
	my @nice = map { s/\s//gr } `ps -o ni= -p @{[join ',', workers()]}`;
	is("@nice", '10 10', 'who give way to sessions');

	value("INSERT INTO t$_ SELECT i, 'first' FROM generate_series(1, 100) i") for 1 .. $tables;
	ok(wait_until(30, sub { value('SELECT sum(unfolded_records) FROM reef_namespaces') eq '0' }),
		'all namespaces are folded');
	is(value("SELECT count(*) FROM reef_stat_maintenance WHERE job = 'fold' AND runs >= 1 AND result = 'ok'"),
		$tables, 'each has a line for its folds');

	# one fails, the others go on as before
	chmod 0500, "$store/m/t3/segment" or die;
	value("INSERT INTO t$_ SELECT i, 'second' FROM generate_series(101, 200) i") for 1 .. $tables;
	ok(wait_until(30, sub {
		value("SELECT count(*) FROM reef_namespaces WHERE unfolded_records > 0") eq '1' }),
		'all but the broken one are folded');
	ok(wait_until(30, sub { job('t3', 'fold', 'failures') >= 3 }), 'it is tried again and again');
	like(job('t3', 'fold', 'last_error'), qr/m\/t3\/segment/, 'the error is visible');
	is(job('t3', 'fold', "result || ' ' || (next_run > last_error_at)"), 'failed true', '... and when it is tried next');
	is(value('SELECT count(*) FROM reef_stat_maintenance WHERE failures > 0'), '1', 'nothing else fails');
	is(value("SELECT namespace FROM reef_namespaces WHERE failures > 0"), 'm/t3', 'reef_namespaces shows it too');
	my $first = job('t3', 'fold', 'failures');
	usleep(4_000_000);
	cmp_ok(job('t3', 'fold', 'failures') - $first, '<=', 2, 'ever more seldom');
	chmod 0700, "$store/m/t3/segment" or die;
	ok(wait_until(70, sub { job('t3', 'fold', 'failures') eq '0' }), 'it recovers when the store does');
	is(job('t3', 'fold', 'last_error'), '', 'and the error is gone');
	is(value('SELECT count(*) FROM t3'), '200', 'with every row');
}

#
# Compactions and collections by themselves, until there is nothing left to do.
#
{
	for my $round (1 .. 12)
	{
		value("UPDATE t1 SET note = 'round $round ' || md5(id::text)");
		value("SELECT * FROM reef_fold('t1')");
	}
	my $before = checksum('t1');
	ok(wait_until(60, sub { job('t1', 'compact', 'runs') >= 1 }), 'a worker compacts');
	is(job('t1', 'compact', 'result'), 'ok', 'and says so');
	ok(wait_until(60, sub { job('t1', 'gc', 'runs') >= 1 }), 'a worker collects');
	is(checksum('t1'), $before, 'the rows are what they were');

	ok(wait_for_rest(120, \&requests), 'the server comes to rest');
	is(checksum('t1'), $before, 'the rows still are what they were');
	cmp_ok(objects('manifest', 't1'), '<=', 3, 'old manifests are gone');
	is(objects('segment', 't1'), value("SELECT segments_level0 + segments_level1 FROM reef_stats('t1')"),
		'and so are replaced segments');

	my $requests = requests();
	my @traces = `find $store/m -printf '%p %T@ %C@\\n' | sort`;
	usleep(6_000_000);
	is(requests(), $requests, 'idle namespaces cause no request');
	is_deeply([`find $store/m -printf '%p %T@ %C@\\n' | sort`], \@traces, 'and do not change');
	my %reads;
	for my $worker (workers())
	{
		my $reads = sub { return slurp_file("/proc/$worker/io") =~ /syscr: (\d+)/ ? $1 : die };
		$reads{$worker} = $reads->();
		usleep(3_000_000);
		cmp_ok($reads->() - $reads{$worker}, '<=', 2, 'nor does a worker read files');
	}
}

#
# Settings are read again.
#
{
	set('reef.auto_gc' => 'off', 'reef.auto_compact' => 'off');
	usleep(1_500_000);
	my $wal = objects('wal', 't2');
	my $compactions = job('t2', 'compact', 'runs');
	for my $round (1 .. 8)
	{
		value("UPDATE t2 SET note = 'round $round'");
		value("SELECT * FROM reef_fold('t2')");
	}
	usleep(5_000_000);
	cmp_ok(objects('wal', 't2'), '>=', $wal + 8, 'switched off, nothing is collected');
	is(job('t2', 'compact', 'runs'), $compactions, '... nor compacted');
	my @dry = split /\n/, value("SELECT action, reason, count(*) FROM reef_gc('t2', true) GROUP BY 1, 2 ORDER BY 2");
	like("@dry", qr/would delete\|applied record\|\d+/, 'reef_gc says what it would delete');
	cmp_ok(objects('wal', 't2'), '>=', $wal + 8, '... and does not');
	my $before = checksum('t2');
	value("SELECT * FROM reef_compact('t2', full => true)");
	is(value("SELECT segments_level0, segments_level1 FROM reef_stats('t2')"), '0|1', 'reef_compact makes one segment');
	is(value("SELECT count(*), min(level) FROM reef_segments('t2')"), '1|1', '... of level 1');
	is(value("SELECT tombstones + superseding FROM reef_segments('t2')"), '0', '... that hides nothing');
	is(checksum('t2'), $before, '... with the same rows');
	usleep(2_500_000);
	like(value("SELECT string_agg(DISTINCT action, ',') FROM reef_gc('t2')"), qr/^delete$/, 'reef_gc deletes');
	is(checksum('t2'), $before, '... nothing that is needed');
	is(value("SELECT count(*) FROM reef_gc('t2') WHERE action = 'failed'"), '0', 'once is enough');
	set('reef.auto_gc' => 'on', 'reef.auto_compact' => 'on');
}

#
# Progress, cancel, and a shutdown, in the middle of something long.
#
set('reef.auto_compact' => 'off', 'reef.maintenance_io_limit' => '256kB');
value('CREATE FOREIGN TABLE big (id bigint OPTIONS (key \'true\'), note text) SERVER lake OPTIONS (namespace \'m/big\')');
for my $part (1 .. 6)
{
	value("INSERT INTO big SELECT i * 6 + $part, md5((i * $part)::text) || md5(i::text) FROM generate_series(1, 20000) i");
	value("SELECT * FROM reef_fold('big')");
}
my $sum = checksum('big');
my $long = ReefSession->new($node);
{
	# at this speed it takes a while
	$long->send("SELECT * FROM reef_compact('big', full => true)");
	ok(wait_until(20, sub {
		value("SELECT operation, namespace, done > 0 FROM reef_stat_progress WHERE pid = " . $long->pid) eq 'compact|m/big|t' }),
		'a compaction shows how far it is');
	value("INSERT INTO big SELECT i, 'meanwhile' FROM generate_series(1000001, 1000010) i");
	value("SELECT * FROM reef_fold('big')");
	is(value("SELECT unfolded_records FROM reef_stats('big')"), '0', 'a fold does not wait for it');
	my $since = time;
	value('SELECT pg_cancel_backend(' . $long->pid . ')');
	my $answer = $long->answer(30);
	is($answer->{sqlstate}, '57014', 'it can be cancelled');
	cmp_ok(time - $since, '<', 1.5, '... at once');
	is(value('SELECT count(*) FROM reef_stat_progress WHERE pid = ' . $long->pid), '0', 'and its line is gone');
	value("DELETE FROM big WHERE id > 1000000");
	is(checksum('big'), $sum, 'nothing has changed');

	$long->send("SELECT * FROM reef_verify('big', deep => true)");
	ok(wait_until(20, sub { value("SELECT operation FROM reef_stat_progress WHERE pid = " . $long->pid) eq 'verify' }),
		'a verification shows that it runs');
	$since = time;
	value('SELECT pg_cancel_backend(' . $long->pid . ')');
	is($long->answer(30)->{sqlstate}, '57014', 'it can be cancelled');
	cmp_ok(time - $since, '<', 1.5, '... at once');
}

# while the store does not answer
{
	value("ALTER SERVER lake OPTIONS (ADD request_timeout '60s', ADD max_retries '100')");
	my @calls = ("reef_compact('big')", "reef_gc('big')", "reef_gc('big', true)", "reef_verify('big')",
		"reef_repair('big')", "reef_repair('big', true)", "reef_rebuild('big')", "reef_rebuild('big', true)");
	for my $call (@calls)
	{
		my $stalled = ReefSession->new($node);
		$stalled->run("SELECT count(*) FROM big");
		$stalled->run("SELECT * FROM $call LIMIT 0") if $call eq "reef_gc('big', true)";
		stall_files($stalled->pid);
		$stalled->send("SELECT * FROM $call");
		# some need nothing that is not open
		usleep(700_000);
		my $since = time;
		value('SELECT pg_cancel_backend(' . $stalled->pid . ')');
		my $answer = $stalled->answer(30);
		like($answer->{sqlstate}, qr/^(57014|00000)$/, "$call ends when it is cancelled") or diag $answer->{err};
		cmp_ok(time - $since, '<', 1.5, '... at once');
		$stalled->quit;
	}
	is(value("SELECT count(*) FROM reef_stat_progress WHERE operation NOT IN ('fold', 'gc')"), '0', 'no line is left');
	is(checksum('big'), $sum, 'nothing has changed');
}

{
	set('reef.auto_compact' => 'on');
	ok(wait_until(30, sub {
		value("SELECT count(*) FROM reef_stat_progress WHERE operation = 'compact' AND namespace = 'm/big'") eq '1' }),
		'a worker compacts');
	my ($pid) = value("SELECT pid FROM reef_stat_progress WHERE operation = 'compact'");
	is(job('big', 'compact', 'worker_pid'), $pid, 'and is named in reef_stat_maintenance');
	isnt($pid, (workers())[0], 'it is not the one that only folds');
	my $since = time;
	kill 'TERM', $pid;
	ok(wait_until(5, sub { !kill 0, $pid }), 'TERM ends it');
	cmp_ok(time - $since, '<', 1, '... within a second');
	ok(wait_until(15, sub { scalar(grep { $_ } workers()) == 2 }), 'it comes back');
	ok(wait_until(30, sub {
		value("SELECT count(*) FROM reef_stat_progress WHERE operation = 'compact' AND pid <> $pid") eq '1' }),
		'and begins again');
	is(job('big', 'compact', 'failures'), '0', 'which is no failure');
	$since = time;
	$node->stop('fast');
	cmp_ok(time - $since, '<', 3, 'a fast shutdown does not wait for it');
	$node->start;
	$session = ReefSession->new($node);
	set('reef.auto_compact' => 'off', 'reef.maintenance_io_limit' => '0');
	is(checksum('big'), $sum, 'every row is there');
}

#
# Verify, repair, rebuild.
#
{
	value("INSERT INTO t5 VALUES (1000, 'not folded')");
	my $before = checksum('t5');
	is(value("SELECT count(*) FROM reef_verify('t5', deep => true) WHERE severity <> 'info'"), '0', 'a sound table');
	is(value("SELECT count(*) FROM reef_repair('t5', dry_run => true) WHERE action LIKE 'lost%'"), '0', 'has lost nothing');

	$node->stop('fast');
	unlink glob "$store/m/t5/manifest/*" or die;
	$node->start;
	$session = ReefSession->new($node);
	my $answer = $session->run('SELECT count(*) FROM t5');
	is($answer->{sqlstate}, 'XX001', 'without manifests it is damaged') or diag $answer->{out};
	like($answer->{err}, qr/reef_rebuild\(\)/, '... and the hint names reef_rebuild');
	cmp_ok(value("SELECT count(*) FROM reef_verify('t5') WHERE severity = 'error'"), '>=', 1, 'reef_verify says so');
	my @dry = split /\n/, value("SELECT action FROM reef_rebuild('t5', dry_run => true)");
	cmp_ok(scalar(@dry), '>=', 1, 'reef_rebuild says what it would do');
	is(objects('manifest', 't5'), 0, '... and does not');
	value("SELECT * FROM reef_rebuild('t5')");
	is(checksum('t5'), $before, 'reef_rebuild brings every row back');
	is(value("SELECT count(*) FROM reef_verify('t5', deep => true) WHERE severity <> 'info'"), '0', 'and it is sound');
	value("INSERT INTO t5 VALUES (1001, 'goes on')");
	is(value('SELECT note FROM t5 WHERE id = 1001'), 'goes on', 'and can be written');

	# a damaged segment
	my ($segment) = glob "$store/m/t6/segment/*";
	$before = value('SELECT count(*) FROM t6');
	$node->stop('fast');
	open my $file, '+<', $segment or die;
	seek $file, 100, 0;
	print $file 'x' x 200;
	close $file;
	$node->start;
	$session = ReefSession->new($node);
	cmp_ok(value("SELECT count(*) FROM reef_verify('t6', deep => true) WHERE severity = 'error' AND object LIKE 'm/t6/segment/%'"),
		'>=', 1, 'a damaged segment is found');
	my $actions = value("SELECT string_agg(action || ': ' || detail, '; ') FROM reef_repair('t6')");
	like($actions, qr/quarantine/, 'it is set aside');
	like($actions, qr/lost/, 'and what is lost is said') or diag $actions;
	is(value("SELECT count(*) FROM reef_verify('t6', deep => true) WHERE severity = 'error'"), '0', 'what is left is sound');
	cmp_ok(value('SELECT count(*) FROM t6'), '<=', $before, 'and can be read');
}
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP/, 'no panic');

done_testing();
