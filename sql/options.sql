-- What may be said in OPTIONS, by whom, and what is refused.
\getenv store REEF_STORE
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS reef_fdw;
RESET client_min_messages;
CREATE FUNCTION sqlstate_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE message text; hint text; detail text;
BEGIN
	EXECUTE statement;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN SQLSTATE || ' ' || message || coalesce(' / ' || nullif(detail, ''), '') || coalesce(' / ' || nullif(hint, ''), '');
END $$;
\pset tuples_only on
\pset format unaligned

-- servers
SELECT sqlstate_of($$CREATE SERVER o1 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 'file:///nowhere/at/all')$$);
SELECT sqlstate_of($$CREATE SERVER o2 FOREIGN DATA WRAPPER reef_fdw OPTIONS (loction 'file:///tmp/x')$$);
SELECT sqlstate_of($$CREATE SERVER o2 FOREIGN DATA WRAPPER reef_fdw OPTIONS (something_else 'x')$$);
SELECT sqlstate_of($$CREATE SERVER o2 FOREIGN DATA WRAPPER reef_fdw OPTIONS (secret_access_key 'x')$$);
SELECT sqlstate_of($$CREATE SERVER o2 FOREIGN DATA WRAPPER reef_fdw OPTIONS (namespace 'a/b')$$);
SELECT sqlstate_of($$CREATE SERVER o2 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 'relative/path')$$);
SELECT sqlstate_of($$CREATE SERVER o2 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 'file://relative/path')$$);
SELECT sqlstate_of($$CREATE SERVER o2 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 'file:///tmp/../etc')$$);
SELECT regexp_replace(sqlstate_of(format('CREATE SERVER o2 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location %L)',
	'file://' || current_setting('data_directory') || '/reef')), '"file:[^"]*"', '...');
SELECT sqlstate_of($$CREATE SERVER o2 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 'file:///tmp/x', read_only 'perhaps')$$);
SELECT sqlstate_of($$CREATE SERVER o2 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 'file:///tmp/x', batch_size '0')$$);
SELECT sqlstate_of($$CREATE SERVER o2 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 'file:///tmp/x', request_timeout '5 parsecs')$$);
SELECT sqlstate_of($$CREATE SERVER o2 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 'file:///tmp/x', compression 'gzip')$$);
SELECT sqlstate_of($$CREATE SERVER o2 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 'file:///tmp/x', fdw_tuple_cost '-1')$$);
SELECT sqlstate_of($$CREATE SERVER o2 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 'file:///tmp/x', fdw_tuple_cost 'NaN')$$);
SELECT sqlstate_of($$CREATE SERVER o2 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 'file:///tmp/x', request_timeout '5s',
	max_retries '3', fdw_startup_cost '1.5', fdw_tuple_cost '0', read_only 'off', updatable 'yes', batch_size '50',
	on_conflict 'error', compression 'lz4', target_segment_size '64MB', max_staleness '1min')$$);
SELECT sqlstate_of($$CREATE SERVER o3 FOREIGN DATA WRAPPER reef_fdw$$);
-- secrets belong in user mappings, and nothing else does
SELECT sqlstate_of($$CREATE USER MAPPING FOR CURRENT_USER SERVER o1 OPTIONS (anything 'x')$$);
SELECT sqlstate_of($$CREATE USER MAPPING FOR CURRENT_USER SERVER o1 OPTIONS (acces_key_id 'x')$$);
SELECT sqlstate_of($$CREATE USER MAPPING FOR CURRENT_USER SERVER o1 OPTIONS (access_key_id 'x')$$);
SELECT sqlstate_of($$CREATE USER MAPPING FOR CURRENT_USER SERVER o1 OPTIONS (session_token 'x')$$);
SELECT sqlstate_of(format($$CREATE USER MAPPING FOR CURRENT_USER SERVER o1 OPTIONS (access_key_id 'x', secret_access_key %L)$$,
	repeat('s', 600)));
SELECT sqlstate_of($$CREATE USER MAPPING FOR CURRENT_USER SERVER o1$$);

-- tables and columns
SELECT sqlstate_of($$CREATE FOREIGN TABLE o_t (a int) SERVER o1 OPTIONS (namespce 'a/b')$$);
SELECT sqlstate_of($$CREATE FOREIGN TABLE o_t (a int) SERVER o1 OPTIONS (location 'file:///tmp/x')$$);
SELECT sqlstate_of($$CREATE FOREIGN TABLE o_t (a int) SERVER o1 OPTIONS (namespace '')$$);
SELECT sqlstate_of($$CREATE FOREIGN TABLE o_t (a int) SERVER o1 OPTIONS (namespace 'a/b/c')$$);
SELECT sqlstate_of($$CREATE FOREIGN TABLE o_t (a int) SERVER o1 OPTIONS (namespace 'a/')$$);
SELECT sqlstate_of($$CREATE FOREIGN TABLE o_t (a int) SERVER o1 OPTIONS (namespace 'a/b', on_conflict 'ignore')$$);
SELECT sqlstate_of($$CREATE FOREIGN TABLE o_t (a int OPTIONS (key 'maybe')) SERVER o1 OPTIONS (namespace 'a/b')$$);
SELECT sqlstate_of($$CREATE FOREIGN TABLE o_t (a int OPTIONS (kye 'true')) SERVER o1 OPTIONS (namespace 'a/b')$$);
SELECT sqlstate_of($$CREATE FOREIGN TABLE o_t (a int OPTIONS (column_name '_reef_x')) SERVER o1 OPTIONS (namespace 'a/b')$$);
SELECT sqlstate_of($$CREATE FOREIGN TABLE o_t (a bigint OPTIONS (reef_lsn 'true', key 'true')) SERVER o1 OPTIONS (namespace 'a/b')$$);

