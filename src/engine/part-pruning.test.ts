import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { TableSchema } from '../base/table-schema.ts';
import type { Select } from '../sql/ast/select.ts';
import { parseStatement } from '../sql/parser.ts';
import { resolveSelect } from '../sql/resolve.ts';
import { createDuckDbEngine } from './duckdb-engine.ts';
import { batchOf, queryRows, schemaOf, type Text } from './engine.fixture.ts';
import type { ColumnRange, PartInput, QueryTable } from './engine.types.ts';
import { wantedParts } from './part-pruning.ts';

const dir = await mkdtemp(join(tmpdir(), 'pruning-'));
const engine = await createDuckDbEngine({ tempDir: dir, memoryLimitMb: 256, partDirs: [dir] });
afterAll(async () => {
  await engine.close();
  await rm(dir, { recursive: true });
});

const columns = [
  { name: 'id', type: { name: 'BIGINT' }, isKey: true },
  { name: 'small', type: { name: 'TINYINT' } },
  { name: 'x', type: { name: 'DOUBLE' } },
  { name: 'day', type: { name: 'DATE' } },
  { name: 'at', type: { name: 'DATETIME' } },
  { name: 'name', type: { name: 'VARCHAR', length: 20 } },
  { name: 'price', type: { name: 'DECIMAL', precision: 9, scale: 2 } },
  { name: 'f', type: { name: 'FLOAT' } },
] as const;
const schema = schemaOf(columns);
const aggregate = schemaOf(
  columns.map((column) => ({ agg: 'MAX' as const, isKey: false, ...column })),
  'AGGREGATE',
);

function resolved(sql: string): Select {
  const statement = parseStatement(sql);
  if (statement.kind !== 'select') throw new Error('a query was asked for');
  return resolveSelect(
    statement.select,
    (db = 'd', name) => ({ db, name, columns: schema.columns }),
    'd',
  );
}

const part = (partId: string, ranges?: readonly ColumnRange[]): PartInput => ({
  partId,
  // Nothing is there: whoever opens it fails.
  data: { kind: 'file', path: join(dir, `${partId}-is-not-there`), length: 9 },
  tablets: [{ tabletId: 1, version: 2 }],
  merged: false,
  ...(ranges === undefined ? {} : { ranges }),
});

/** What is left of one part with such ranges. */
const isWanted = (sql: string, ranges: readonly ColumnRange[], of: TableSchema = schema) =>
  wantedParts(resolved(sql), { db: 'd', name: 't', schema: of }, [part('p', ranges)]).length === 1;

const idOf = (name: string) => schema.columns.findIndex((column) => column.name === name);

