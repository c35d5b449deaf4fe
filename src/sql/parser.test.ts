import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LoadError } from '../base/errors.ts';
import type { Expr } from './ast/expr.ts';
import { applyShowFilter, evalExpr, likeMatches } from './eval.ts';
import { countParameters, parseExpr, parseStatement, parseStatements } from './parser.ts';
import { printExpr } from './printer.ts';

const fixtures = new URL('./fixtures/', import.meta.url);
const texts = readdirSync(fixtures)
  .filter((file) => file.endsWith('.sql'))
  .map((file) => ({ name: file, text: readFileSync(new URL(file, fixtures), 'utf8') }));

const thrown = (sql: string): LoadError => {
  try {
    parseStatements(sql);
  } catch (error) {
    if (error instanceof LoadError) return error;
    throw error;
  }
  throw new Error(`parsed: ${sql}`);
};

describe('statements of the documents', () => {
  it.each(texts)('$name parses verbatim', ({ text }) => {
    const kinds = parseStatements(text).map(({ kind }) => kind);
    expect(kinds).toContain('createTable');
    expect(kinds).toContain('createRoutineLoad');
    expect(kinds).toContain('alterRoutineLoad');
    expect(kinds).toContain('stopRoutineLoad');
  });

  it('reads the JSON example as it is meant', () => {
    const all = texts.flatMap(({ text }) => parseStatements(text));
    const table = all.find(
      (one) => one.kind === 'createTable' && one.table.name === 'example_tbl2',
    );
    const job = all.find(
      (one) => one.kind === 'createRoutineLoad' && one.job.name === 'example_tbl2_ordertest2',
    );
    expect(table).toMatchObject({
      engine: 'OLAP',
      keys: {
        model: 'AGGREGATE',
        columns: ['commodity_id', 'customer_name', 'country', 'pay_time', 'pay_dt'],
      },
      distribution: { columns: ['commodity_id'] },
    });
    expect(table?.kind === 'createTable' && table.columns.at(-1)).toMatchObject({
      name: 'price',
      type: { name: 'DOUBLE' },
      agg: 'SUM',
      nullable: true,
    });
    if (job?.kind !== 'createRoutineLoad') throw new Error('no job');
    expect(job.clauses.columns?.map(({ name }) => name)).toEqual([
      'commodity_id',
      'customer_name',
      'country',
      'pay_time',
      'price',
      'pay_dt',
    ]);
    expect(printExpr(job.clauses.columns?.at(-1)?.expr as Expr)).toBe(
      "from_unixtime(`pay_time`, '%Y%m%d')",
    );
    expect(job.properties.find(({ key }) => key === 'jsonpaths')?.value).toBe(
      '["$.commodity_id","$.customer_name","$.country","$.pay_time","$.price"]',
    );
  });
});

