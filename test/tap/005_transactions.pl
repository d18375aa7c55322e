# Transactions that end in every way PostgreSQL knows, with reef tables and heap tables in
# one: both or neither [I2], also when everything is killed at the moment of COMMIT.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use ReefSession;
use ReefTest;

my $store = new_store();
my $node = new_node('main', conf => <<'CONF');
max_prepared_transactions = 5
max_stack_depth = 5MB
reef.fold_size = '64kB'
CONF
attach($node, $store, <<'SQL');
CREATE FOREIGN TABLE t (id bigint OPTIONS (key 'true'), n bigint, note text)
	SERVER lake OPTIONS (namespace 'public/t');
CREATE FOREIGN TABLE u (id bigint OPTIONS (key 'true'), n bigint)
	SERVER lake OPTIONS (namespace 'public/u');
CREATE TABLE h (id bigint PRIMARY KEY, n bigint);
CREATE TABLE parent (id bigint PRIMARY KEY);
CREATE TABLE child (id bigint REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
SQL
my $started = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');
my $session = ReefSession->new($node);

# The statements give this SQLSTATE, and this query this answer afterwards, here and elsewhere.
sub gives
{
	my ($what, $sql, $sqlstate, $query, $expected) = @_;
	my $answer = $session->run($sql);
	is($answer->{sqlstate}, $sqlstate, "$what: SQLSTATE") or diag $answer->{err};
	$session->run('ROLLBACK') if $sqlstate ne '00000';
	is($session->run($query)->{out}, $expected, "$what: the rows");
	is($node->safe_psql('postgres', $query), $expected, "$what: the rows for others");
	return;
}

#
# What fails at COMMIT, before and behind us.
#
gives('deferred constraint', <<'SQL', '23503', 'SELECT count(*) FROM t', '0');
BEGIN;
INSERT INTO t VALUES (1, 1);
INSERT INTO child VALUES (1);
COMMIT;
SQL
gives('deferred constraint that holds', <<'SQL', '00000', 'SELECT count(*), (SELECT count(*) FROM child) FROM t', '1|1');
BEGIN;
INSERT INTO child VALUES (1);
INSERT INTO t VALUES (1, 1);
INSERT INTO parent VALUES (1);
COMMIT;
SQL
$session->run(<<'SQL');
CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t VALUES (NEW.id, -1);
	IF NEW.n < 0 THEN RAISE EXCEPTION 'late'; END IF;
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON h DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late();
SQL
gives('a deferred trigger that writes and fails', <<'SQL', 'P0001', 'SELECT count(*), (SELECT count(*) FROM h) FROM t', '1|0');
BEGIN;
INSERT INTO t VALUES (2, 1);
INSERT INTO h VALUES (3, -1);
COMMIT;
SQL
gives('a deferred trigger that writes', <<'SQL', '00000', 'SELECT count(*), (SELECT count(*) FROM h) FROM t', '3|1');
BEGIN;
INSERT INTO t VALUES (2, 1);
INSERT INTO h VALUES (3, 1);
COMMIT;
SQL
$session->run('DROP TRIGGER late ON h');
gives('NOTIFY', <<'SQL', '00000', 'SELECT n FROM t WHERE id = 4', '7');
LISTEN somebody;
BEGIN;
NOTIFY somebody, 'once';
INSERT INTO t VALUES (4, 7);
NOTIFY somebody, 'twice';
COMMIT;
SQL

#
# A commit that fails behind our record, in PostgreSQL's own ON COMMIT actions: the record is in
# the store already, and another one must void it.
#
my $late_failure = <<'SQL';
CREATE TEMP TABLE a (i int PRIMARY KEY) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE b (i int REFERENCES a);
SQL
my $records = sub { return $node->safe_psql('postgres', "SELECT last_lsn FROM reef_stats('t')") };
{
	my $before = $records->();
	gives("failure behind the record, $_", <<"SQL", '0A000', 'SELECT count(*), (SELECT count(*) FROM h) FROM t', '4|1') for 1 .. 3;
BEGIN;
INSERT INTO t VALUES (20 + $_, 1);
UPDATE t SET n = 1000;
INSERT INTO h VALUES (20 + $_, 1);
$late_failure
COMMIT;
SQL
	is($records->() - $before, 6, 'three records and three that void them');
	is($node->safe_psql('postgres', "SELECT has_pending_aborts FROM reef_stats('t')"), 'f', 'none is still to come');
	gives('the same rows afterwards', 'INSERT INTO t VALUES (21, 1); DELETE FROM t WHERE id = 21', '00000',
		'SELECT count(*), max(n) FROM t', '4|7');
}

#
# PREPARE TRANSACTION and SERIALIZABLE.
#
gives('PREPARE TRANSACTION', <<'SQL', '0A000', 'SELECT count(*), (SELECT count(*) FROM pg_prepared_xacts) FROM t', '4|0');
BEGIN;
INSERT INTO t VALUES (10, 1);
PREPARE TRANSACTION 'p';
SQL
gives('PREPARE TRANSACTION after reading', <<'SQL', '00000', 'SELECT count(*) FROM h', '2');
BEGIN;
SELECT count(*) FROM t WHERE id > 100;
INSERT INTO h VALUES (10, 1);
PREPARE TRANSACTION 'p';
COMMIT PREPARED 'p';
SQL
gives('PREPARE TRANSACTION after writes that were undone', <<'SQL', '00000', 'SELECT count(*) FROM t', '4');
BEGIN;
SAVEPOINT s;
INSERT INTO t VALUES (10, 1);
ROLLBACK TO s;
PREPARE TRANSACTION 'p';
ROLLBACK PREPARED 'p';
SQL
gives('SERIALIZABLE', <<'SQL', '0A000', 'SELECT count(*) FROM t', '4');
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO t VALUES (10, 1);
COMMIT;
SQL
gives('SERIALIZABLE reads', <<'SQL', '00000', 'SELECT count(*) FROM h', '3');
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*) FROM t WHERE id > 100;
INSERT INTO h VALUES (11, 1);
COMMIT;
SQL
gives('READ ONLY', <<'SQL', '25006', 'SELECT count(*) FROM t', '4');
BEGIN READ ONLY;
INSERT INTO t VALUES (10, 1);
COMMIT;
SQL

