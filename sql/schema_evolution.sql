-- Columns come, go, change and are renamed; the stored rows stay what they are.
\set test schema_evolution
\getenv abs_srcdir PG_ABS_SRCDIR
\set twin :abs_srcdir '/sql/include/twin.psql'
\i :twin
SET search_path = schema_evolution, public;

CREATE FOREIGN TABLE t (id int OPTIONS (key 'true'), a int2, b varchar(3), c float4, d numeric(5,2)) SERVER store OPTIONS (namespace 'evolution/t');
INSERT INTO t VALUES (1, 1, 'abc', 1.5, 1.25);
-- wider types
ALTER FOREIGN TABLE t ALTER a TYPE int8, ALTER b TYPE text, ALTER c TYPE float8, ALTER d TYPE numeric(20,2);
SELECT * FROM t;
INSERT INTO t VALUES (2, 9000000000, 'longer', 1e300, 123456789012.25);
SELECT * FROM t ORDER BY id;
-- a wider key finds what was written with the narrow one
ALTER FOREIGN TABLE t ALTER id TYPE int8;
SELECT id, a FROM t WHERE id = 1;
INSERT INTO t VALUES (1);
INSERT INTO t VALUES (5000000000);
UPDATE t SET a = 2 WHERE id = 1;
SELECT * FROM t ORDER BY id;
-- types that do not widen
ALTER FOREIGN TABLE t ALTER a TYPE int2;
SELECT * FROM t;
ALTER FOREIGN TABLE t ALTER a TYPE text;
SELECT * FROM t;
INSERT INTO t VALUES (3, 'x');
-- other columns can be read all the same
SELECT id, b FROM t ORDER BY id;
ALTER FOREIGN TABLE t ALTER a TYPE int8;
SELECT id, a FROM t ORDER BY id;
-- new columns read as null; a default is for new rows
ALTER FOREIGN TABLE t ADD e int DEFAULT 5;
SELECT id, e FROM t ORDER BY id;
INSERT INTO t (id) VALUES (6);
SELECT id, e FROM t ORDER BY id;
-- a dropped column is forgotten by the table, not by the store
ALTER FOREIGN TABLE t DROP b;
SELECT * FROM t WHERE id = 1;
UPDATE t SET a = 3 WHERE id = 1;
INSERT INTO t VALUES (7, 7, 7, 7, 7) RETURNING *;
COPY t FROM stdin;
8	8	8	8	8
\.
SELECT * FROM t WHERE id >= 7 ORDER BY id;
ALTER FOREIGN TABLE t ADD b text;
SELECT id, b FROM t ORDER BY id;
-- renaming: the stored name stays where column_name says it
ALTER FOREIGN TABLE t RENAME b TO renamed;
SELECT id, renamed FROM t WHERE id = 1;
ALTER FOREIGN TABLE t ALTER renamed OPTIONS (ADD column_name 'b');
SELECT id, renamed FROM t WHERE id = 1;
UPDATE t SET renamed = 'new' WHERE id = 1;
SELECT id, renamed FROM t WHERE renamed = 'new';
ALTER FOREIGN TABLE t RENAME TO other;
SELECT count(*) FROM other;
-- another key is another table
ALTER FOREIGN TABLE other ALTER id OPTIONS (DROP key);
INSERT INTO other (id) VALUES (10);
SELECT * FROM other WHERE id = 1;
ALTER FOREIGN TABLE other ALTER id OPTIONS (ADD key 'true'), ALTER a OPTIONS (ADD key 'true');
INSERT INTO other (id, a) VALUES (10, 10);
SELECT * FROM other WHERE id = 1 AND a = 3;
ALTER FOREIGN TABLE other ALTER a OPTIONS (DROP key);
INSERT INTO other (id, a) VALUES (10, 10);
-- after a fold
SELECT * FROM other ORDER BY id;
SELECT reef_fold('other') IS NOT NULL;
SELECT * FROM other ORDER BY id;
CREATE FOREIGN TABLE old (id int8 OPTIONS (key 'true'), b text, nothing date) SERVER store OPTIONS (namespace 'evolution/t');
SELECT * FROM old ORDER BY id;
UPDATE old SET nothing = '2024-01-01' WHERE id = 1;
SELECT * FROM other WHERE id = 1;
SELECT * FROM old WHERE id = 1;
-- prepared statements follow
PREPARE p AS SELECT * FROM old WHERE id = $1;
EXECUTE p (1);
ALTER FOREIGN TABLE old OPTIONS (SET namespace 'evolution/other');
EXECUTE p (1);
INSERT INTO old VALUES (1, 'other namespace');
EXECUTE p (1);
-- dropping the table only detaches
DROP FOREIGN TABLE old;
CREATE FOREIGN TABLE old (id int8 OPTIONS (key 'true'), b text, nothing date) SERVER store OPTIONS (namespace 'evolution/other');
SELECT * FROM old;

SET client_min_messages = warning;
DROP SCHEMA schema_evolution_reef, schema_evolution_heap, schema_evolution CASCADE;
