-- Maintaining one table, or all, by hand; who may; and the views that watch it.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS reef_fdw;
RESET client_min_messages;
\getenv store REEF_STORE
CREATE SERVER upkeep_lake FOREIGN DATA WRAPPER reef_fdw OPTIONS (location :'store');
CREATE FOREIGN TABLE t (
	id int OPTIONS (key 'true'),
	note text)
	SERVER upkeep_lake OPTIONS (namespace 'upkeep/t');
CREATE FOREIGN TABLE u (
	id int OPTIONS (key 'true'),
	note text)
	SERVER upkeep_lake OPTIONS (namespace 'upkeep/u');
CREATE TABLE heap (id int);

-- of a table that was never written
SELECT * FROM reef_compact('t');
SELECT * FROM reef_compact('t', full => true);
SELECT * FROM reef_gc('t');
SELECT * FROM reef_gc('t', dry_run => true);
SELECT * FROM reef_verify('t', deep => true);

-- folds make level 0, compaction makes level 1, and no query sees a difference
INSERT INTO t SELECT i, 'note ' || i FROM generate_series(1, 1000) i;
SELECT rows, segments FROM reef_fold('t');
UPDATE t SET note = 'changed' WHERE id % 10 = 0;
DELETE FROM t WHERE id > 900;
SELECT rows, segments FROM reef_fold('t');
INSERT INTO t SELECT i, 'again' FROM generate_series(951, 1000) i;
SELECT segments_level0, segments_level1, unfolded_records > 0 AS unfolded FROM reef_stats('t');
SELECT count(*) AS count, md5(string_agg(t::text, ',' ORDER BY id)) AS sum FROM t \gset
-- what is not folded yet comes along
SELECT merges, segments_in, segments_out, rows_in, rows_out, bytes_in > bytes_out AS smaller
	FROM reef_compact('t', full => true);
SELECT level, rows, tombstones, superseding FROM reef_segments('t');
SELECT count(*) = :count AS count, md5(string_agg(t::text, ',' ORDER BY id)) = :'sum' AS sum FROM t;
SELECT rows, segments_level0, segments_level1, unfolded_records FROM reef_stats('t');
-- once is enough
SELECT merges, segments_in FROM reef_compact('t', full => true);
SELECT merges, segments_in FROM reef_compact('t');
-- nothing is old enough
SELECT * FROM reef_gc('t');
SELECT count(*) FROM reef_verify('t') WHERE severity <> 'info';
SELECT count(*) FROM reef_verify('t', deep => true) WHERE severity <> 'info';
SELECT count(*) FROM reef_repair('t', dry_run => true) WHERE action LIKE 'lost%';
SELECT count(*) > 0 AS actions FROM reef_rebuild('t', dry_run => true);
SELECT count(*) = :count AS count, md5(string_agg(t::text, ',' ORDER BY id)) = :'sum' AS sum FROM t;

-- what it took
SELECT user_bytes > 10000 AS user_bytes, bytes_put_records > 0 AS records, bytes_put_bulk AS bulk, bytes_put_folds > 0 AS folds,
	bytes_put_compactions > 0 AS compactions,
	write_amplification = (bytes_put_records + bytes_put_bulk + bytes_put_folds + bytes_put_compactions)::float8 / user_bytes AS amplification,
	writers_waiting, backpressure_ms, backpressure_reason FROM reef_stats('t');
SELECT job, worker_pid, runs, last_run <= now() AS last_run, last_ms >= 0 AS last_ms, objects_in, objects_out, rows_in, rows_out,
	bytes_in > 0 AS bytes_in, bytes_out > 0 AS bytes_out, result, failures, last_error_at, last_error, next_run IS NOT NULL AS next_run
	FROM reef_stat_maintenance WHERE starts_with(location, :'store') AND namespace = 'upkeep/t' AND job <> 'gc';
SELECT request, requests > 0 AS requests, bytes > 0 AS bytes, total_ms > 0 AS total_ms, mean_ms >= 0 AS mean_ms
	FROM reef_stat_store WHERE starts_with(location, :'store') AND request IN ('put', 'get', 'list') ORDER BY 1;
SELECT * FROM reef_stat_progress;

-- what is no reef table; NULL
SELECT reef_compact('heap');
SELECT * FROM reef_gc('heap');
SELECT * FROM reef_verify('heap');
SELECT reef_compact(NULL);
SELECT * FROM reef_verify(NULL);
SELECT * FROM reef_repair('no_such_table');

