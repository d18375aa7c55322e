-- IMPORT FOREIGN SCHEMA: tables as they were made.
\set test import
\getenv abs_srcdir PG_ABS_SRCDIR
\set twin :abs_srcdir '/sql/include/twin.psql'
\i :twin

CREATE TYPE import.colour AS ENUM ('red', 'green');
CREATE FOREIGN TABLE import.a (id int OPTIONS (key 'true'), n numeric(10,3) NOT NULL, t timestamp(3), c import.colour, v varchar(7), ch char(3), arr text[]) SERVER store OPTIONS (namespace 'imp/a');
CREATE FOREIGN TABLE import.b (x text, k2 text OPTIONS (key 'true', bloom 'true'), k1 uuid OPTIONS (key 'true')) SERVER store OPTIONS (namespace 'imp/b');
CREATE FOREIGN TABLE import.c (v int, note text) SERVER store OPTIONS (namespace 'imp/No key; DROP TABLE x');
CREATE FOREIGN TABLE import.d (id int OPTIONS (key 'true', column_name 'a "quoted" column'), e int OPTIONS (column_name 'a column whose name is longer than the sixty-three bytes of an identifier')) SERVER store OPTIONS (namespace 'imp/d');
CREATE FOREIGN TABLE import.e (id int OPTIONS (key 'true')) SERVER store OPTIONS (namespace 'impossible/e');
CREATE FOREIGN TABLE import.f (id int OPTIONS (key 'true')) SERVER store OPTIONS (namespace 'imp');
INSERT INTO import.a VALUES (1, 1.5, '2024-01-01 00:00:00.123', 'green', 'v', 'c', '{x,NULL}');
INSERT INTO import.b VALUES ('x', 'k', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
INSERT INTO import.c VALUES (1, 'one'), (1, 'one');
INSERT INTO import.d VALUES (1, 2);
INSERT INTO import.e VALUES (1);
INSERT INTO import.f VALUES (1);

CREATE SCHEMA imported;
IMPORT FOREIGN SCHEMA imp FROM SERVER store INTO imported;
\d imported.a
\d imported.b
\d "imported"."No key; DROP TABLE x"
\d imported.d
SELECT relname FROM pg_class WHERE relnamespace = 'imported'::regnamespace ORDER BY 1;
SELECT * FROM imported.a;
SELECT * FROM imported.b;
SELECT * FROM imported."No key; DROP TABLE x";
SELECT * FROM imported.d;
INSERT INTO imported.a VALUES (2, 2, NULL, 'red', NULL, NULL, NULL);
SELECT id, c FROM import.a ORDER BY id;
IMPORT FOREIGN SCHEMA imp FROM SERVER store INTO imported;
-- parts
CREATE SCHEMA part;
IMPORT FOREIGN SCHEMA imp LIMIT TO (b, d) FROM SERVER store INTO part;
SELECT relname FROM pg_class WHERE relnamespace = 'part'::regnamespace ORDER BY 1;
DROP SCHEMA part CASCADE;
CREATE SCHEMA part;
IMPORT FOREIGN SCHEMA imp EXCEPT (a, d) FROM SERVER store INTO part;
SELECT relname FROM pg_class WHERE relnamespace = 'part'::regnamespace ORDER BY 1;
IMPORT FOREIGN SCHEMA nothing FROM SERVER store INTO part;
IMPORT FOREIGN SCHEMA imp FROM SERVER store INTO part OPTIONS (import_default 'true');
-- a type that this database does not have
ALTER TYPE import.colour RENAME TO color;
IMPORT FOREIGN SCHEMA imp LIMIT TO (a) FROM SERVER store INTO part;
SELECT * FROM import.a;
-- a key in another order than the columns
CREATE FOREIGN TABLE import.swapped (k1 uuid OPTIONS (key 'true'), k2 text OPTIONS (key 'true')) SERVER store OPTIONS (namespace 'imp/b');
SELECT * FROM import.swapped;

SET client_min_messages = warning;
DROP SCHEMA imported, part CASCADE;
DROP SCHEMA import_reef, import_heap, import CASCADE;
