-- Queries that must mean the same after they were parsed, checked, rewritten and written out again.
-- One statement a paragraph; the tables are those of tests/unit/query/conftest.py.

SELECT * FROM trades ORDER BY id

SELECT id, price FROM main.trades WHERE price > 10 ORDER BY id

SELECT lake.main.trades.id, main.trades.price, trades.symbol FROM trades ORDER BY 1

SELECT d.day, d.total FROM sales.daily AS d ORDER BY day

SELECT sales.daily.day FROM sales.daily WHERE sales.daily.total > 15 ORDER BY sales.daily.day

SELECT lake.sales.daily.day FROM sales.daily ORDER BY lake.sales.daily.day

SELECT Trades.ID FROM TRADES ORDER BY iD

SELECT t.id, q.bid FROM trades t INNER JOIN quotes q ON t.symbol = q.symbol ORDER BY ALL

SELECT t.id, q.bid FROM trades t LEFT JOIN quotes q ON t.symbol = q.symbol AND q.bid > 10 ORDER BY ALL

SELECT t.id, q.bid FROM trades t RIGHT JOIN quotes q USING (symbol) ORDER BY ALL

SELECT t.id, q.bid FROM trades t FULL OUTER JOIN quotes q ON t.id = q.bid ORDER BY ALL

SELECT t.id, q.bid FROM trades t CROSS JOIN quotes q ORDER BY ALL

SELECT * FROM trades NATURAL JOIN quotes ORDER BY ALL

SELECT t.id, t.ts, q.bid FROM trades t ASOF JOIN quotes q ON t.symbol = q.symbol AND t.ts >= q.ts ORDER BY ALL

SELECT t.id, q.bid FROM trades t ASOF LEFT JOIN quotes q USING (symbol, ts) ORDER BY ALL

SELECT a.id, b.id FROM (FROM trades ORDER BY id) a POSITIONAL JOIN (FROM trades ORDER BY id DESC) b ORDER BY ALL

SELECT id FROM trades SEMI JOIN quotes USING (symbol) ORDER BY id

SELECT id FROM trades ANTI JOIN quotes ON trades.symbol = quotes.symbol ORDER BY id

SELECT t.id, x.n FROM trades t, LATERAL (SELECT count(*) AS n FROM quotes q WHERE q.symbol = t.symbol) x ORDER BY t.id

SELECT t.id, x.n FROM trades t LEFT JOIN LATERAL (SELECT bid AS n FROM quotes q WHERE q.symbol = t.symbol LIMIT 1) x ON true ORDER BY t.id

SELECT a.id FROM (trades a JOIN (quotes b JOIN sales.daily c ON c.total > b.bid) ON a.symbol = b.symbol) ORDER BY ALL

SELECT id, sum(price) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM trades ORDER BY id

SELECT id, sum(price) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW) FROM trades ORDER BY id

SELECT id, count(*) OVER (ORDER BY ts RANGE BETWEEN INTERVAL 2 MINUTES PRECEDING AND CURRENT ROW) FROM trades ORDER BY id

SELECT id, count(*) OVER (PARTITION BY symbol ORDER BY price GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES) FROM trades ORDER BY id

SELECT id, row_number() OVER w, lag(price, 1, 0) OVER w, first_value(price IGNORE NULLS) OVER w FROM trades WINDOW w AS (PARTITION BY symbol ORDER BY id) ORDER BY id

SELECT id, count(DISTINCT symbol) FILTER (WHERE price > 5) OVER (ORDER BY id) FROM trades ORDER BY id

SELECT id, string_agg(symbol, ',' ORDER BY symbol DESC) OVER (PARTITION BY symbol) FROM trades ORDER BY id

SELECT id, ntile(3) OVER (ORDER BY id DESC NULLS FIRST), cume_dist() OVER (ORDER BY price) FROM trades ORDER BY id

SELECT symbol, id FROM trades QUALIFY row_number() OVER (PARTITION BY symbol ORDER BY price DESC, id) = 1 ORDER BY symbol

SELECT id, nth_value(price, 2) OVER (ORDER BY id), percent_rank() OVER (ORDER BY price, id), dense_rank() OVER (ORDER BY symbol) FROM trades ORDER BY id

WITH x AS (SELECT symbol, sum(price) AS s FROM trades GROUP BY symbol) SELECT * FROM x ORDER BY symbol