-- all tables
INSERT INTO t VALUES (5000, 'fold me');
INSERT INTO u VALUES (1, 'fold me too');
CALL reef_fold_all();
SELECT sum(unfolded_records) FROM reef_namespaces WHERE namespace LIKE 'upkeep/%';
CALL reef_compact_all(full => true);
SELECT segments_level0, segments_level1 FROM reef_stats('t');
SELECT segments_level0, segments_level1 FROM reef_stats('u');
CALL reef_compact_all();
CALL reef_gc_all();
CALL reef_compact_all(NULL);
BEGIN;
CALL reef_fold_all();
ROLLBACK;
DO $$ BEGIN CALL reef_gc_all(); END $$;
DO $$ BEGIN PERFORM 1; CALL reef_gc_all(); EXCEPTION WHEN active_sql_transaction THEN RAISE NOTICE '%', sqlerrm; END $$;

-- who may do what
CREATE ROLE reef_upkeep;
GRANT SELECT ON t TO reef_upkeep;
SET ROLE reef_upkeep;
SELECT reef_compact('t');
SELECT * FROM reef_gc('t', dry_run => true);
SELECT * FROM reef_repair('t');
SELECT * FROM reef_rebuild('t');
SELECT * FROM reef_verify('t');
CALL reef_fold_all();
CALL reef_compact_all();
CALL reef_gc_all();
SELECT * FROM reef_stat_store;
SELECT * FROM reef_stat_maintenance;
SELECT * FROM reef_stat_progress;
RESET ROLE;
GRANT EXECUTE ON FUNCTION reef_fold(regclass), reef_compact(regclass, boolean), reef_gc(regclass, boolean),
	reef_repair(regclass, boolean), reef_rebuild(regclass, boolean) TO reef_upkeep;
GRANT EXECUTE ON PROCEDURE reef_fold_all(), reef_compact_all(boolean), reef_gc_all() TO reef_upkeep;
INSERT INTO u VALUES (2, 'stays');
SET ROLE reef_upkeep;
-- the right to call is not the right to maintain
SELECT reef_compact('t');
SELECT * FROM reef_gc('t', dry_run => true);
SELECT * FROM reef_repair('t', dry_run => true);
SELECT * FROM reef_rebuild('t', dry_run => true);
-- tables of others are left out
CALL reef_fold_all();
RESET ROLE;
SELECT unfolded_records FROM reef_stats('u');
ALTER FOREIGN TABLE u OWNER TO reef_upkeep;
GRANT USAGE ON FOREIGN SERVER upkeep_lake TO reef_upkeep;
SET ROLE reef_upkeep;
CALL reef_fold_all();
SELECT unfolded_records FROM reef_stats('u');
RESET ROLE;
GRANT pg_monitor TO reef_upkeep;
SET ROLE reef_upkeep;
SELECT count(*) > 0 AS visible FROM reef_stat_store;
SELECT count(*) > 0 AS visible FROM reef_stat_maintenance;
SELECT count(*) AS visible FROM reef_stat_progress;
RESET ROLE;

-- in a read-only transaction one may look
BEGIN READ ONLY;
SELECT count(*) FROM reef_gc('t', dry_run => true);
SELECT count(*) FROM reef_verify('t') WHERE severity <> 'info';
SELECT count(*) FROM reef_repair('t', dry_run => true) WHERE action LIKE 'lost%';
SELECT reef_compact('t');
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM reef_gc('t');
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM reef_repair('t');
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM reef_rebuild('t');
ROLLBACK;

-- a read-only table is left out, or refused
ALTER FOREIGN TABLE t OPTIONS (ADD read_only 'true');
CALL reef_fold_all();
ALTER FOREIGN TABLE t OPTIONS (DROP read_only);
-- one that fails is a warning, and the others get their turn
INSERT INTO u VALUES (3, 'gets its turn');
CREATE SERVER upkeep_broken FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 'file:///no/such/directory');
CREATE FOREIGN TABLE broken (id int OPTIONS (key 'true')) SERVER upkeep_broken OPTIONS (namespace 'upkeep/broken');
\set VERBOSITY terse
CALL reef_fold_all();
\set VERBOSITY default
SELECT unfolded_records FROM reef_stats('u');

-- settings
SHOW reef.maintenance_io_limit;
SET reef.maintenance_io_limit = '1MB';
SELECT merges FROM reef_compact('t', full => true);
RESET reef.maintenance_io_limit;
SET reef.auto_compact = off;

DROP SERVER upkeep_broken CASCADE;
DROP OWNED BY reef_upkeep;
DROP ROLE reef_upkeep;
DROP TABLE heap;
DROP SERVER upkeep_lake CASCADE;
