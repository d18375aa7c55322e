-- The functions that show and change what is in the store.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS reef_fdw;
RESET client_min_messages;
\getenv store REEF_STORE
CREATE SERVER admin_lake FOREIGN DATA WRAPPER reef_fdw OPTIONS (location :'store');
CREATE FOREIGN TABLE t (
	id int OPTIONS (key 'true'),
	note text)
	SERVER admin_lake OPTIONS (namespace 'admin/t');
CREATE TABLE heap (id int);

-- before the first write there is nothing
SELECT "exists", rows, bytes, is_writer, last_lsn, manifest_version FROM reef_stats('t');
SELECT * FROM reef_segments('t');
SELECT * FROM reef_manifests('t');
SELECT * FROM reef_wal('t');

INSERT INTO t SELECT i, 'note ' || i FROM generate_series(1, 1000) i;
INSERT INTO t VALUES (1001, NULL);
SELECT "exists", rows, is_writer, last_lsn, last_applied_lsn, unfolded_records, unfolded_bytes > 0 AS unfolded,
	segments_level0, segments_level1, commits, records, fences, has_pending_aborts FROM reef_stats('t');
-- the first record is a fence
SELECT lsn, is_folded, transactions, epoch, bytes > 0 AS bytes, object, problem FROM reef_wal('t');

-- folding moves the rows and changes nothing
SELECT count(*) AS count, md5(string_agg(t::text, ',' ORDER BY id)) AS sum FROM t \gset
SELECT rows, segments, bytes > 0 AS bytes, manifest_version > 0 AS manifest, last_applied_lsn FROM reef_fold('t');
SELECT count(*) = :count AS count, md5(string_agg(t::text, ',' ORDER BY id)) = :'sum' AS sum FROM t;
SELECT rows, last_lsn, last_applied_lsn, unfolded_records, unfolded_bytes, segments_level0 FROM reef_stats('t');
SELECT level, rows, tombstones, superseding, lsn_min, lsn_max, bytes > 0 AS bytes,
	object LIKE 'admin/t/segment/' || id || '.parquet' AS object FROM reef_segments('t');
SELECT version, is_current, last_applied_lsn, rows, segments, problem FROM reef_manifests('t')
	WHERE is_current;
-- again: there is nothing to do
SELECT rows, segments, bytes FROM reef_fold('t');

-- deletes become tombstones
DELETE FROM t WHERE id <= 10;
SELECT rows, segments FROM reef_fold('t');
SELECT count(*) FROM t;
SELECT rows FROM reef_stats('t');

-- the table of namespaces
SELECT namespace, is_writer, unfolded_records, failures, last_error
	FROM reef_namespaces WHERE starts_with(location, :'store') AND namespace = 'admin/t';

-- what is no reef table, and who may do what
SELECT reef_fold('heap');
SELECT * FROM reef_stats('pg_class');
CREATE ROLE reef_reader;
GRANT SELECT ON t TO reef_reader;
SET ROLE reef_reader;
SELECT reef_fold('t');
SELECT * FROM reef_namespaces;
CALL reef_drop_namespace('admin_lake', 'admin/t');
SELECT reef_last_lsn('t') > 0 AS is_committed;
RESET ROLE;
GRANT EXECUTE ON FUNCTION reef_fold(regclass) TO reef_reader;
GRANT EXECUTE ON PROCEDURE reef_drop_namespace(name, text) TO reef_reader;
SET ROLE reef_reader;
SELECT reef_fold('t');
CALL reef_drop_namespace('admin_lake', 'admin/t');
RESET ROLE;
REVOKE SELECT ON t FROM reef_reader;
SET ROLE reef_reader;
SELECT rows FROM reef_stats('t');
RESET ROLE;
BEGIN READ ONLY;
SELECT reef_fold('t');
ROLLBACK;

-- dropping a namespace
BEGIN;
CALL reef_drop_namespace('admin_lake', 'admin/t');
ROLLBACK;
CALL reef_drop_namespace(NULL, 'admin/t');
CALL reef_drop_namespace('no_such_server', 'admin/t');
SELECT count(*) FROM t;
CALL reef_drop_namespace('admin_lake', 'admin/t');
SELECT count(*) FROM t;
SELECT "exists", rows, last_lsn FROM reef_stats('t');
-- and beginning it anew
INSERT INTO t VALUES (1, 'anew');
SELECT * FROM t;

-- settings
SHOW reef.memtable_size;
SET reef.commit_timeout = '5s';
SHOW reef.commit_timeout;
RESET reef.commit_timeout;
SET reef.fold_size = '1MB';
SET reef.no_such_parameter = 1;

DROP OWNED BY reef_reader;
DROP ROLE reef_reader;
DROP TABLE heap;
DROP SERVER admin_lake CASCADE;
