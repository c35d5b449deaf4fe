import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Clock } from '../base/clock.ts';
import type { SqlType } from '../base/sql-type.ts';
import { valueText } from '../formats/value-text.ts';
import { parseStatement } from '../sql/parser.ts';
import { resolveSelect } from '../sql/resolve.ts';
import { createDuckDbEngine } from './duckdb-engine.ts';
import { batchOf, context, schemaOf, type Text } from './engine.fixture.ts';
import type { Engine, PartInput, QueryTable } from './engine.types.ts';

const dir = await mkdtemp(join(tmpdir(), 'query-'));
const engine = await createDuckDbEngine({ tempDir: dir, memoryLimitMb: 256, partDirs: [dir] });
afterAll(async () => {
  await engine.close();
  await rm(dir, { recursive: true });
});

const INT: SqlType = { name: 'INT' };
const TEXT: SqlType = { name: 'VARCHAR', length: 100 };
const DATE: SqlType = { name: 'DATE' };

async function storedTable(
  name: string,
  rows: Text[][],
  inlineBytesMax: number,
): Promise<QueryTable> {
  const schema = schemaOf([
    { name: 'id', type: INT },
    { name: 'name', type: TEXT },
    { name: 'day', type: DATE },
  ]);
  const writer = engine.openPart({ schema, path: join(dir, `${name}.parquet`), inlineBytesMax });
  const types = schema.columns.map(({ type }) => type);
  await writer.append(batchOf(types, rows), new Float64Array(rows.length).fill(1));
  const { data } = await writer.finish();
  const part: PartInput = {
    partId: name,
    data,
    merged: false,
    tablets: [{ tabletId: 1, version: 2 }],
  };
  return { kind: 'stored', db: 'd', name, schema, parts: [part] };
}

const people = await storedTable(
  'people',
  [
    ['1', 'Ann', '2024-01-01'],
    ['2', 'Bob', '2024-01-02'],
    ['3', null, '2024-02-01'],
    ['4', '12', null],
  ],
  0,
);
const orders = await storedTable(
  'orders',
  [
    ['1', 'pen', '2024-01-05'],
    ['1', 'ink', '2024-01-06'],
    ['3', 'pad', '2024-01-07'],
  ],
  1e6,
);
const made: QueryTable = {
  kind: 'rows',
  db: 'information_schema',
  name: 'names',
  columns: [
    { name: 'k', type: TEXT },
    { name: 'n', type: INT },
  ],
  batch: batchOf(
    [TEXT, INT],
    [
      ['a', '1'],
      ['b', null],
    ],
  ),
};
const empty: QueryTable = {
  kind: 'stored',
  db: 'd',
  name: 'empty',
  schema: schemaOf([{ name: 'id', type: INT }]),
  parts: [],
};
const tables = [people, orders, made, empty];

function selectOf(sql: string) {
  const statement = parseStatement(sql);
  if (statement.kind !== 'select') throw new Error('a query was asked for');
  return resolveSelect(
    statement.select,
    (db, name) => {
      const found = tables.find((table) => table.db === db && table.name === name);
      if (found === undefined) return undefined;
      const columns = found.kind === 'rows' ? found.columns : found.schema.columns;
      return { db: found.db, name: found.name, columns };
    },
    'd',
  );
}

async function run(sql: string, by: Engine = engine): Promise<Text[][]> {
  const result = await by.query({ select: selectOf(sql), context }, tables);
  const rows: Text[][] = [];
  for await (const batch of result.batches) {
    for (let i = 0; i < batch.rows; i++)
      rows.push(batch.columns.map((column, c) => valueText(column, i, result.columns[c]!.type)));
  }
  return rows;
}

