import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { SqlType } from '../base/sql-type.ts';
import type { AggFunction, TableSchema } from '../base/table-schema.ts';
import { createDuckDbEngine } from './duckdb-engine.ts';
import { batchOf, queryRows, schemaOf, selectOf, type Text } from './engine.fixture.ts';
import type { PartInput, QueryTable } from './engine.types.ts';

const dir = await mkdtemp(join(tmpdir(), 'merge-'));
const engine = await createDuckDbEngine({
  tempDir: dir,
  memoryLimitMb: 256,
  partDirs: [dir],
  threads: 4,
});
afterAll(async () => {
  await engine.close();
  await rm(dir, { recursive: true });
});

const BIGINT: SqlType = { name: 'BIGINT' };
const VALUE_COLUMNS: readonly (readonly [AggFunction, SqlType])[] = [
  ['SUM', BIGINT],
  ['SUM', { name: 'DECIMAL', precision: 20, scale: 2 }],
  ['SUM', { name: 'LARGEINT' }],
  ['MIN', { name: 'DATE' }],
  ['MAX', { name: 'VARCHAR', length: 20 }],
  ['MAX', { name: 'DOUBLE' }],
  ['REPLACE', { name: 'VARCHAR', length: 20 }],
  ['REPLACE', { name: 'DECIMAL', precision: 5, scale: 2 }],
  ['REPLACE', { name: 'LARGEINT' }],
  ['REPLACE_IF_NOT_NULL', { name: 'DATETIME' }],
  ['REPLACE_IF_NOT_NULL', { name: 'INT' }],
];
const aggregate = schemaOf(
  [
    { name: 'k1', type: { name: 'INT' }, isKey: true },
    { name: 'k2', type: { name: 'VARCHAR', length: 10 }, isKey: true },
    ...VALUE_COLUMNS.map(([agg, type], i) => ({ name: `v${i}`, type, agg })),
  ],
  'AGGREGATE',
);

/** Two tablets; rows of one key always have the same. */
const tabletOf = (row: readonly Text[]) => (Number(row[0]) % 2 === 0 ? 10 : 11);

