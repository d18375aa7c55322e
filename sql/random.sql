-- Random statements on twins, with rollbacks, own writes and folds between.
\set test random
\getenv abs_srcdir PG_ABS_SRCDIR
\set twin :abs_srcdir '/sql/include/twin.psql'
\i :twin
SET search_path = random, public;
CREATE TABLE random_heap.k (a int, b text COLLATE "C", v int, w text, PRIMARY KEY (a, b));
CREATE FOREIGN TABLE random_reef.k (a int OPTIONS (key 'true'), b text OPTIONS (key 'true') COLLATE "C", v int, w text) SERVER store OPTIONS (namespace 'random/k');

CREATE FUNCTION pick(n int) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT floor(pg_catalog.random() * n)::int $$;
-- (which row of several meets a duplicate first depends on their order)
CREATE FUNCTION statement() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	a int := pick(30); b text := chr(97 + pick(6)); n int := pick(1000);
	place text := (array['a = ' || a, 'a = ' || a || ' AND b = ' || quote_literal(b), 'v % 7 = ' || n % 7, 'b > ' || quote_literal(b) || ' AND a < ' || a, 'a IN (1, 2, ' || a || ')', 'w LIKE ''%' || n % 10 || ''''])[1 + pick(6)];
BEGIN
	RETURN CASE pick(12)
		WHEN 0 THEN format('INSERT INTO k VALUES (%s, %L, %s, %L)', a, b, n, n)
		WHEN 1 THEN format('INSERT INTO k SELECT g %% 30, chr(97 + g %% 6), g, repeat(''w'', g %% 50) FROM generate_series(%s, %s) g ON CONFLICT DO NOTHING', n, n + pick(200))
		WHEN 2 THEN format('INSERT INTO k VALUES (%s, %L, %s, NULL) ON CONFLICT DO NOTHING RETURNING a, b, v', a, b, n)
		WHEN 3 THEN format('UPDATE k SET v = v + 1 WHERE %s', place)
		WHEN 4 THEN format('UPDATE k SET w = w || %L WHERE %s RETURNING a, b, w', n % 10, place)
		WHEN 5 THEN format('UPDATE k SET a = a + 100 WHERE a < 100 AND NOT EXISTS (SELECT FROM k o WHERE o.a = k.a + 100 AND o.b = k.b) AND %s', place)
		WHEN 6 THEN format('UPDATE k SET a = a - 100 WHERE a >= 100 AND NOT EXISTS (SELECT FROM k o WHERE o.a = k.a - 100 AND o.b = k.b)')
		WHEN 7 THEN format('DELETE FROM k WHERE %s RETURNING a, b, v, w', place)
		WHEN 8 THEN format('DELETE FROM k WHERE a = %s', a)
		WHEN 9 THEN format('UPDATE k SET v = s.v, w = NULL FROM (SELECT a, max(v) AS v FROM k GROUP BY a) s WHERE s.a = k.a AND k.%s', 'a % 5 = ' || n % 5)
		WHEN 10 THEN format('SELECT count(*), sum(v), min(b), max(w) FROM k WHERE %s', place)
		ELSE format('SELECT * FROM k WHERE %s', place)
	END;
END $$;
CREATE PROCEDURE rounds(seed float8, transactions int) LANGUAGE plpgsql AS $$
DECLARE result text; did text; kept bool; tried int := 0; errors int := 0;
BEGIN
	PERFORM setseed(seed);
	FOR t IN 1 .. transactions LOOP
		kept := pick(4) > 0;
		FOR s IN 1 .. 1 + pick(6) LOOP
			BEGIN
				FOR i IN 1 .. 1 + pick(3) LOOP
					did := statement();
					result := twin(did);
					tried := tried + 1;
					errors := errors + (result LIKE 'ERROR%')::int;
					IF result LIKE 'DIFFERENT%' OR result LIKE 'ERROR XX%' THEN
						RAISE EXCEPTION 'seed %, transaction %: %: %', seed, t, did, result USING ERRCODE = 'XX999';
					END IF;
				END LOOP;
				IF pick(4) = 0 THEN
					RAISE EXCEPTION 'back to the savepoint' USING ERRCODE = 'RF001';
				END IF;
			EXCEPTION WHEN SQLSTATE 'RF001' THEN
				NULL;
			END;
		END LOOP;
		IF differences('random_heap', 'random_reef') <> 0 THEN
			RAISE EXCEPTION 'seed %, transaction %: tables differ', seed, t;
		END IF;
		IF kept THEN
			COMMIT;
		ELSE
			ROLLBACK;
		END IF;
		IF t % 10 = 0 THEN
			PERFORM reef_fold('random_reef.k');
			COMMIT;
		END IF;
		IF differences('random_heap', 'random_reef') <> 0 THEN
			RAISE EXCEPTION 'seed %, after transaction %: tables differ', seed, t;
		END IF;
	END LOOP;
	-- duplicate keys are expected, but not in every statement
	RAISE NOTICE '%', CASE WHEN tried > transactions AND errors < tried / 2 THEN 'no difference' ELSE 'nothing was tried: ' || tried || ' ' || errors END;
END $$;
CALL rounds(0.1, 60);
CALL rounds(0.2, 60);
CALL rounds(0.3, 60);

SET client_min_messages = warning;
DROP SCHEMA random_reef, random_heap, random CASCADE;
