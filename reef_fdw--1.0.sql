/* reef_fdw--1.0.sql */

\echo Use "CREATE EXTENSION reef_fdw" to load this file. \quit

CREATE FUNCTION reef_fdw_handler()
RETURNS fdw_handler
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT;

CREATE FUNCTION reef_fdw_validator(text[], oid)
RETURNS void
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT;

CREATE FOREIGN DATA WRAPPER reef_fdw
	HANDLER reef_fdw_handler
	VALIDATOR reef_fdw_validator;

-- What is in the store and in memory.

CREATE FUNCTION reef_stats(
	"table" regclass,
	OUT namespace text,
	OUT "exists" boolean,
	OUT rows bigint,
	OUT bytes bigint,
	OUT segments_level0 integer,
	OUT segments_level1 integer,
	OUT is_writer boolean,
	OUT epoch bigint,
	OUT last_lsn bigint,
	OUT last_applied_lsn bigint,
	OUT manifest_version bigint,
	OUT unfolded_records bigint,
	OUT unfolded_bytes bigint,
	OUT memtable_bytes bigint,
	OUT generations bigint,
	OUT pins bigint,
	OUT commits bigint,
	OUT records bigint,
	OUT fences bigint,
	OUT has_pending_aborts boolean,
	OUT user_bytes bigint,
	OUT bytes_put_records bigint,
	OUT bytes_put_bulk bigint,
	OUT bytes_put_folds bigint,
	OUT bytes_put_compactions bigint,
	OUT write_amplification double precision,
	OUT writers_waiting integer,
	OUT backpressure_ms bigint,
	OUT backpressure_reason text)
RETURNS record
AS 'MODULE_PATHNAME', 'reef_sql_stats'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