#
# Two namespaces, one of them in the end (both: 008_several_tables.pl).
#
gives('two namespaces, the first undone', <<'SQL', '00000', 'SELECT count(*), (SELECT count(*) FROM u) FROM t', '4|1');
BEGIN;
SAVEPOINT s;
INSERT INTO t VALUES (10, 1);
ROLLBACK TO s;
INSERT INTO u VALUES (10, 1);
COMMIT;
SQL
gives('two namespaces, the second undone', <<'SQL', '00000', 'SELECT count(*), (SELECT count(*) FROM u) FROM t WHERE id <> 10', '4|1');
BEGIN;
INSERT INTO t VALUES (10, 1);
SAVEPOINT s;
INSERT INTO u VALUES (11, 1);
ROLLBACK TO s;
COMMIT;
DELETE FROM t WHERE id = 10;
SQL
gives('reading one and writing another', <<'SQL', '00000', 'SELECT count(*) FROM u', '5');
INSERT INTO u SELECT id + 100, n FROM t;
SQL

#
# Procedures that commit and roll back, over a cursor on what they write.
#
$session->run(<<'SQL');
TRUNCATE h;
DELETE FROM t;
INSERT INTO t SELECT i, 0 FROM generate_series(1, 200) i;
CREATE PROCEDURE walk() LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
	FOR r IN SELECT id FROM t ORDER BY id LOOP
		UPDATE t SET n = n + 1 WHERE id = r.id;
		INSERT INTO h VALUES (r.id, 1);
		IF r.id % 3 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
	END LOOP;