WITH x(a, b) AS (SELECT symbol, price FROM trades), y AS MATERIALIZED (SELECT a, max(b) AS m FROM x GROUP BY a) SELECT x.a, x.b, y.m FROM x JOIN y USING (a) ORDER BY ALL

WITH trades AS (SELECT id FROM trades WHERE id < 4) SELECT * FROM trades ORDER BY id

WITH x AS (SELECT count(*) AS n FROM trades), trades AS (SELECT 5 AS q) SELECT * FROM x, trades

WITH t AS NOT MATERIALIZED (SELECT 1 AS q) SELECT * FROM (WITH t AS (SELECT q + 1 AS q FROM t) SELECT * FROM t) UNION ALL SELECT * FROM t ORDER BY q

WITH quotes AS (SELECT 1 AS bid) SELECT quotes.bid FROM quotes UNION ALL SELECT bid FROM main.quotes ORDER BY bid

WITH T AS (SELECT 1 AS q) SELECT t.q, T.* FROM t

WITH x AS (FROM trades) SELECT id, (SELECT count(*) FROM x AS y WHERE y.symbol = x.symbol), EXISTS (FROM x WHERE id > 4) FROM x ORDER BY id

WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT sum(i) FROM n

WITH RECURSIVE c AS ((WITH c AS (SELECT 5 AS n) SELECT n FROM c) UNION ALL SELECT n + 1 FROM c WHERE n < 7) SELECT * FROM c ORDER BY n

WITH RECURSIVE path(a, depth) AS (SELECT id, 0 FROM trades WHERE id = 1 UNION SELECT t.id, depth + 1 FROM path, trades t WHERE t.id = path.a + 1) SELECT * FROM path ORDER BY a

WITH RECURSIVE k(a, b) USING KEY (a) AS (SELECT 1, 2 UNION SELECT k.a, k.b + 1 FROM k, recurring.k AS r WHERE k.b < 5) FROM k

WITH RECURSIVE trades AS (SELECT id FROM trades WHERE id = 2) SELECT * FROM trades

SELECT * FROM (PIVOT trades ON symbol IN ('A', 'B') USING sum(price) AS s, count(*) AS n GROUP BY venue) ORDER BY venue

SELECT * FROM trades PIVOT (max(price) FOR symbol IN ('A', 'B') GROUP BY venue) AS p ORDER BY venue

PIVOT (SELECT symbol, venue, price FROM trades) ON venue IN ('x' AS ex, 'y' AS why) USING avg(price) ORDER BY symbol

FROM (UNPIVOT wide ON jan, feb, mar INTO NAME month VALUE amount) ORDER BY ALL

SELECT * FROM wide UNPIVOT INCLUDE NULLS (amount FOR month IN (jan, feb, mar)) ORDER BY ALL

FROM (UNPIVOT wide ON COLUMNS(* EXCLUDE (name)) INTO NAME month VALUE amount) ORDER BY ALL

FROM (UNPIVOT wide ON (jan, feb) AS early, (feb, mar) AS late INTO NAME half VALUE first_month, second_month) ORDER BY ALL

SELECT symbol, venue, sum(price), grouping(symbol, venue) FROM trades GROUP BY GROUPING SETS ((symbol, venue), (symbol), ()) ORDER BY ALL

SELECT symbol, venue, count(*) FROM trades GROUP BY ROLLUP (symbol, venue) ORDER BY ALL

SELECT symbol, venue, count(*) FROM trades GROUP BY CUBE (symbol, venue) ORDER BY ALL NULLS LAST

SELECT symbol, count(*) FROM trades GROUP BY ALL ORDER BY ALL DESC

SELECT venue, count(*) AS n FROM trades GROUP BY 1 HAVING n > 1 ORDER BY 2 DESC, 1

SELECT count(*) FROM (FROM trades USING SAMPLE reservoir(3 ROWS) REPEATABLE (42))

SELECT count(*) FROM trades TABLESAMPLE reservoir(50%)

SELECT * FROM trades TABLESAMPLE bernoulli(100%) REPEATABLE (7) ORDER BY id

SELECT [x * 2 FOR x IN [1, 2, 3, 4] IF x > 2] AS doubled

SELECT [x + i FOR x, i IN [10, 20]] AS with_index

SELECT list_transform([1, 2, 3], lambda x: x + 1), list_filter([1, 2, 3], lambda x, i: i > 1), list_reduce([1, 2, 3], lambda a, b: a * b)