-- what only the use of a table finds
CREATE FUNCTION use_of(columns text, options text DEFAULT 'namespace ''a/b''') RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
	EXECUTE format('CREATE FOREIGN TABLE o_u (%s) SERVER o1 %s', columns,
		CASE WHEN options <> '' THEN 'OPTIONS (' || options || ')' ELSE '' END);
	result := sqlstate_of('SELECT * FROM o_u');
	DROP FOREIGN TABLE o_u;
	RETURN result;
END $$;
SELECT use_of('a int', '');
SELECT use_of('a int, b int OPTIONS (column_name ''a'')');
SELECT use_of('_reef_x int');
SELECT use_of('a int OPTIONS (reef_lsn ''true'')');
SELECT use_of('a bigint OPTIONS (reef_lsn ''true''), b bigint OPTIONS (reef_lsn ''true'')');
SELECT use_of('a numeric OPTIONS (key ''true'')');
SELECT use_of('a numeric(40,2) OPTIONS (key ''true'')');
SELECT use_of('a interval OPTIONS (key ''true'')');
SELECT use_of('a jsonb OPTIONS (key ''true'')');
SELECT use_of('a text[] OPTIONS (key ''true'')');
SELECT use_of('a bpchar OPTIONS (key ''true'')');
CREATE COLLATION o_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
SELECT use_of('a text OPTIONS (key ''true'') COLLATE o_ci');
CREATE FOREIGN TABLE o_v (a int) SERVER o3 OPTIONS (namespace 'a/b');
SELECT sqlstate_of('SELECT * FROM o_v');
-- which harms nobody who looks at the catalogs
CREATE FOREIGN TABLE o_w (a int) SERVER o1;
SELECT table_name, is_insertable_into FROM information_schema.tables WHERE table_name IN ('o_v', 'o_w') ORDER BY 1;
DROP FOREIGN TABLE o_w;

-- the right to name a directory
CREATE ROLE o_plain;
CREATE ROLE o_reader IN ROLE pg_read_server_files;
CREATE ROLE o_writer IN ROLE pg_read_server_files, pg_write_server_files;
GRANT USAGE ON FOREIGN DATA WRAPPER reef_fdw TO o_plain, o_reader, o_writer;
GRANT CREATE ON DATABASE :DBNAME TO o_plain, o_reader, o_writer;
SET ROLE o_plain;
SELECT sqlstate_of($$CREATE SERVER o4 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 'file:///tmp/x')$$);
SELECT sqlstate_of($$CREATE SERVER o4 FOREIGN DATA WRAPPER reef_fdw$$);
SELECT sqlstate_of($$ALTER SERVER o4 OPTIONS (ADD location 'file:///tmp/x')$$);
SET ROLE o_reader;
SELECT sqlstate_of($$CREATE SERVER o5 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 'file:///tmp/x')$$);
SELECT sqlstate_of($$CREATE SERVER o5 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 'file:///tmp/x', read_only 'true')$$);
SELECT sqlstate_of($$ALTER SERVER o5 OPTIONS (SET read_only 'false')$$);
SET ROLE o_writer;
SELECT sqlstate_of($$CREATE SERVER o6 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 'file:///tmp/x')$$);
RESET ROLE;

-- buckets
SELECT sqlstate_of($$CREATE SERVER o8 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 's3://')$$);
SELECT sqlstate_of($$CREATE SERVER o8 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 's3://Bucket/x')$$);
SELECT sqlstate_of($$CREATE SERVER o8 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 's3://bucket/../x')$$);
SELECT sqlstate_of($$CREATE SERVER o8 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 's3://bucket/a b')$$);
SELECT sqlstate_of($$CREATE SERVER o8 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 's3://bucket', endpoint 'ftp://host')$$);
SELECT sqlstate_of($$CREATE SERVER o8 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 's3://bucket', endpoint 'https://user:word@host')$$);
SELECT sqlstate_of($$CREATE SERVER o8 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 's3://bucket', endpoint 'https://host/path')$$);
SELECT sqlstate_of($$CREATE SERVER o8 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 's3://bucket', endpoint 'https://127.0.0.1:9', path_style 'off')$$);
SELECT sqlstate_of($$CREATE SERVER o8 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 's3://bucket', region 'eu/../x')$$);
SELECT sqlstate_of($$CREATE SERVER o8 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 's3://bucket', ca_file 'ca.pem')$$);
SELECT sqlstate_of($$CREATE SERVER o8 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 's3://bucket', connect_timeout '0')$$);
SELECT sqlstate_of($$CREATE SERVER o8 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 's3://bucket/some/prefix/', endpoint 'http://[::1]:9000',
	region 'eu-central-1', path_style 'on', ca_file '/tmp/ca.pem', proxy 'http://proxy:3128', connect_timeout '3s')$$);
