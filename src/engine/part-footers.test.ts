import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { batchOf } from './engine.fixture.ts';
import { ParquetFile } from './parquet/parquet-file.ts';
import { PartFooters } from './part-footers.ts';
import { RowZones, ZONE_ROWS } from './row-zones.ts';
import { rowsWithin, type Span } from './rows-within.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'footers-'));
});
afterAll(() => rm(dir, { recursive: true }));

/** A BIGINT in so many row groups. */
async function write(name: string, groups: number): Promise<[string, number]> {
  const path = join(dir, name);
  const columns = [
    { name: 'a', type: { name: 'BIGINT' } as const },
    { name: 't', type: { name: 'BIGINT' } as const },
  ];
  const file = new ParquetFile(path, columns);
  for (let group = 0; group < groups; group++) {
    const batch = batchOf([{ name: 'BIGINT' }], [[String(group)], [null]]);
    await file.append({ ...batch, numbers: new Uint16Array(2) }, BigInt64Array.of(1n));
  }
  return [path, await file.finish()];
}

it('a footer tells what the file has', async () => {
  const footer = await new PartFooters().get(...(await write('a', 3)));
  expect(footer?.columns).toEqual(['a', 't']);
  expect(footer?.groups.map(({ rows }) => rows)).toEqual([2, 2, 2]);
  expect(footer?.groups[2]?.chunks[0]).toMatchObject({
    physical: 2,
    nulls: 1,
    range: { min: Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0) },
  });
});

it('one that is longer than the first read', async () => {
  const footer = await new PartFooters().get(...(await write('long', 1_500)));
  expect(footer?.groups).toHaveLength(1_500);
});

it('those that were asked for last are kept, and no more than a number of chunks', async () => {
  const footers = new PartFooters(12);
  const [a, b, c] = [await write('b', 2), await write('c', 2), await write('d', 2)];
  const first = await footers.get(...a);
  await footers.get(...b);
  expect(footers.size).toBe(10);
  expect(await footers.get(...a)).toBe(first);
  await footers.get(...c);
  expect(footers.size).toBe(10);
  expect(await footers.get(...a)).toBe(first);
  // The second one has gone.
  await rm(b[0]);
  await expect(footers.get(...b)).rejects.toThrow('ENOENT');
});

it('one that is too large is not kept', async () => {
  const footers = new PartFooters(12);
  const [path, length] = await write('large', 20);
  expect((await footers.get(path, length))?.groups).toHaveLength(20);
  expect(footers.size).toBe(0);
});

const wide = (...values: readonly bigint[]) =>
  ({ kind: 'i64', valid: null, values: BigInt64Array.from(values) }) as const;
const all: Span = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];

it.each([
  { name: 'both ends', spans: [[2, 3]], column: wide(1n, 2n, 3n, 4n), rows: [1, 2] },
  { name: 'negative', spans: [[-5, -1]], column: wide(-6n, -5n, -1n, 0n), rows: [1, 2] },
  {
    name: 'two spans, in order',
    spans: [
      [3, 3],
      [1, 1],
      [1, 3],
    ],
    column: wide(3n, 2n, 1n),
    rows: [0, 1, 2],
  },
  {
    name: 'values that a double rounds',
    spans: [[Number(2n ** 53n + 1n), Number(2n ** 53n + 1n)]],
    column: wide(2n ** 53n + 1n, 2n ** 53n - 1n),
    rows: [0],
  },
  {
    name: 'the ends of 64 bits',
    spans: [[Number(2n ** 63n - 1n), Number.POSITIVE_INFINITY]],
    column: wide(2n ** 63n - 1n, -(2n ** 63n)),
    rows: [0],
  },
  {
    name: 'NULLs',
    spans: [all],
    column: { ...wide(0n, 1n), valid: Uint8Array.of(0, 1) },
    rows: [1],
  },
  {
    name: 'NaN',
    spans: [[5, 6]],
    column: { kind: 'f64', valid: null, values: Float64Array.of(5.5, Number.NaN, 7) },
    rows: [0, 1],
  },
  {
    name: 'small integers',
    spans: [[-2, -1]],
    column: { kind: 'i8', valid: null, values: Int8Array.of(-3, -2, -1, 0) },
    rows: [1, 2],
  },
  {
    name: 'no order here',
    spans: [[1, 1]],
    column: { kind: 'f32', valid: null, values: Float32Array.of(9, 9) },
    rows: [0, 1],
  },
] as const)('rows within spans: $name', ({ spans, column, rows }) => {
  const count = column.values.length;
  expect([...rowsWithin(column, spans, count)]).toEqual(rows);
  // A zone may not leave out what a row test finds.
  const zones = RowZones.of(column, count);
  expect(zones?.stretches(spans) ?? [[0, count]]).toEqual([[0, count]]);
});

it('zones leave out rows, and neighbours are one stretch', () => {
  const rows = 5 * ZONE_ROWS - 1;
  const column = wide(...Array.from({ length: rows }, (_, row) => BigInt(row)));
  const zones = RowZones.of(column, rows);
  const at = (zone: number) => zone * ZONE_ROWS;
  expect(zones?.stretches([[at(1), at(2)]])).toEqual([[at(1), at(3)]]);
  expect(
    zones?.stretches([
      [0, 0],
      [rows - 1, rows + 9],
    ]),
  ).toEqual([
    [0, at(1)],
    [at(4), rows],
  ]);
  expect(zones?.stretches([[-5, -1]])).toEqual([]);
});