describe('a part with a range', () => {
  // `wants`, `leaves`: conditions that keep the part, and that leave it out.
  it.each<{ name: string; range: [string, string]; wants: string[]; leaves: string[] }>([
    {
      name: 'id',
      range: ['10', '20'],
      wants: [
        'id = 10',
        'id = 20',
        '15 = id',
        'id > 19',
        'id >= 20',
        'id < 11',
        'id <= 10',
        '19 < id',
        'id between 20 and 30',
        'id between 0 and 10',
        'id in (1, 10)',
        'id > -5',
        'id <> 30',
        'id <=> 30',
        'id is null',
        'id not in (30)',
        'id not between 30 and 40',
        'not id = 30',
        'id = 30 or small = 1',
        'id + 0 = 30',
        'cast(id as bigint) = 30',
        'abs(id) = 30',
        "id = '30'",
        'id = 30.0',
        'id = 3e1',
        'id = true',
        'id = null',
        'id in (30, null)',
        "id in (30, '12')",
        'id = small',
        'id = 29 + 1',
        'id in (select small from u)',
        'case when id = 30 then 1 else 0 end',
      ],
      leaves: [
        'id = 9',
        'id = 21',
        '21 = id',
        'id > 20',
        'id >= 21',
        'id < 10',
        'id <= 9',
        '20 < id',
        '9 >= id',
        'id between 21 and 30',
        'id between 0 and 9',
        'id between small and 9',
        'id in (1, 9, 21)',
        'id = -15',
        'id = +30',
        'id = 9223372036854775808',
        'small = 1 and id = 30',
        'id = 15 and small = 1 and id < 10',
        '(small = 1 or small = 2) and (id = 30 and true)',
        't.id = 30',
        'd.t.id = 30',
        'ID = 30',
      ],
    },
    {
      name: 'id',
      range: ['9007199254740993', '9223372036854775807'],
      wants: ['id = 9007199254740993', 'id = 9223372036854775807'],
      leaves: ['id = 9007199254740992', 'id > 9223372036854775807', 'id < -9223372036854775808'],
    },
    {
      name: 'small',
      range: ['-3', '-1'],
      wants: ['small = -1', 'small > -300'],
      leaves: ['small = 0', 'small = 300', 'small < -3'],
    },
    {
      name: 'x',
      range: ['-0.5', '0.1'],
      wants: ['x = 0.1', 'x = 0', 'x > 0.09', 'x = -.5', 'x = 0.10000000000000001'],
      leaves: ['x > 0.1', 'x < -0.5', 'x = 1', 'x = 0.11'],
    },
    {
      name: 'x',
      range: ['0', 'Infinity'],
      wants: ['x > 1'],
      leaves: ['x < 0'],
    },
    {
      name: 'day',
      range: ['-1', '1'],
      wants: [
        "day = '1969-12-31'",
        "day >= '19700102'",
        "day < '1969-12-31 10:00:00'",
        "day > '1970-01-01 23:59:59'",
        "day = 'a day'",
        'day = 19700105',
      ],
      leaves: [
        "day > '1970-01-02'",
        "day = '1970-01-03'",
        "day > '1970-01-02 00:00:01'",
        "day < '1969-12-30 10:00:00'",
        "day < ' 1969-12-31 '",
      ],
    },
    {
      name: 'at',
      range: ['0', '86400000000'],
      wants: ["at = '1970-01-02'", "at < '1970-01-01 00:00:00.000001'", 'at > 19700105'],
      leaves: ["at > '1970-01-02'", "at > '1970-01-02 00:00:00.000001'", "at < '1970-01-01'"],
    },
    { name: 'name', range: ['1', '2'], wants: ['name = 3', "name = '3'"], leaves: [] },
    { name: 'price', range: ['1', '2'], wants: ['price = 3'], leaves: [] },
    { name: 'f', range: ['1', '2'], wants: ['f = 3'], leaves: [] },
  ])('$name $range', ({ name, range, wants, leaves }) => {
    const ranges: ColumnRange[] = [[idOf(name), ...range]];
    const found = (where: string) => isWanted(`select * from t where ${where}`, ranges);
    expect(wants.filter((where) => !found(where))).toEqual([]);
    expect(leaves.filter(found)).toEqual([]);
  });

  it.each<{ sql: string; wanted: boolean }>([
    { sql: 'select count(*) from t where id = 30', wanted: false },
    { sql: 'select * from t as b where b.id = 30', wanted: false },
    { sql: 'select * from t join u on t.id = u.id where t.id = 30', wanted: false },
    { sql: 'select * from u cross join t where t.id = 30', wanted: false },
    { sql: 'select * from t left join u on t.id = u.id where t.id = 30', wanted: false },
    { sql: 'select * from u left join t on t.id = u.id where t.id = 30', wanted: true },
    { sql: 'select * from t right join u on t.id = u.id where t.id = 30', wanted: true },
    { sql: 'select * from t full join u on t.id = u.id where t.id = 30', wanted: true },
    { sql: 'select * from t join u using (id) where id = 30', wanted: true },
    { sql: 'select * from t join u on t.id = u.id where u.id = 30', wanted: true },
    { sql: 'select * from t a join t b on a.id = b.id where a.id = 30', wanted: true },
    {
      sql: 'select * from t where id = 30 and exists (select 1 from t where id = 1)',
      wanted: true,
    },
    { sql: 'select * from t where id = 30 union all select * from t', wanted: true },
    { sql: 'select * from t where id = 30 union all select * from u', wanted: false },
    { sql: 'select * from (select * from t where id = 30) s', wanted: false },
    { sql: 'select * from (select * from t) s where s.id = 30', wanted: true },
    { sql: 'with c as (select * from t where id = 30) select * from c', wanted: false },
    { sql: 'select * from u where id in (select id from t where id = 30)', wanted: false },
    { sql: 'select * from u where id = 30 and exists (select 1 from t)', wanted: true },
    { sql: 'select id from t group by id having id = 30', wanted: true },
    { sql: 'select * from e.t where id = 30', wanted: true },
    { sql: 'select * from t', wanted: true },
  ])('$sql', ({ sql, wanted }) => {
    expect(isWanted(sql, [[idOf('id'), '10', '20']])).toBe(wanted);
  });

  it('R4: of an AGGREGATE table by keys alone', () => {
    const ranges: ColumnRange[] = [
      [idOf('id'), '10', '20'],
      [idOf('small'), '1', '2'],
    ];
    expect(isWanted('select * from t where small = 3', ranges, aggregate)).toBe(true);
    expect(isWanted('select * from t where id = 30', ranges, aggregate)).toBe(false);
    expect(isWanted('select * from t where small = 3', ranges)).toBe(false);
  });

  it('without ranges, or with those of other columns, stays', () => {
    const sql = 'select * from t where id = 30';
    const parts = [part('a'), part('b', []), part('c', [[idOf('small'), '1', '1']])];
    expect(wantedParts(resolved(sql), { db: 'd', name: 't', schema }, parts)).toEqual(parts);
  });
});