function chance(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function someRows(random: (below: number) => number, count: number): Text[][] {
  const value = (type: SqlType): Text => {
    const n = random(2_000) - 1_000;
    if (random(4) === 0) return null;
    switch (type.name) {
      case 'DATE':
        return `2024-01-${String(1 + random(28)).padStart(2, '0')}`;
      case 'DATETIME':
        return `2024-01-01 00:00:${String(random(60)).padStart(2, '0')}`;
      case 'DECIMAL':
        return (n / 10).toFixed(2);
      case 'DOUBLE':
        return String(n / 4);
      case 'VARCHAR':
        return `text ${n} of a row`.slice(0, 20);
      default:
        return String(n);
    }
  };
  return Array.from({ length: count }, () => [
    String(random(5)),
    random(4) === 0 ? null : `k${random(3)}`,
    ...VALUE_COLUMNS.map(([, type]) => value(type)),
  ]);
}

/** What the table shows, by the definition: rows applied one by one in the order of versions. */
function model(versions: readonly (readonly Text[][])[]): Text[][] {
  const rows = new Map<string, Text[]>();
  for (const row of versions.flat()) {
    const key = JSON.stringify(row.slice(0, 2));
    const old = rows.get(key);
    if (old === undefined) {
      rows.set(key, row.slice());
      continue;
    }
    VALUE_COLUMNS.forEach(([agg, type], i) => {
      old[2 + i] = applied(agg, type, old[2 + i]!, row[2 + i]!);
    });
  }
  return [...rows.values()];
}

function applied(agg: AggFunction, type: SqlType, old: Text, one: Text): Text {
  if (agg === 'REPLACE') return one;
  if (one === null) return old;
  if (old === null || agg === 'REPLACE_IF_NOT_NULL') return one;
  if (agg === 'SUM') {
    const sum = type.name === 'DECIMAL' ? Number(old) + Number(one) : BigInt(old) + BigInt(one);
    return typeof sum === 'number' ? sum.toFixed(2) : String(sum);
  }
  const less = type.name === 'DOUBLE' ? Number(one) < Number(old) : one < old;
  return (agg === 'MIN') === less ? one : old;
}

const sorted = (rows: readonly Text[][]) => rows.map((row) => JSON.stringify(row)).sort();

let files = 0;
async function partOf(
  schema: TableSchema,
  rows: readonly Text[][],
  version: number,
  inlineBytesMax: number,
  batchRows = 40,
): Promise<PartInput> {
  const writer = engine.openPart({ schema, path: join(dir, `${files++}.parquet`), inlineBytesMax });
  const types = schema.columns.map(({ type }) => type);
  for (let from = 0; from < rows.length; from += batchRows) {
    const some = rows.slice(from, from + batchRows);
    await writer.append(batchOf(types, some), Float64Array.from(some, tabletOf));
  }
  const { data, tablets } = await writer.finish();
  return {
    partId: `p${files}`,
    data,
    merged: false,
    rows: writer.rows,
    tablets: tablets.map(({ tabletId, rows: count }) => ({ tabletId, version, rows: count })),
  };
}

async function mergeOf(
  schema: TableSchema,
  parts: readonly PartInput[],
  inlineBytesMax: number,
): Promise<PartInput> {
  const spec = { schema, path: join(dir, `${files++}.parquet`), inlineBytesMax };
  const { data, tablets, rows } = await engine.merge(spec, parts);
  expect(tablets.reduce((sum, tablet) => sum + tablet.rows, 0)).toBe(rows);
  const version = Math.max(...parts.flatMap((part) => part.tablets.map((t) => t.version)));
  return {
    partId: `p${files}`,
    data,
    merged: true,
    tablets: tablets.map(({ tabletId }) => ({ tabletId, version })),
  };
}

async function shown(schema: TableSchema, parts: readonly PartInput[]): Promise<Text[][]> {
  const table: QueryTable = { kind: 'stored', db: 'd', name: 't', schema, parts };
  return queryRows(engine, selectOf(schema.columns.map(({ name }) => name)), [table]);
}

describe('P2: AGGREGATE tables, whatever the order of parts, files and merges', () => {
  it.each([1, 2, 3])('seed %i', async (seed) => {
    const random = chance(seed);
    const versions = Array.from({ length: 6 }, () => someRows(random, 20 + random(100)));
    const parts: PartInput[] = [];
    for (const [i, rows] of versions.entries())
      parts.push(await partOf(aggregate, rows, 2 + i, random(2) === 0 ? 0 : 1e6));
    const expected = sorted(model(versions));
    expect(sorted(await shown(aggregate, parts))).toEqual(expected);
    expect(sorted(await shown(aggregate, parts.toReversed()))).toEqual(expected);

    // Merges of contiguous versions, inline and as files, and merges of merges.
    const low = await mergeOf(aggregate, [parts[1]!, parts[0]!], 0);
    const middle = await mergeOf(aggregate, [parts[2]!, parts[3]!], 1e6);
    const rest = parts.slice(4);
    expect(sorted(await shown(aggregate, [...rest, middle, low]))).toEqual(expected);
    const lower = await mergeOf(aggregate, [middle, low], 0);
    expect(sorted(await shown(aggregate, [lower, ...rest]))).toEqual(expected);
    const all = await mergeOf(aggregate, [...rest, lower], 1e6);
    expect(sorted(await shown(aggregate, [all]))).toEqual(expected);
  });

  it.each([
    { name: 'inline', inlineBytesMax: 1e7 },
    { name: 'a file', inlineBytesMax: 0 },
  ])('rows of one batch are merged when they are staged: $name', async ({ inlineBytesMax }) => {
    const random = chance(4);
    const versions = [someRows(random, 10_000), someRows(random, 4_500), someRows(random, 300)];
    const parts: PartInput[] = [];
    for (const [i, rows] of versions.entries())
      parts.push(await partOf(aggregate, rows, 2 + i, inlineBytesMax, 5_000));
    // Twenty keys, two batches and one; a small batch goes as it is.
    expect(parts.map(({ rows }) => rows)).toEqual([40, 20, 300]);
    const expected = sorted(model(versions));
    expect(sorted(await shown(aggregate, parts))).toEqual(expected);
    expect(sorted(await shown(aggregate, [await mergeOf(aggregate, parts, 0)]))).toEqual(expected);
  });

  it('what merging makes no smaller is not tried again at once', async () => {
    const schema = schemaOf(
      [
        { name: 'k', type: { name: 'INT' }, isKey: true },
        { name: 'v', type: BIGINT, agg: 'SUM' },
      ],
      'AGGREGATE',
    );
    const rows = Array.from({ length: 15_000 }, (_, i) => [String(i < 5_000 ? i : i % 7), '1']);
    const part = await partOf(schema, rows, 2, 0, 5_000);
    expect(part.rows).toBe(15_000);
    const [one] = await shown(schema, [part]).then((shownRows) =>
      shownRows.filter(([k]) => k === '1'),
    );
    expect(Number(one?.[1])).toBeGreaterThan(1_000);
  });

  it('a sum that leaves its type wraps around, and the table stays readable', async () => {
    const schema = schemaOf(
      [
        { name: 'k', type: { name: 'INT' }, isKey: true },
        { name: 'a', type: { name: 'TINYINT' }, agg: 'SUM' },
        { name: 'b', type: BIGINT, agg: 'SUM' },
      ],
      'AGGREGATE',
    );
    const rows = [
      ['1', '100', '9223372036854775807'],
      ['1', '100', '1'],
      ['2', '-100', '-5'],
      ['2', '-100', '2'],
    ];
    const part = await partOf(schema, rows, 2, 0);
    const expected = sorted([
      ['1', '-56', '-9223372036854775808'],
      ['2', '56', '-3'],
    ]);
    expect(sorted(await shown(schema, [part]))).toEqual(expected);
    expect(sorted(await shown(schema, [await mergeOf(schema, [part], 0)]))).toEqual(expected);
  });
});

describe('DUPLICATE tables', () => {
  const schema = schemaOf([
    { name: 'id', type: { name: 'INT' } },
    { name: 'name', type: { name: 'VARCHAR', length: 20 } },
  ]);
  const rows = Array.from({ length: 500 }, (_, i) => [String(i), `name ${i}`]);

  it.each([
    { name: 'inline', inlineBytesMax: 1e6, kind: 'inline' },
    { name: 'a file', inlineBytesMax: 0, kind: 'file' },
  ])('are joined row by row: $name', async ({ inlineBytesMax, kind }) => {
    const parts = [
      await partOf(schema, rows.slice(0, 100), 2, 1e6),
      await partOf(schema, rows.slice(100, 300), 3, 0),
      await partOf(schema, rows.slice(300), 4, 0),
    ];
    const merged = await mergeOf(schema, parts, inlineBytesMax);
    expect(merged.data.kind).toBe(kind);
    expect(sorted(await shown(schema, [merged]))).toEqual(sorted(rows));
  });

  it('leave out the tablets that are not asked for', async () => {
    const file = await partOf(schema, rows, 2, 0);
    const inline = await partOf(schema, rows, 3, 1e6);
    const one = [file, inline].map((part) => ({
      ...part,
      tablets: part.tablets.filter((t) => t.tabletId === 11),
    }));
    const odd = rows.filter((row) => Number(row[0]) % 2 === 1);
    expect(sorted(await shown(schema, one))).toEqual(sorted([...odd, ...odd]));
    expect(sorted(await shown(schema, [await mergeOf(schema, one, 0)]))).toEqual(
      sorted([...odd, ...odd]),
    );
  });

  it('E1: a merge is cancelled, and leaves no file', async () => {
    const stop = new AbortController();
    stop.abort(new Error('stopped'));
    const part = await partOf(schema, rows, 2, 0);
    const spec = { schema, path: join(dir, 'cancelled.parquet'), inlineBytesMax: 0 };
    await expect(engine.merge(spec, [part], stop.signal)).rejects.toThrow('stopped');
  });
});
