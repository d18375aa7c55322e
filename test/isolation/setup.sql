-- What the specs need.  With "twin" set the tables are heap tables: the expected files of
-- visibility and statement-snapshot were made that way.
\set ON_ERROR_STOP on
CREATE EXTENSION reef_fdw;
CREATE SERVER lake FOREIGN DATA WRAPPER reef_fdw OPTIONS (location :'store');
CREATE SEQUENCE iso_number;
SELECT :'twin' = 'heap' AS is_heap \gset
\if :is_heap
CREATE FUNCTION iso_create(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %I (id int PRIMARY KEY, n int)', name);
END $$;
CREATE FUNCTION iso_drop(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('DROP TABLE %I', name);
END $$;
CREATE FUNCTION iso_fold(name text) RETURNS void LANGUAGE sql AS '';
\else
-- a new namespace each time
CREATE FUNCTION iso_create(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE FOREIGN TABLE %I (id int OPTIONS (key %L), n int) SERVER lake OPTIONS (namespace %L)',
		name, 'true', format('isolation/t%s', nextval('iso_number')));
END $$;
CREATE FUNCTION iso_drop(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('DROP FOREIGN TABLE %I', name);
END $$;
CREATE FUNCTION iso_fold(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM reef_fold(name::regclass);
END $$;
\endif