const types = schema.columns.map(({ type }) => type);

async function written(of: TableSchema, name: string, rows: Text[][]): Promise<PartInput> {
  const writer = engine.openPart({ schema: of, path: join(dir, name), inlineBytesMax: 0 });
  await writer.append(batchOf(types, rows), new Float64Array(rows.length).fill(1));
  const { data, ranges } = await writer.finish();
  const tablets = [{ tabletId: 1, version: 2 }];
  return {
    partId: name,
    data,
    tablets,
    merged: false,
    ...(ranges === undefined ? {} : { ranges }),
  };
}

async function mergedOf(of: TableSchema, name: string, parts: PartInput[]): Promise<PartInput> {
  const spec = { schema: of, path: join(dir, name), inlineBytesMax: 0 };
  const { data, ranges } = await engine.merge(spec, parts);
  const tablets = [{ tabletId: 1, version: 2 }];
  return { partId: name, data, tablets, merged: true, ...(ranges === undefined ? {} : { ranges }) };
}

const run = async (of: TableSchema, sql: string, parts: readonly PartInput[]) => {
  const table: QueryTable = { kind: 'stored', db: 'd', name: 't', schema: of, parts };
  return (await queryRows(engine, resolved(sql), [table])).map((row) => row.join()).sort();
};

const ROW = ['7', '3', '0.5', '2024-01-31', '2024-01-31 10:00:00.5', 'x', '1.00', '2'];
const NULLS: Text[] = ['9', ...ROW.slice(1).map(() => null)];