END $$;
SQL
gives('COMMIT and ROLLBACK in a loop over a cursor', 'CALL walk()', '00000',
	'SELECT sum(n), count(*) FILTER (WHERE n = 0), (SELECT count(*) FROM h) FROM t', '134|66|134');
gives('COMMIT in a DO block that fails later', <<'SQL', 'P0001', 'SELECT sum(n) FROM t', '334');
DO $$ BEGIN
	UPDATE t SET n = n + 1;
	COMMIT;
	UPDATE t SET n = n + 1;
	RAISE EXCEPTION 'later';
END $$;
SQL
gives('ROLLBACK', <<'SQL', '00000', 'SELECT sum(n), count(*) FROM t', '334|200');
BEGIN;
UPDATE t SET n = 0;
DELETE FROM t WHERE id < 100;
INSERT INTO t VALUES (1000, 1000);
SELECT count(*) FROM t HAVING count(*) <> 102;
ROLLBACK;
SQL

#
# Savepoints, deep and wide.
#
$session->run('DELETE FROM t');
my $deep = join '', map { "SAVEPOINT s$_; INSERT INTO t VALUES ($_, $_);\n" } 1 .. 1000;
gives('1000 nested savepoints, half of them undone', "BEGIN;\n${deep}ROLLBACK TO s501;\nCOMMIT;\n", '00000',
	'SELECT count(*), max(id) FROM t', '500|500');
$deep = join '', map { "SAVEPOINT s$_; INSERT INTO t VALUES (1000 + $_, $_);\n" } 1 .. 1000;
gives('1000 nested savepoints, released', "BEGIN;\n${deep}RELEASE s1;\nCOMMIT;\n", '00000',
	'SELECT count(*), max(id) FROM t', '1500|2000');
$session->run('DELETE FROM t WHERE id > 1000');
gives('the same name again and again', <<'SQL', '00000', 'SELECT string_agg(id::text, chr(32) ORDER BY id) FROM t WHERE id > 1000', '2001 2004');
BEGIN;
SAVEPOINT s;
INSERT INTO t VALUES (2001);
SAVEPOINT s;
INSERT INTO t VALUES (2002);
ROLLBACK TO s;
INSERT INTO t VALUES (2003);
ROLLBACK TO s;
RELEASE s;
INSERT INTO t VALUES (2004);
COMMIT;
SQL
gives('2000 subtransactions one after the other', <<'SQL', '00000', 'SELECT count(*), sum(id) FROM t WHERE id > 10000', '1000|11001000');
DO $$ BEGIN
	FOR i IN 1..2000 LOOP
		BEGIN
			INSERT INTO t VALUES (10000 + i, i);
			IF i % 2 = 1 THEN RAISE EXCEPTION 'odd'; END IF;
		EXCEPTION WHEN raise_exception THEN NULL;
		END;
	END LOOP;
END $$;
SQL

#
# Cursors across savepoints and commits.
#
gives('cursors', <<'SQL', '00000', 'SELECT count(*) FROM t WHERE id > 20000', '1');
BEGIN;
DECLARE before CURSOR FOR SELECT id FROM t WHERE id <= 3 ORDER BY id;
FETCH before;
SAVEPOINT s;
INSERT INTO t VALUES (20001, 0);
DECLARE inside CURSOR FOR SELECT count(*) FROM t WHERE id > 20000;
FETCH before;
ROLLBACK TO s;
FETCH before;
INSERT INTO t VALUES (20002, 0);
DECLARE held CURSOR WITH HOLD FOR SELECT id FROM t WHERE id > 20000;
COMMIT;
SQL
is($session->run('FETCH ALL held')->{out}, '20002', 'a cursor WITH HOLD');
is($session->run("BEGIN; SAVEPOINT s; DECLARE c CURSOR FOR SELECT id FROM t; FETCH c; ROLLBACK TO s; FETCH c;")->{sqlstate},
	'34000', 'a cursor goes with its savepoint');