describe('queries', () => {
  it.each([
    { sql: 'select count(*) from people', rows: [['4']] },
    { sql: 'select count(*) from empty', rows: [['0']] },
    { sql: 'select * from empty', rows: [] },
    { sql: 'select id from people where name = 12', rows: [['4']] },
    { sql: "select id from people where id = '2'", rows: [['2']] },
    { sql: "select id from people where id = '2x'", rows: [] },
    { sql: "select id from people where day >= '2024-01-02' order by id", rows: [['2'], ['3']] },
    {
      sql: "select id from people where day between '20240101' and '2024-01-31 12:00:00' order by 1",
      rows: [['1'], ['2']],
    },
    { sql: 'select name from people order by name', rows: [[null], ['12'], ['Ann'], ['Bob']] },
    { sql: 'select name from people order by name desc limit 2', rows: [['Bob'], ['Ann']] },
    { sql: 'select id n from people where id > 1 order by n desc limit 1, 1', rows: [['3']] },
    {
      sql: 'select p.name, count(o.id) c from people p left join orders o on p.id = o.id group by p.name order by c desc, 1',
      rows: [
        ['Ann', '2'],
        [null, '1'],
        ['12', '0'],
        ['Bob', '0'],
      ],
    },
    {
      sql: "select name from people where id in (select id from orders where name = 'pad')",
      rows: [[null]],
    },
    {
      sql: 'select id from people p where not exists (select 1 from orders o where o.id = p.id) order by id',
      rows: [['2'], ['4']],
    },
    {
      sql: "with big as (select id, day from people where id > 2) select id from big where day = '2024-02-01'",
      rows: [['3']],
    },
    {
      sql: 'select x + 1 from (select id as x from people where id < 3) t order by 1',
      rows: [['2'], ['3']],
    },
    {
      sql: 'select id from people where id = 1 union all select id from orders where id = 3',
      rows: [['1'], ['3']],
    },
    {
      sql: "select month(day) m, sum(id) s from people where day is not null group by m having s > '2' order by m",
      rows: [
        ['1', '3'],
        ['2', '3'],
      ],
    },
    {
      sql: 'select k, n from information_schema.names order by k',
      rows: [
        ['a', '1'],
        ['b', null],
      ],
    },
    { sql: 'select count(*) from information_schema.names', rows: [['2']] },
    { sql: 'select distinct year(day) from people where id < 4', rows: [['2024']] },
    { sql: 'select (select max(id) from orders) + 1', rows: [['4']] },
    {
      sql: "select case when name = 'Ann' then id else 'other' end from people where id < 3 order by 1",
      rows: [['1'], ['other']],
    },
    {
      sql: 'select date_add(day, interval 1 day) from people where id = 1',
      rows: [['2024-01-02 00:00:00']],
    },
  ])('$sql', async ({ sql, rows }) => {
    expect(await run(sql)).toEqual(rows);
  });

  it('names and types of the columns', async () => {
    const result = await engine.query(
      {
        select: selectOf(
          'select id, count(*) as n, day, sum(1.5), avg(id), id > 1 from people group by id, day',
        ),
        context,
      },
      tables,
    );
    await result.close();
    expect(result.columns.map(({ name, type }) => `${name} ${type.name}`)).toEqual([
      'id INT',
      'n BIGINT',
      'day DATE',
      'sum(1.5) DECIMAL',
      'avg(id) DOUBLE',
      'id > 1 BOOLEAN',
    ]);
  });
});

describe('statements that are wrong', () => {
  it.each([
    {
      sql: 'select nothing from people',
      errno: 1054,
      message: "Column 'nothing' cannot be resolved",
    },
    {
      sql: 'select p.nothing from people p',
      errno: 1054,
      message: "Column 'nothing' cannot be resolved",
    },
    {
      sql: 'select n from information_schema.names where x = 1',
      errno: 1054,
      message: "Column 'x' cannot be resolved",
    },
    { sql: 'select id from people, orders', errno: 1052, message: "Column 'id' is ambiguous" },
    {
      sql: 'select id, count(*) from people',
      errno: 1064,
      message: "'id' must be an aggregate expression or appear in GROUP BY clause",
    },
  ])('$sql', async ({ sql, errno, message }) => {
    await expect(run(sql)).rejects.toMatchObject({ errno, message });
  });
});