describe('what a file has', () => {
  const day = String(Date.UTC(2024, 0, 31) / 86_400_000);
  const at = `${Date.UTC(2024, 0, 31, 10, 0, 0, 500)}000`;
  const [id, small, x, days, ats] = [
    [idOf('id'), '7', '9'],
    [idOf('small'), '3', '3'],
    [idOf('x'), '0.5', '0.5'],
    [idOf('day'), day, day],
    [idOf('at'), at, at],
  ];

  it('is written with it, NULLs left aside', async () => {
    expect((await written(schema, 'own', [ROW, NULLS])).ranges).toEqual([id, small, x, days, ats]);
    expect((await written(aggregate, 'agg', [ROW, NULLS])).ranges).toEqual([id]);
    expect((await written(schema, 'null', [NULLS])).ranges).toEqual([[idOf('id'), '9', '9']]);
    const least = ['-9223372036854775808', '-128', '-0', '0000-01-01', '0000-01-01 00:00:00'];
    const wide = await written(schema, 'wide', [[...least, 'x', '1', '1'], ROW]);
    expect(wide.ranges?.slice(0, 3)).toEqual([
      [idOf('id'), '-9223372036854775808', '7'],
      [idOf('small'), '-128', '3'],
      [idOf('x'), '0', '0.5'],
    ]);
  });

  it('and merged with it, but of doubles', async () => {
    const parts = [await written(schema, 'm1', [ROW]), await written(schema, 'm2', [NULLS])];
    expect((await mergedOf(schema, 'm', parts)).ranges).toEqual([id, small, days, ats]);
  });

  it('is not opened where it cannot have what is wanted', async () => {
    const there = await written(schema, 'there', [ROW]);
    const gone = part('gone', [[idOf('id'), '10', '20']]);
    const sql = 'select id from t where id = 7';
    expect(await run(schema, sql, [gone, there])).toEqual(['7']);
    expect(await run(schema, 'select count(*) from t where id = 21', [gone])).toEqual(['0']);
    await expect(run(schema, 'select id from t where id = 12', [gone, there])).rejects.toThrow();
    await expect(run(schema, sql, [part('gone'), there])).rejects.toThrow();
  });
});

function chance(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe('with ranges and without', () => {
  it.each(Array.from({ length: 6 }, (_, seed) => ({ seed })))('seed $seed', async ({ seed }) => {
    const random = chance(seed + 1);
    const of = seed % 2 === 0 ? schema : aggregate;
    const day = (n: number) => `2024-01-${String(1 + n).padStart(2, '0')}`;
    const value = (name: string, n: number) => {
      if (name === 'x') return random(12) === 0 ? String(n / 8) : String(n / 4);
      if (name === 'day') return day(n);
      return name === 'at' ? `${day(n)} 0${random(2)}:00:00` : String(n);
    };
    const parts: PartInput[] = [];
    for (let p = 0; p < 6; p++) {
      const from = random(20);
      const rows = Array.from({ length: 1 + random(4) }, () =>
        columns.map(({ name }) => {
          if (name !== 'id' && random(4) === 0) return null;
          return value(name, from + random(4));
        }),
      );
      parts.push(await written(of, `r${seed}-${p}`, rows));
    }
    const [first, second, ...rest] = parts;
    const all = [await mergedOf(of, `r${seed}-m`, [first!, second!]), ...rest];
    const bare = all.map(({ ranges, ...one }) => one);
    let pruned = 0;
    for (let i = 0; i < 40; i++) {
      const tests = Array.from({ length: 1 + random(2) }, () => {
        const name = columns[random(5)]!.name;
        const literal = () => {
          const text = value(name, random(26));
          return name === 'day' || name === 'at' ? `'${text}'` : text;
        };
        const op = ['=', '<', '<=', '>', '>='][random(5)];
        return [
          `${name} ${op} ${literal()}`,
          `${literal()} ${op} ${name}`,
          `${name} between ${literal()} and ${literal()}`,
          `${name} in (${literal()}, ${literal()})`,
        ][random(4)];
      });
      const sql = `select * from t where ${tests.join(' and ')}`;
      const table = { db: 'd', name: 't', schema: of };
      pruned += all.length - wantedParts(resolved(sql), table, all).length;
      expect({ sql, rows: await run(of, sql, all) }).toEqual({
        sql,
        rows: await run(of, sql, bare),
      });
    }
    expect(pruned).toBeGreaterThan(0);
  });
});
