/** What is written here is read by DuckDB, which knows nothing of us. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SqlType } from '../../base/sql-type.ts';
import { batchOf, type Text } from '../engine.fixture.ts';
import { ParquetFile } from './parquet-file.ts';

let dir: string;
let duck: DuckDBInstance;
let connection: DuckDBConnection;
let files = 0;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'parquet-'));
  duck = await DuckDBInstance.create(':memory:');
  connection = await duck.connect();
});

afterAll(async () => {
  connection.closeSync();
  duck.closeSync();
  await rm(dir, { recursive: true });
});

/** Groups of rows of one column; the hidden column says in which tablet each is. */
async function write(type: SqlType, groups: readonly (readonly Text[])[], tablets = 3) {
  const path = join(dir, `f-${files++}.parquet`);
  const columns = [
    { name: 'a', type },
    { name: 't', type: { name: 'BIGINT' } as const },
  ];
  const file = new ParquetFile(path, columns);
  const ids = BigInt64Array.from({ length: tablets }, (_, i) => BigInt(1_000 + i));
  for (const group of groups) {
    const numbers = Uint16Array.from(group, (_, i) => (i * 7) % tablets);
    const batch = batchOf(
      [type],
      group.map((text) => [text]),
    );
    await file.append({ ...batch, numbers }, ids);
  }
  return { path, length: await file.finish() };
}

async function read(sql: string): Promise<(string | null)[][]> {
  const reader = await connection.runAndReadAll(sql);
  return reader.getRows().map((row) => row.map((value) => (value === null ? null : String(value))));
}

const VARCHAR: SqlType = { name: 'VARCHAR', length: 1_000_000 };

describe('texts', () => {
  it.each([
    { name: 'none', lengths: [] },
    { name: 'one', lengths: [5] },
    { name: 'a block and one', lengths: Array.from({ length: 257 }, (_, i) => i % 3) },
    { name: 'a block, two and one', lengths: Array.from({ length: 513 }, () => 4) },
    { name: 'growing by one', lengths: Array.from({ length: 300 }, (_, i) => i) },
    { name: 'a width of 16', lengths: Array.from({ length: 600 }, (_, i) => (i % 2) * 900) },
    { name: 'a width of 32', lengths: [0, 70_000, 3, 0, 70_001] },
  ])('lengths: $name', async ({ lengths }) => {
    const texts = lengths.map((length, i) => String(i % 10).repeat(length));
    const { path } = await write(VARCHAR, [texts]);
    expect(await read(`SELECT a FROM '${path}'`)).toEqual(texts.map((text) => [text]));
  });

  it('with NULLs between', async () => {
    const texts = Array.from({ length: 1_000 }, (_, i) => (i % 3 === 0 ? null : 'ä'.repeat(i % 5)));
    const { path } = await write(VARCHAR, [texts, [null, null]]);
    const expected = [...texts, null, null].map((text) => [text]);
    expect(await read(`SELECT a FROM '${path}'`)).toEqual(expected);
  });
});

describe('the hidden column', () => {
  it.each([{ tablets: 1 }, { tablets: 3 }, { tablets: 256 }, { tablets: 257 }, { tablets: 5_000 }])(
    '$tablets tablets',
    async ({ tablets }) => {
      const rows = Array.from({ length: 4_999 }, (_, i) => String(i));
      const { path } = await write({ name: 'INT' }, [rows, ['-1']], tablets);
      const found = await read(`SELECT a, t FROM '${path}'`);
      expect(found).toEqual([
        ...rows.map((text, i) => [text, String(1_000 + ((i * 7) % tablets))]),
        ['-1', '1000'],
      ]);
    },
  );
});

describe('statistics', () => {
  it.each<{ name: string; type: SqlType; groups: Text[][]; ranges: (Text | undefined)[][] }>([
    {
      name: 'integers with NULLs',
      type: { name: 'INT' },
      groups: [['3', null, '-2147483648'], [null], ['2147483647', '0']],
      ranges: [
        ['-2147483648', '3', '1'],
        [null, null, '1'],
        ['0', '2147483647', '0'],
      ],
    },
    {
      name: 'BIGINT by its halves',
      type: { name: 'BIGINT' },
      groups: [
        ['-1', '0', '4294967296', '-4294967297'],
        ['9223372036854775807', null],
      ],
      ranges: [
        ['-4294967297', '4294967296', '0'],
        ['9223372036854775807', '9223372036854775807', '1'],
      ],
    },
    {
      name: 'a zero has both signs',
      type: { name: 'DOUBLE' },
      groups: [
        ['0', '0'],
        ['-1.5', '0'],
      ],
      ranges: [
        ['-0.0', '0.0', '0'],
        ['-1.5', '0.0', '0'],
      ],
    },
    {
      name: 'SMALLINT and days',
      type: { name: 'SMALLINT' },
      groups: [['-32768', '5']],
      ranges: [['-32768', '5', '0']],
    },
  ])('$name', async ({ type, groups, ranges }) => {
    const { path } = await write(type, groups);
    const found = await read(
      `SELECT stats_min_value, stats_max_value, stats_null_count FROM parquet_metadata('${path}')
       WHERE path_in_schema = 'a' ORDER BY row_group_id`,
    );
    expect(found).toEqual(ranges);
    // What they leave out is what is not there: each value is found by an equality.
    for (const value of new Set(groups.flat())) {
      if (value === null) continue;
      const count = groups.flat().filter((one) => one === value).length;
      const sql = `SELECT count(*) FROM '${path}' WHERE a = CAST('${value}' AS ${type.name})`;
      expect(await read(sql)).toEqual([[String(count)]]);
    }
  });

  it('not a number: no range, and nothing is left out', async () => {
    const path = join(dir, `f-${files++}.parquet`);
    const columns = [
      { name: 'a', type: { name: 'DOUBLE' } as const },
      { name: 't', type: { name: 'BIGINT' } as const },
    ];
    const file = new ParquetFile(path, columns);
    const column = { kind: 'f64', valid: null, values: Float64Array.of(1, Number.NaN, 2) } as const;
    const batch = { rows: 3, columns: [column], numbers: new Uint16Array(3) };
    await file.append(batch, BigInt64Array.of(7n));
    await file.finish();
    expect(await read(`SELECT count(*) FROM '${path}' WHERE a > 1`)).toEqual([['2']]);
    expect(await read(`SELECT stats_min_value FROM parquet_metadata('${path}')`)).toEqual([
      [null],
      ['7'],
    ]);
  });
});

describe('files', () => {
  it('without a row', async () => {
    const { path, length } = await write({ name: 'INT' }, []);
    expect(await read(`SELECT * FROM '${path}'`)).toEqual([]);
    expect(length).toBeGreaterThan(12);
  });

  it('a name that is taken is written over by nobody', async () => {
    const { path } = await write({ name: 'INT' }, [['1']]);
    const other = new ParquetFile(path, [{ name: 't', type: { name: 'BIGINT' } }]);
    await expect(
      other.append({ rows: 1, columns: [], numbers: new Uint16Array(1) }, BigInt64Array.of(1n)),
    ).rejects.toMatchObject({ code: 'EEXIST' });
    expect(await read(`SELECT a FROM '${path}'`)).toEqual([['1']]);
    expect((await readdir(dir)).length).toBeGreaterThan(0);
  });
});