describe('what is not allowed', () => {
  it.each([
    { name: 'a file by its path', sql: `select * from \`${join(dir, 'people.parquet')}\`` },
    { name: 'a file that DuckDB can read', sql: 'select * from `/etc/passwd`' },
    { name: 'a table function', sql: "select * from read_csv('/etc/passwd')" },
    { name: 'a function of DuckDB', sql: "select read_text('/etc/passwd')" },
    { name: 'the rows of another statement', sql: 'select ms_rows(1)' },
    { name: 'settings', sql: "select current_setting('temp_directory')" },
    { name: 'COPY', sql: "copy people to '/tmp/x'" },
    { name: 'ATTACH', sql: "attach '/tmp/x.db'" },
    { name: 'INSTALL', sql: 'install httpfs' },
    { name: 'PRAGMA', sql: 'pragma database_list' },
    { name: 'a catalog of DuckDB', sql: 'select * from information_schema.tables' },
    { name: 'its settings', sql: 'select * from duckdb_settings' },
  ])('$name', async ({ sql }) => {
    await expect(run(sql)).rejects.toThrow();
  });

  it('the engine alone refuses a table that it was not given', async () => {
    const path = join(dir, 'people.parquet');
    for (const table of [{ name: path }, { db: 'd', name: path }, { name: '/etc/passwd' }]) {
      const select = {
        ...selectOf('select 1'),
        body: { ...selectOf('select 1').body, from: { kind: 'table' as const, table } },
      };
      await expect(
        engine.query({ select: select as never, context }, tables),
      ).rejects.toMatchObject({ code: 'UNKNOWN_TABLE' });
    }
  });

  it('a part that lies elsewhere', async () => {
    const outside = await mkdtemp(join(tmpdir(), 'outside-'));
    const path = join(outside, 'x.parquet');
    await writeFile(path, 'PAR1');
    if (people.kind !== 'stored') throw new Error('a stored table');
    const part: PartInput = { ...people.parts[0]!, data: { kind: 'file', path, length: 4 } };
    const other: QueryTable = { ...people, parts: [part] };
    const asked = engine.query({ select: selectOf('select id from people'), context }, [other]);
    await expect(asked).rejects.toThrow(/Permission|disabled/i);
    await rm(outside, { recursive: true });
  });
});

/** Waits of the engine end when the test says so. */
function handClock(): Clock & { fire(): void } {
  const timers = new Set<() => void>();
  return {
    now: () => 0,
    setTimeout: (fn) => {
      timers.add(fn);
      return fn;
    },
    clearTimeout: (fn) => timers.delete(fn),
    fire: () => {
      for (const fn of [...timers]) fn();
    },
  };
}

/** 4^20 pairs: it ends by being stopped. */
const LONG = `select count(*) from ${Array.from({ length: 20 }, (_, i) => `people p${i}`).join(', ')} where p0.id + p19.id > 0`;
const wide =
  'select a.id from people a, people b, people c, people d, people e, people f, people g';