SET ROLE o_plain;
SELECT sqlstate_of($$CREATE SERVER o9 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 's3://bucket', endpoint 'http://10.0.0.1')$$);
SELECT sqlstate_of($$CREATE SERVER o9 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 's3://bucket', endpoint 'https://amazonaws.com.evil.org')$$);
SELECT sqlstate_of($$CREATE SERVER o9 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 's3://bucket', ca_file '/tmp/ca.pem')$$);
SELECT sqlstate_of($$CREATE SERVER o9 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 's3://bucket', proxy 'http://proxy:3128')$$);
SELECT sqlstate_of($$CREATE SERVER o9 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location 's3://bucket', region 'eu-west-1')$$);
RESET ROLE;
-- a server that a superuser has given away is its new owner's
GRANT USAGE ON FOREIGN SERVER o8 TO o_plain;
CREATE FOREIGN TABLE o_s3 (a int) SERVER o8 OPTIONS (namespace 'a/b');
GRANT SELECT ON o_s3 TO o_plain;
ALTER FOREIGN TABLE o_s3 OWNER TO o_plain;
SET ROLE o_plain;
SELECT sqlstate_of('SELECT * FROM o_s3');
RESET ROLE;
ALTER SERVER o8 OWNER TO o_plain;
SET ROLE o_plain;
SELECT sqlstate_of('SELECT * FROM o_s3');
RESET ROLE;
DROP FOREIGN TABLE o_s3;

-- read-only and not updatable
CREATE SERVER o7 FOREIGN DATA WRAPPER reef_fdw OPTIONS (location :'store');
CREATE FOREIGN TABLE o_rw (a int OPTIONS (key 'true'), b text) SERVER o7 OPTIONS (namespace 'options/t');
CREATE FOREIGN TABLE o_ro (a int OPTIONS (key 'true'), b text) SERVER o7 OPTIONS (namespace 'options/t', read_only 'true');
CREATE FOREIGN TABLE o_nu (a int OPTIONS (key 'true'), b text) SERVER o7 OPTIONS (namespace 'options/t', updatable 'false');
INSERT INTO o_rw VALUES (1, 'one');
SELECT * FROM o_ro;
SELECT sqlstate_of($$INSERT INTO o_ro VALUES (2, 'two')$$);
SELECT sqlstate_of($$UPDATE o_ro SET b = 'x'$$);
SELECT sqlstate_of($$DELETE FROM o_ro$$);
SELECT sqlstate_of($$INSERT INTO o_nu VALUES (2, 'two')$$);
SELECT sqlstate_of($$DELETE FROM o_nu$$);
SELECT table_name, is_insertable_into FROM information_schema.tables WHERE table_name LIKE 'o\___' ORDER BY 1;
SELECT pg_relation_is_updatable('o_rw', false), pg_relation_is_updatable('o_ro', false), pg_relation_is_updatable('o_nu', false);
COPY o_ro FROM stdin;
\.
-- a table cannot write where its server may not
ALTER SERVER o7 OPTIONS (ADD read_only 'true');
ALTER FOREIGN TABLE o_ro OPTIONS (SET read_only 'false');
SELECT sqlstate_of($$INSERT INTO o_ro VALUES (2, 'two')$$);
ALTER SERVER o7 OPTIONS (DROP read_only);
SELECT sqlstate_of($$INSERT INTO o_ro VALUES (2, 'two')$$);
SELECT * FROM o_rw ORDER BY a;

-- upserts by option
CREATE FOREIGN TABLE o_up (a int OPTIONS (key 'true'), b text) SERVER o7 OPTIONS (namespace 'options/t', on_conflict 'update');
CREATE FOREIGN TABLE o_no (a int OPTIONS (key 'true'), b text) SERVER o7 OPTIONS (namespace 'options/t', on_conflict 'nothing');
INSERT INTO o_up VALUES (2, 'zwei'), (3, 'drei') RETURNING *;
INSERT INTO o_no VALUES (3, 'trois'), (4, 'quatre') RETURNING *;
SELECT sqlstate_of($$INSERT INTO o_up VALUES (9, 'a'), (9, 'b')$$);
SELECT * FROM o_rw ORDER BY a;

DROP FOREIGN TABLE o_v, o_rw, o_ro, o_nu, o_up, o_no;
DROP SERVER o1 CASCADE;
DROP SERVER o2, o3, o4, o5, o6, o7, o8, o9;
DROP COLLATION o_ci;
REVOKE ALL ON FOREIGN DATA WRAPPER reef_fdw FROM o_plain, o_reader, o_writer;
REVOKE ALL ON DATABASE :DBNAME FROM o_plain, o_reader, o_writer;
DROP ROLE o_plain, o_reader, o_writer;
DROP FUNCTION sqlstate_of, use_of;