CREATE FUNCTION reef_segments(
	"table" regclass,
	OUT id text,
	OUT level integer,
	OUT rows bigint,
	OUT tombstones bigint,
	OUT superseding bigint,
	OUT lsn_min bigint,
	OUT lsn_max bigint,
	OUT bytes bigint,
	OUT object text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'reef_sql_segments'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

CREATE FUNCTION reef_manifests(
	"table" regclass,
	OUT version bigint,
	OUT is_current boolean,
	OUT last_applied_lsn bigint,
	OUT epoch bigint,
	OUT rows bigint,
	OUT segments bigint,
	OUT bytes bigint,
	OUT modified timestamptz,
	OUT object text,
	OUT problem text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'reef_sql_manifests'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

CREATE FUNCTION reef_wal(
	"table" regclass,
	OUT lsn bigint,
	OUT is_folded boolean,
	OUT transactions integer,
	OUT epoch bigint,
	OUT written timestamptz,
	OUT bytes bigint,
	OUT modified timestamptz,
	OUT object text,
	OUT problem text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'reef_sql_wal'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

CREATE FUNCTION reef_report("table" regclass)
RETURNS text
AS 'MODULE_PATHNAME', 'reef_sql_report'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

CREATE FUNCTION reef_last_lsn("table" regclass)
RETURNS bigint
AS 'MODULE_PATHNAME', 'reef_sql_last_lsn'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

CREATE FUNCTION reef_namespaces(
	OUT location text,
	OUT namespace text,
	OUT is_writer boolean,
	OUT epoch bigint,
	OUT last_lsn bigint,
	OUT last_applied_lsn bigint,
	OUT manifest_version bigint,
	OUT unfolded_records bigint,
	OUT unfolded_bytes bigint,
	OUT memtable_bytes bigint,
	OUT users integer,
	OUT last_fold timestamptz,
	OUT failures integer,
	OUT last_error_at timestamptz,
	OUT last_error text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'reef_sql_namespaces'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

CREATE VIEW reef_namespaces AS
	SELECT * FROM @extschema@.reef_namespaces();

CREATE FUNCTION reef_stat_store(
	OUT location text,
	OUT request text,
	OUT requests bigint,
	OUT bytes bigint,
	OUT errors bigint,
	OUT retries bigint,
	OUT total_ms double precision,
	OUT mean_ms double precision,
	OUT cache_hits bigint,
	OUT cache_misses bigint,
	OUT cache_hit_ratio double precision,
	OUT cache_hit_bytes bigint,
	OUT cache_filled_bytes bigint,
	OUT cache_evictions bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'reef_sql_stat_store'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

CREATE FUNCTION reef_stat_maintenance(
	OUT location text,
	OUT namespace text,
	OUT job text,
	OUT worker_pid integer,
	OUT runs bigint,
	OUT last_run timestamptz,
	OUT last_ms double precision,
	OUT objects_in bigint,
	OUT objects_out bigint,
	OUT rows_in bigint,
	OUT rows_out bigint,
	OUT bytes_in bigint,
	OUT bytes_out bigint,
	OUT result text,
	OUT failures integer,
	OUT last_error_at timestamptz,
	OUT last_error text,
	OUT next_run timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'reef_sql_stat_maintenance'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

CREATE FUNCTION reef_stat_progress(
	OUT pid integer,
	OUT operation text,
	OUT location text,
	OUT namespace text,
	OUT phase text,
	OUT done bigint,
	OUT total bigint,
	OUT started timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'reef_sql_stat_progress'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

CREATE VIEW reef_stat_store AS
	SELECT * FROM @extschema@.reef_stat_store();
CREATE VIEW reef_stat_maintenance AS
	SELECT * FROM @extschema@.reef_stat_maintenance();
CREATE VIEW reef_stat_progress AS
	SELECT * FROM @extschema@.reef_stat_progress();

REVOKE ALL ON FUNCTION reef_namespaces(), reef_stat_store(),
	reef_stat_maintenance(), reef_stat_progress() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reef_namespaces(), reef_stat_store(),
	reef_stat_maintenance(), reef_stat_progress() TO pg_monitor;
GRANT SELECT ON reef_namespaces, reef_stat_store, reef_stat_maintenance,
	reef_stat_progress TO pg_monitor;

CREATE FUNCTION reef_warm(
	"table" regclass,
	OUT segments bigint,
	OUT bytes bigint,
	OUT fetched_bytes bigint)
RETURNS record
AS 'MODULE_PATHNAME', 'reef_sql_warm'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

-- What changes the store.

CREATE FUNCTION reef_fold(
	"table" regclass,
	OUT rows bigint,
	OUT segments bigint,
	OUT bytes bigint,
	OUT manifest_version bigint,
	OUT last_applied_lsn bigint)
RETURNS record
AS 'MODULE_PATHNAME', 'reef_sql_fold'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE FUNCTION reef_compact(
	"table" regclass,
	"full" boolean DEFAULT false,
	OUT merges bigint,
	OUT segments_in bigint,
	OUT segments_out bigint,
	OUT rows_in bigint,
	OUT rows_out bigint,
	OUT bytes_in bigint,
	OUT bytes_out bigint)
RETURNS record
AS 'MODULE_PATHNAME', 'reef_sql_compact'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE FUNCTION reef_gc(
	"table" regclass,
	dry_run boolean DEFAULT false,
	OUT action text,
	OUT object text,
	OUT reason text,
	OUT bytes bigint,
	OUT modified timestamptz,
	OUT problem text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'reef_sql_gc'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE FUNCTION reef_verify(
	"table" regclass,
	deep boolean DEFAULT false,
	OUT severity text,
	OUT object text,
	OUT check_name text,
	OUT detail text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'reef_sql_verify'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE FUNCTION reef_repair(
	"table" regclass,
	dry_run boolean DEFAULT false,
	OUT action text,
	OUT object text,
	OUT detail text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'reef_sql_repair'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE FUNCTION reef_rebuild(
	"table" regclass,
	dry_run boolean DEFAULT false,
	OUT action text,
	OUT object text,
	OUT detail text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'reef_sql_rebuild'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE PROCEDURE reef_fold_all()
AS 'MODULE_PATHNAME', 'reef_sql_fold_all'
LANGUAGE C;

CREATE PROCEDURE reef_compact_all("full" boolean DEFAULT false)
AS 'MODULE_PATHNAME', 'reef_sql_compact_all'
LANGUAGE C;

CREATE PROCEDURE reef_gc_all()
AS 'MODULE_PATHNAME', 'reef_sql_gc_all'
LANGUAGE C;

CREATE PROCEDURE reef_drop_namespace(server name, namespace text)
AS 'MODULE_PATHNAME', 'reef_sql_drop_namespace'
LANGUAGE C;

REVOKE ALL ON FUNCTION reef_fold(regclass), reef_compact(regclass, boolean),
	reef_gc(regclass, boolean), reef_repair(regclass, boolean),
	reef_rebuild(regclass, boolean) FROM PUBLIC;
REVOKE ALL ON PROCEDURE reef_fold_all(), reef_compact_all(boolean),
	reef_gc_all(), reef_drop_namespace(name, text) FROM PUBLIC;
