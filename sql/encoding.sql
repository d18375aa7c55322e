-- Text is the same text in databases of other encodings.
\getenv store REEF_STORE
SET client_min_messages = warning;
SELECT current_database() AS home \gset
\pset tuples_only on
\pset format unaligned
CREATE EXTENSION IF NOT EXISTS reef_fdw;
CREATE SERVER encoding FOREIGN DATA WRAPPER reef_fdw OPTIONS (location :'store');
CREATE FOREIGN TABLE encoding_t (k text OPTIONS (key 'true') COLLATE "C", v varchar(10), c char(4), j jsonb, a text[], b bytea) SERVER encoding OPTIONS (namespace 'encoding/t');
INSERT INTO encoding_t VALUES ('äöü', 'ß', 'é', '{"ü": "ÿ"}', '{"ñ",NULL}', '\xff00e4'), ('abc', '', '', '[]', '{}', '');
-- read by the others from a segment, and later from memory
SELECT reef_fold('encoding_t') IS NOT NULL;

CREATE DATABASE reef_latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0;
\c reef_latin1
SET client_encoding = 'UTF8';
SET client_min_messages = warning;
CREATE EXTENSION reef_fdw;
CREATE SERVER encoding FOREIGN DATA WRAPPER reef_fdw OPTIONS (location :'store');
IMPORT FOREIGN SCHEMA encoding FROM SERVER encoding INTO public;
SELECT * FROM t ORDER BY k;
SELECT octet_length(k), octet_length(v), octet_length(c), octet_length(a[1]), b FROM t WHERE k = 'äöü';
SELECT k FROM t WHERE k > 'b' COLLATE "C" AND k < 'ö' COLLATE "C";
INSERT INTO t VALUES ('ÿ', 'latin', 'ñ', '"þ"', '{"ð"}', '\xfe');
UPDATE t SET c = 'å' WHERE k = 'äöü';
INSERT INTO t VALUES ('äöü');

\c :home
SET client_min_messages = warning;
SELECT * FROM encoding_t ORDER BY k;
INSERT INTO encoding_t VALUES ('€', 'no latin');
CREATE DATABASE reef_ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0;

\c reef_latin1
SET client_encoding = 'UTF8';
SELECT count(*) FROM t;
SELECT k FROM t WHERE v = 'no latin';

-- no encoding: bytes as they are
\c reef_ascii
SET client_min_messages = warning;
CREATE EXTENSION reef_fdw;
CREATE SERVER encoding FOREIGN DATA WRAPPER reef_fdw OPTIONS (location :'store');
IMPORT FOREIGN SCHEMA encoding FROM SERVER encoding INTO public;
SELECT k, octet_length(k), c FROM t WHERE k = '€' OR c <> '' ORDER BY k;

\c :home
SET client_min_messages = warning;
DROP DATABASE reef_latin1;
DROP DATABASE reef_ascii;
DROP SERVER encoding CASCADE;