SELECT id, list_transform(tags, lambda t: upper(t) || symbol) FROM trades ORDER BY id

SELECT list_transform([[1], [2, 3]], lambda l: list_transform(l, lambda x: x + len(l)))

SELECT s, s.a, s.b.c, s['a'], struct_extract(s, 'a') FROM (SELECT {'a': 1, 'b': {'c': 'x'}} AS s) AS t

SELECT MAP {'k': 1, 'l': 2} AS m, m['k'], map_keys(m), MAP([1, 2], ['x', 'y'])

SELECT details, details.size, trades.details.size, details['size'] FROM trades ORDER BY id

SELECT struct_pack(a := 1, b := 'x'), row(1, 'y'), (1, 2, 3), ROW(1)

SELECT [1, 2, 3][1], [1, 2, 3][1:2], [1, 2, 3][-1:], [1, 2, 3, 4][1:4:2], 'hello'[2:3], array_value(1, 2), [1, 2]::INT[2]

SELECT DISTINCT ON (symbol) symbol, id FROM trades ORDER BY symbol, id DESC

SELECT DISTINCT symbol FROM trades ORDER BY symbol

SELECT sum(price) FILTER (WHERE symbol = 'A'), count(DISTINCT venue), list(id ORDER BY id DESC), string_agg(DISTINCT symbol, '-' ORDER BY symbol), arg_max(id, price) FROM trades

SELECT COLUMNS('i.*') FROM trades ORDER BY ALL

SELECT max(COLUMNS(*)) FROM wide

SELECT COLUMNS(c -> c LIKE '%r%') FROM wide ORDER BY ALL

SELECT COLUMNS(lambda c: c LIKE '%e%') FROM wide ORDER BY ALL

SELECT COLUMNS(* EXCLUDE (jan)) FROM wide ORDER BY ALL

SELECT COLUMNS(['jan', 'feb']) + 1 FROM wide ORDER BY ALL

SELECT coalesce(*COLUMNS(['jan', 'feb', 'mar'])) FROM wide ORDER BY ALL

SELECT COLUMNS('(j)an') AS '\1x' FROM wide ORDER BY ALL

SELECT * LIKE 'm%' FROM wide ORDER BY ALL

SELECT * EXCLUDE (name, jan) FROM wide ORDER BY ALL

SELECT * REPLACE (jan + 1 AS jan) FROM wide ORDER BY ALL

SELECT * RENAME (jan AS january, feb AS february) FROM wide ORDER BY ALL

SELECT w.* EXCLUDE (jan) REPLACE (upper(name) AS name) RENAME (feb AS f) FROM wide AS w ORDER BY ALL

SELECT * EXCLUDE (w.jan) FROM wide AS w ORDER BY ALL

SELECT price, id FROM trades ORDER BY #2 DESC

SELECT #1 + 1 FROM trades ORDER BY 1

VALUES (1, 'a'), (2, NULL) ORDER BY 1

SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v(n, s) ORDER BY n DESC

FROM trades SELECT id WHERE id > 2 ORDER BY id

FROM trades ORDER BY id LIMIT 2 OFFSET 1

TABLE wide ORDER BY name

SELECT id FROM trades ORDER BY id LIMIT 40 PERCENT

SELECT id FROM trades ORDER BY id LIMIT (SELECT 2)

SELECT id FROM trades ORDER BY price DESC NULLS LAST, id ASC NULLS FIRST

SELECT 1 AS a, 2 AS b UNION BY NAME SELECT 3 AS b, 4 AS c ORDER BY ALL

SELECT 1 AS a UNION ALL BY NAME SELECT 2 AS a ORDER BY a

(SELECT symbol FROM trades INTERSECT SELECT symbol FROM quotes) EXCEPT ALL SELECT 'B' ORDER BY 1

SELECT 1 UNION SELECT 2 EXCEPT SELECT 2 UNION ALL SELECT 1

(SELECT id FROM trades ORDER BY id DESC LIMIT 1) UNION ALL (SELECT id FROM trades ORDER BY id LIMIT 1) ORDER BY 1

SELECT symbol FROM trades INTERSECT ALL SELECT symbol FROM quotes ORDER BY 1

SELECT 'it''s', E'tab\tnew\nline\\', $$dollar 'quoted'$$, $tag$with $$ inside$tag$, '', 'ünï ☃ 🦆', '\n'

SELECT '%', '_', 'semi;colon', '-- no comment', '/* nor this */'