$session->run('ROLLBACK; CLOSE held');
is($node->safe_psql('postgres', "SELECT pins FROM reef_stats('t')"), '0', 'no pins are left');
is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $started, 'the server has not restarted');
unlike(slurp_file($node->logfile), qr/PANIC|terminating any other/, 'nothing crashed');

#
# kill -9 of everything around COMMIT of transactions that write heap and reef tables: all or
# nothing, and everything that was acknowledged, whatever synchronous_commit says.
#
my $dir = PostgreSQL::Test::Utils::tempdir();
$session->quit;
sub start_pairs
{
	my ($round, $w) = @_;
	my ($script, $log) = ("$dir/script.$round.$w", "$dir/acknowledged.$round.$w");
	open my $fh, '>', $script or die;
	print $fh 'SET synchronous_commit = ' . ($w % 2 ? 'off' : 'on') . ";\n";
	for my $n (1 .. 5000)
	{
		my $id = $round * 10_000_000 + $w * 1_000_000 + $n;
		my @both = ("INSERT INTO t VALUES ($id, $w);", "INSERT INTO h VALUES ($id, $w);");
		@both = reverse @both if $n % 2;
		# every fifth one rolls back, and its id must never show
		my $end = $n % 5 ? "COMMIT;\n\\warn $id" : 'ROLLBACK;';
		print $fh "BEGIN;\n@both\n$end\n";
	}
	close $fh;
	my $pid = fork // die;
	if ($pid == 0)
	{
		open STDERR, '>', $log;
		open STDOUT, '>', '/dev/null';
		exec 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $script;
		die;
	}
	return $pid;
}

$session = ReefSession->new($node);
$session->run("BEGIN; INSERT INTO t VALUES (30000, 1); $late_failure COMMIT;");
kill_everything($node);
$node->start;
is($node->safe_psql('postgres', 'SELECT count(*) FROM t WHERE id = 30000'), '0', 'what was voided stays away after a crash');

my $rounds = 2 * ($ENV{REEF_ROUNDS} // 5);
$node->safe_psql('postgres', 'TRUNCATE h');
$node->safe_psql('postgres', 'DELETE FROM t');
my $total = 0;
for my $round (1 .. $rounds)
{
	my @writers = map { start_pairs($round, $_) } 1 .. 4;
	usleep(150_000 + int rand 500_000);
	kill_everything($node);
	kill 'TERM', @writers;
	waitpid $_, 0 for @writers;
	$node->start;
	my @ids = acknowledged($dir);
	my $list = join ',', @ids, 0;
	my ($half, $lost, $undone) = split /\|/, $node->safe_psql('postgres', <<"SQL");
CREATE TEMP TABLE there AS SELECT id FROM t;
SELECT (SELECT count(*) FROM there FULL JOIN h USING (id) WHERE there.id IS NULL OR h.id IS NULL),
	(SELECT count(*) FROM unnest(ARRAY[$list]) a (id) WHERE id > 0 AND NOT EXISTS (SELECT FROM there WHERE there.id = a.id)),
	(SELECT count(*) FROM there WHERE id % 5 = 0)
SQL
	is("$half $lost $undone", '0 0 0', "round $round: heap and reef agree, nothing of " . @ids . ' is lost, nothing undone is there');
	cmp_ok(scalar(@ids), '>', $total, "round $round: the writers got somewhere");
	$total = @ids;
}

# A fold after all that, and another start, change nothing.
my $sums = 'SELECT count(*), sum(id), sum(n) FROM ';
my $expected = $node->safe_psql('postgres', "$sums h");
$node->safe_psql('postgres', "SELECT reef_fold('t')");
is($node->safe_psql('postgres', "$sums t"), $expected, 'the same after a fold');
$node->restart;
is($node->safe_psql('postgres', "$sums t"), $expected, 'the same after a restart');
is($node->safe_psql('postgres', "SELECT rows FROM reef_stats('t')"), (split /\|/, $expected)[0], 'the count is exact');
$node->stop;

done_testing();