describe('results', () => {
  it.each([
    { name: 'small', sql: 'select a.id from people a where a.id > 0', rows: 4 },
    { name: 'small, and no end of the work', sql: 'select id from people limit 2', rows: 2 },
    { name: 'as large as may be small', sql: `${wide} limit 2048`, rows: 2_048 },
    { name: 'one row larger', sql: `${wide} limit 2049`, rows: 2_049 },
    {
      name: 'many, whose number was not bounded',
      sql: 'select a.id + b.id from people a, people b, people c, people d, people e, people f, people g where a.id > 0',
      rows: 16_384,
    },
    { name: 'of no row', sql: 'select id from people where id > 99', rows: 0 },
  ])('$name: all rows, each once', async ({ sql, rows }) => {
    const result = await engine.query({ select: selectOf(sql), context }, tables);
    let count = 0;
    for await (const batch of result.batches) count += batch.rows;
    expect(count).toBe(rows);
    await result.close();
  });

  it('are open up to a limit, then one waits for its turn', async () => {
    const clock = handClock();
    const few = await createDuckDbEngine({
      tempDir: join(dir, 'few'),
      memoryLimitMb: 128,
      partDirs: [dir],
      resultsMax: 2,
      clock,
    });
    const open = () =>
      few.query({ select: selectOf('select id from people order by id'), context }, tables);
    const first = await open();
    await open();
    const waiting = open();
    await first.close();
    await (await waiting).close();
    await open();
    const late = open();
    late.catch(() => {});
    // It waits by now: the clock has its timer once the limit was seen.
    await Promise.resolve();
    clock.fire();
    await expect(late).rejects.toMatchObject({ code: 'TOO_MANY_QUERIES' });
    await few.close();
  });

  it('are freed at their end, on an error and by close', async () => {
    const one = await createDuckDbEngine({
      tempDir: join(dir, 'one'),
      memoryLimitMb: 128,
      partDirs: [dir],
      resultsMax: 1,
    });
    expect(await run('select count(*) from people', one)).toEqual([['4']]);
    await expect(run('select no_such_column from people', one)).rejects.toThrow();
    const early = await one.query({ select: selectOf(wide), context }, tables);
    expect((await early.batches.next()).done).toBe(false);
    for await (const _ of early.batches) break;
    const closed = await one.query({ select: selectOf(wide), context }, tables);
    await closed.close();
    await closed.close();
    expect(await closed.batches.next()).toEqual({ done: true, value: undefined });
    expect(await run('select count(*) from people', one)).toEqual([['4']]);
    await one.close();
  });

  it('P4: are pulled in pieces of some thousand rows', async () => {
    const result = await engine.query({ select: selectOf(wide), context }, tables);
    let rows = 0;
    for await (const batch of result.batches) {
      expect(batch.rows).toBeLessThanOrEqual(2_048);
      rows += batch.rows;
    }
    expect(rows).toBe(4 ** 7);
  });

  it('E1: a statement that runs is cancelled', async () => {
    const stop = new AbortController();
    const asked = engine.query({ select: selectOf(LONG), context }, tables, stop.signal);
    const counted = asked.then((result) => result.batches.next());
    counted.catch(() => {});
    // A statement beside it: by then the long one is on its way.
    await run('select count(*) from people');
    stop.abort();
    await expect(counted).rejects.toMatchObject({ code: 'ENGINE_CANCELLED' });
  });

  it('T3: queries that run leave room for loads', async () => {
    const stop = new AbortController();
    const asked = Array.from({ length: 6 }, () =>
      engine
        .query({ select: selectOf(LONG), context }, tables, stop.signal)
        .then((result) => result.batches.next()),
    );
    for (const one of asked) one.catch(() => {});
    await storedTable('meanwhile', [['1', 'x', null]], 0);
    stop.abort();
    for (const one of asked) await expect(one).rejects.toThrow();
  });

  it('T4: who waits for a result at the end of the engine fails', async () => {
    const few = await createDuckDbEngine({
      tempDir: join(dir, 'end'),
      memoryLimitMb: 128,
      partDirs: [dir],
      resultsMax: 1,
    });
    const open = () => few.query({ select: selectOf('select id from people'), context }, tables);
    await open();
    const waiting = open();
    waiting.catch(() => {});
    await few.close();
    await expect(waiting).rejects.toMatchObject({ code: 'ENGINE_CLOSED' });
  });

  it('T4: the end of the engine interrupts, drains and closes', async () => {
    const last = await createDuckDbEngine({
      tempDir: join(dir, 'last'),
      memoryLimitMb: 128,
      partDirs: [dir],
    });
    const asked = last
      .query({ select: selectOf(LONG), context }, tables)
      .then((result) => result.batches.next());
    asked.catch(() => {});
    const idle = await last.query({ select: selectOf(wide), context }, tables);
    await idle.batches.next();
    await last.close();
    await last.close();
    await expect(asked).rejects.toMatchObject({ code: expect.stringMatching(/CANCELLED|CLOSED/) });
    await expect(run('select 1', last)).rejects.toMatchObject({ code: 'ENGINE_CLOSED' });
  });
});