describe('spellings', () => {
  it.each([
    'CREATE TABLE t (`price`double SUM NULL COMMENT "x", Timestamp datetime NOT NULL DEFAULT "0") ENGINE=OLAP AGGREGATE KEY(Timestamp) DISTRIBUTED BY HASH(Timestamp) PROPERTIES ("default_replication_num" = "1")',
    'CREATE TABLE t (id bigint(20) NULL DEFAULT "" COMMENT "") DISTRIBUTED BY RANDOM BUCKETS 3',
    'ALTER ROUTINE LOAD FOR j FROM kafka ("kafka_partitions" = "0", -- highlight-start\n \'kafka_offsets\'="1")',
    'SELECT @@version_comment LIMIT 1',
    'SET NAMES utf8mb4 COLLATE utf8mb4_general_ci',
    'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
    'SET character_set_results = NULL, autocommit=1, @@session.sql_mode = CONCAT(@@sql_mode, ",STRICT")',
    'SHOW FULL COLUMNS FROM t FROM db LIKE "a%"',
    "SHOW VARIABLES WHERE Variable_name = 'x' OR Variable_name LIKE 'y%'",
    'SHOW ALL ROUTINE LOAD FOR db.j',
    'SHOW ROUTINE LOAD TASK FROM db WHERE JobName = "j"',
    "ADMIN SET FRONTEND CONFIG ('max_routine_load_task_concurrent_num' = '6')",
    'INSERT INTO t WITH LABEL l (a, b) VALUES (1, NULL), (-2.50, DEFAULT)',
    'SELECT count(*), count(distinct a) FROM t JOIN u USING (a) WHERE a NOT IN (1, 2) AND b NOT LIKE "x%" GROUP BY 1 HAVING count(*) > 1 ORDER BY 2 DESC, a LIMIT 10, 5',
    'WITH c AS (SELECT 1 AS one) SELECT * FROM c UNION ALL (SELECT 2) ORDER BY 1',
    'START TRANSACTION; COMMIT; ROLLBACK;',
    "SELECT DATE '2020-01-01' + INTERVAL 1 DAY, j->'$.a', if(a > 1, 'x', 'y'), `order`.`key` FROM `order`",
  ])('%s', (sql) => {
    expect(parseStatements(sql).length).toBeGreaterThan(0);
  });

  it('keeps digits exact', () => {
    expect(parseExpr('9223372036854775807')).toEqual({
      kind: 'number',
      text: '9223372036854775807',
    });
  });

  it('hides secrets in the text that is kept', () => {
    const sql =
      'CREATE ROUTINE LOAD db.j ON t FROM KAFKA ("kafka_topic" = "x", "property.sasl.password" = "hush")';
    const statement = parseStatement(sql);
    expect(statement.kind === 'createRoutineLoad' && statement.text).toBe(
      'CREATE ROUTINE LOAD db.j ON t FROM KAFKA (******)',
    );
  });

  it('places prepared values as literals', () => {
    expect(countParameters("SELECT ?, '?', `?` -- ?")).toBe(1);
    expect(
      parseStatement('INSERT INTO t VALUES (?, ?, ?)', { params: [1n, "it's", null] }),
    ).toMatchObject({
      source: {
        rows: [
          [{ kind: 'number', text: '1' }, { kind: 'string', value: "it's" }, { kind: 'null' }],
        ],
      },
    });
  });
});

describe('errors', () => {
  it.each([
    { sql: 'SELEC 1', line: 1, column: 1, text: 'SELECT' },
    { sql: 'SELECT a\nFORM t', line: 2, column: 6, text: 'FROM' },
    { sql: 'SELECT (1', line: 1, column: 10, text: '<EOF>' },
    {
      sql: 'CREATE TABLE t (a fancy)',
      line: 1,
      column: 19,
      text: "the type 'fancy' is not supported",
    },
    {
      sql: 'CREATE ROUTINE LOAD j ON t WHERE a > 1 PARTITION (p) FROM KAFKA ()',
      line: 1,
      column: 40,
      text: 'PARTITION',
    },
    {
      sql: "CREATE ROUTINE LOAD j ON t COLUMNS TERMINATED BY ',', COLUMNS TERMINATED BY ';' FROM KAFKA ()",
      line: 1,
      column: 77,
      text: 'repeat setting of column separator',
    },
    { sql: "SELECT 'abc", line: 1, column: 8, text: 'never closed' },
    { sql: 'SHOW ROUTINE LOAD TASK', line: 1, column: 23, text: 'WHERE' },
  ])('$sql', ({ sql, line, column, text }) => {
    const error = thrown(sql);
    expect(error.errno).toBe(1064);
    expect(error.details).toMatchObject({ line, column });
    expect(`${error.message} ${error.hint ?? ''}`).toContain(text);
  });

  it.each([
    { name: 'parentheses', sql: `SELECT ${'('.repeat(100_000)}1` },
    { name: 'NOT', sql: `SELECT ${'NOT '.repeat(100_000)}1` },
    { name: 'operators in a row', sql: `SELECT 1${' + 1'.repeat(100_000)}` },
    { name: 'unions', sql: `SELECT 1${' UNION SELECT 1'.repeat(50_000)}` },
  ])('deep nesting of $name ends quickly', ({ sql }) => {
    expect(thrown(sql).code).toBe('SQL_TOO_DEEP');
  });

  it('any missing or doubled token gives a statement or a LoadError', () => {
    for (const { text } of texts) {
      for (const statement of text.split(';')) {
        const tokens = statement.match(/\s+|\w+|"[^"]*"|\S/g) ?? [];
        for (let i = 0; i < tokens.length; i += 3) {
          for (const changed of [tokens.toSpliced(i, 1), tokens.toSpliced(i, 0, tokens[i] ?? '')]) {
            try {
              parseStatements(changed.join(''));
            } catch (error) {
              expect(error).toBeInstanceOf(LoadError);
            }
          }
        }
      }
    }
  });
});