SELECT 12345678901234567890123456789012345678::HUGEINT, 170141183460469231731687303715884105727, 18446744073709551615, 9223372036854775807, -9223372036854775808

SELECT 1.10, 123456789012345678901234567.89, 0.000000000000000000001, 1.5e-300, 0.1 + 0.2, 1e0, .5, 5., 1_000_000

SELECT 'NaN'::DOUBLE, 'inf'::FLOAT, '-infinity'::DOUBLE, 0xFF, 0b101, 1::UTINYINT, 3.14::DECIMAL(10, 3), '1e5'::DOUBLE

SELECT INTERVAL 1 DAY, INTERVAL '1 month 2 days 3 hours', INTERVAL (id) MINUTE, INTERVAL '-1' YEAR, 3 * INTERVAL '90 seconds' FROM trades ORDER BY id

SELECT DATE '2024-02-29', TIMESTAMP '2024-01-01 12:34:56.789', TIMESTAMPTZ '2024-01-01 12:00:00+02', TIME '01:02:03', TIMESTAMP_NS '2024-01-01 00:00:00.123456789', 'epoch'::DATE, 'infinity'::TIMESTAMP

SELECT ts AT TIME ZONE 'Europe/Berlin', ts + INTERVAL 1 HOUR, extract(year FROM ts), date_trunc('hour', ts), date_part(['year', 'month'], ts), epoch_ms(ts) FROM trades ORDER BY id

SELECT 'ß' COLLATE NOCASE = 'ß', 'a' COLLATE NOCASE = 'A', symbol FROM trades ORDER BY symbol COLLATE NOCASE.NOACCENT DESC, id

SELECT name FROM wide ORDER BY name COLLATE de

SELECT 'a' LIKE 'A', 'a' ILIKE 'A', 'a%' LIKE 'a!%' ESCAPE '!', 'a' NOT LIKE 'b', 'a' NOT ILIKE 'a', 'abc' SIMILAR TO 'a.*', 'abc' NOT SIMILAR TO 'b.*', 'abc' ~ 'a.c', 'abc' !~ 'x', 'abc' GLOB 'a*', 'a' ~~ 'a', 'abc' ^@ 'ab'

SELECT 1 IN (1, 2), 3 NOT IN (1, 2), 1 IN (SELECT id FROM trades), 9 NOT IN (SELECT id FROM trades), 'a' IN ['a', 'b'], 1 = ANY (SELECT id FROM trades), 3 > ALL (SELECT id FROM trades), 1 = ANY ([1, 2]), (1, 'A') IN (SELECT (id, symbol) FROM trades)

SELECT 1 BETWEEN 0 AND 2, 1 NOT BETWEEN 0 AND 2, 1 IS NULL, NULL IS NOT NULL, 1 IS DISTINCT FROM NULL, NULL IS NOT DISTINCT FROM NULL, true IS TRUE, NULL IS NOT FALSE, NULL IS UNKNOWN

SELECT CASE WHEN id = 1 THEN 'one' WHEN id = 2 THEN 'two' ELSE 'many' END, CASE symbol WHEN 'A' THEN 1 END, if(id > 2, 'x', 'y'), ifnull(price, 0), nullif(id, 1), coalesce(price, -1) FROM trades ORDER BY id

SELECT TRY_CAST('x' AS INT), CAST('1' AS BIGINT), '5'::INT, TRY(1 / 0), TRY('x'::INT), CAST([1, 2] AS VARCHAR[]), {'a': 1}::STRUCT(a VARCHAR), 'a'::ENUM('a', 'b'), '{"a": 1}'::JSON

SELECT 7 // 2, 7 % 2, 7 / 2, 2 ** 3, 2 ^ 3, -7, +7, ~5, 5 & 3, 5 | 3, xor(5, 3), 1 << 3, 8 >> 1, @ -3, NOT true

SELECT '{"a": {"b": [1, 2]}}'::JSON -> 'a' -> 'b' ->> 0, '{"a": 1}' ->> '$.a', json_extract('{"a": [1]}', '$.a[0]'), to_json({'x': 1}), json_object('a', 1), json_group_array(id) FROM trades

SELECT * FROM json_each('{"a": 1, "b": [2]}') ORDER BY ALL

SELECT * FROM range(3) AS r(i), generate_series(1, 2) AS g(j) ORDER BY ALL

SELECT * FROM unnest([1, 2, 3]) WITH ORDINALITY AS u(v, n) ORDER BY n