describe('printer', () => {
  it.each([
    '(a + b) * -c DIV 2',
    "NOT a LIKE 'x%' OR b NOT BETWEEN 1 AND 2 XOR c IS NOT NULL",
    "CASE a WHEN 1 THEN 'it''s' ELSE cast(b AS DECIMAL(10,2)) END",
    'a - (b - c) - d',
    'count(DISTINCT t.a) <=> coalesce(NULL, 1.50, @@x, @y)',
    "j -> '$.a' IN (SELECT x FROM db.t AS u LEFT JOIN v ON u.a = v.a WHERE x > 1 ORDER BY x DESC LIMIT 3)",
    "date_add(d, INTERVAL (a + 1) DAY) > DATE '2020-01-01'",
    "'\\\\ \\n \\t \\' \"'",
  ])('%s prints to what parses to the same tree', (sql) => {
    const strip = (value: unknown): unknown =>
      JSON.parse(
        JSON.stringify(value, (key, one) =>
          key === 'text' && typeof value === 'object' && !/^[0-9]/.test(String(one))
            ? undefined
            : one,
        ),
      );
    const tree = parseExpr(sql);
    expect(strip(parseExpr(printExpr(tree)))).toEqual(strip(tree));
  });
});

describe('eval', () => {
  it.each([
    { sql: '1 + 2 * 3', value: 7 },
    { sql: '9007199254740993 + 1', value: 9007199254740994n },
    { sql: 'NULL = 1 OR TRUE', value: true },
    { sql: 'NULL AND FALSE', value: false },
    { sql: 'NULL <=> NULL', value: true },
    { sql: "'b' BETWEEN 'a' AND 'c'", value: true },
    { sql: '2 IN (1, NULL)', value: null },
    { sql: "CASE WHEN 1 > 2 THEN 'a' ELSE 'b' END", value: 'b' },
    { sql: '-1.50', value: '-1.50' },
  ])('$sql', ({ sql, value }) => {
    expect(evalExpr(parseExpr(sql))).toBe(value);
  });

  it('LIKE takes no exponential time', () => {
    expect(likeMatches('a'.repeat(5_000), `${'%a'.repeat(50)}b`)).toBe(false);
    expect(likeMatches('50%', '50\\%')).toBe(true);
  });

  it('filters, orders and limits rows of SHOW', () => {
    const statement = parseStatement(
      "SHOW ROUTINE LOAD WHERE State = 'RUNNING' ORDER BY Id DESC LIMIT 1",
    );
    if (statement.kind !== 'showRoutineLoad') throw new Error(statement.kind);
    const rows = [
      ['9', 'RUNNING'],
      ['10', 'RUNNING'],
      ['11', 'PAUSED'],
    ];
    expect(applyShowFilter(rows, ['Id', 'State'], statement.filter, { numeric: ['Id'] })).toEqual([
      ['10', 'RUNNING'],
    ]);
    const wrong = parseStatement('SHOW ROUTINE LOAD WHERE Nope = 1');
    if (wrong.kind !== 'showRoutineLoad') throw new Error(wrong.kind);
    expect(() => applyShowFilter(rows, ['Id', 'State'], wrong.filter)).toThrow("Column 'Nope'");
  });
});