SELECT id, unnest(tags) AS tag FROM trades ORDER BY ALL

SELECT unnest({'a': 1, 'b': [1, 2]}), unnest([[1], [2, 3]], recursive := true)

SELECT t.id, u.tag FROM trades t, unnest(t.tags) AS u(tag) ORDER BY ALL

SELECT i, i.i FROM (SELECT {'i': 1} AS i) AS i

SELECT t FROM (SELECT 1 AS a, 2 AS b) t

SELECT "order", "select" AS "from" FROM odd ORDER BY ALL

SELECT "Mixed Case", "quo""te" FROM odd ORDER BY ALL

SELECT count(*) FROM "sub/name space"."tab.le"

SELECT x.a FROM "sub/name space"."tab.le" AS x(a) ORDER BY 1

SELECT filename FROM files ORDER BY filename

SELECT concat_ws('-', 'a', NULL, 'b'), format('{} {}', 1, 'x'), printf('%05d', 42), regexp_replace('abc', '(b)', '[\1]', 'g'), string_split('a,b', ','), substring('hello' FROM 2 FOR 3), trim(BOTH 'x' FROM 'xhix'), position('l' IN 'hello')

SELECT trim(LEADING 'x' FROM 'xhix'), ltrim('  a'), rtrim('a  '), lpad('7', 3, '0'), left('abc', 2), ('abc').upper().lower(), ([3, 1, 2]).list_sort()

SELECT approx_count_distinct(symbol) > 0, quantile_cont(price, 0.5), median(price), mode(symbol), stddev(price), corr(id, price), histogram(symbol), percentile_cont(0.25) WITHIN GROUP (ORDER BY price), mad(price) FROM trades

SELECT first(id ORDER BY id), last(id ORDER BY id), any_value(symbol) IS NOT NULL, bool_and(id > 0), bit_or(id), product(id), count_if(id > 2), max(price, 2), min_by(symbol, price) FROM trades

SELECT (SELECT max(id) FROM trades t2 WHERE t2.symbol = t1.symbol) AS m FROM trades t1 ORDER BY id

SELECT id FROM trades t1 WHERE EXISTS (SELECT 1 FROM quotes q WHERE q.symbol = t1.symbol) AND NOT EXISTS (SELECT 1 FROM quotes q WHERE q.bid > 1000) ORDER BY id

SELECT ARRAY(SELECT id FROM trades ORDER BY id), ARRAY[1, 2]

SELECT DESCRIBE_ME.column_name FROM (DESCRIBE trades) AS DESCRIBE_ME ORDER BY 1

DESCRIBE SELECT id, price FROM trades

SELECT column_name, min, max FROM (SUMMARIZE quotes) ORDER BY 1

SHOW trades

SELECT prefix_alias: id, other: symbol FROM trades ORDER BY prefix_alias

SELECT id FROM t: trades WHERE t.id < 3 ORDER BY 1

SELECT id AS i, i + 1 AS j, j * 2 AS k FROM trades WHERE i > 1 ORDER BY k

SELECT * FROM (SELECT * FROM trades WHERE id IN (1, 2)) t(a, b) ORDER BY a

SELECT b.a FROM trades AS b(a) ORDER BY 1

SELECT typeof(NULL), typeof(1.5), typeof([]), typeof({'a': NULL}), typeof(1::TINYINT), typeof('\xAA'::BLOB), '\xAA\x00b'::BLOB, '101'::BIT

SELECT current_date = today(), typeof(now()), typeof(current_timestamp), typeof(localtime), length(uuid()::VARCHAR), random() >= 0

SELECT union_value(k := 1), union_tag(union_value(k := 1))

SELECT id FROM trades WHERE (symbol, venue) = ('A', 'x') OR (id, price) > (4, 0) ORDER BY id

SELECT count(*), sum(n) FROM (SELECT count(*) AS n FROM trades GROUP BY symbol, venue HAVING count(*) >= 1)

SELECT * FROM trades AT (VERSION => {version}) ORDER BY id

SELECT a.id FROM trades AS a AT (VERSION => {version}) JOIN trades b USING (id) ORDER BY 1

SELECT 1 -- a comment at the end

SELECT * FROM trades AT (TIMESTAMP => '{moment}') ORDER BY id

SELECT v.column_name FROM (DESCRIBE SELECT * FROM trades AT (VERSION => {version})) v ORDER BY 1
