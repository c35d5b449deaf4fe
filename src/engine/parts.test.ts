import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { SqlType } from '../base/sql-type.ts';
import { decodeBatch } from '../formats/column-codec.ts';
import { createDuckDbEngine } from './duckdb-engine.ts';
import { batchOf, queryRows, schemaOf, selectOf, type Text } from './engine.fixture.ts';
import type { BuiltPart, PartInput } from './engine.types.ts';

const dir = await mkdtemp(join(tmpdir(), 'parts-'));
const engine = await createDuckDbEngine({ tempDir: dir, memoryLimitMb: 256, partDirs: [dir] });
const small = await createDuckDbEngine({
  tempDir: join(dir, 'small'),
  memoryLimitMb: 256,
  partDirs: [dir],
  heldBytesMax: 10_000,
});
afterAll(async () => {
  await Promise.all([engine.close(), small.close()]);
  await rm(dir, { recursive: true });
});

const decimal = (precision: number, scale: number): SqlType => ({
  name: 'DECIMAL',
  precision,
  scale,
});
/** Of each type: its edges, and something between. */
const VALUES: readonly (readonly [SqlType, readonly string[]])[] = [
  [{ name: 'BOOLEAN' }, ['0', '1']],
  [{ name: 'TINYINT' }, ['-128', '127', '5']],
  [{ name: 'SMALLINT' }, ['-32768', '32767']],
  [{ name: 'INT' }, ['-2147483648', '2147483647']],
  [{ name: 'BIGINT' }, ['-9223372036854775808', '9223372036854775807', '1']],
  [
    { name: 'LARGEINT' },
    [
      '-170141183460469231731687303715884105727',
      '170141183460469231731687303715884105727',
      '18446744073709551616',
    ],
  ],
  [{ name: 'FLOAT' }, ['1.5', '-3.25']],
  [{ name: 'DOUBLE' }, ['1.1', '1e+300', '-0.001']],
  [decimal(4, 2), ['99.99', '-99.99', '0.01']],
  [decimal(9, 3), ['999999.999', '-1.500']],
  [decimal(18, 0), ['999999999999999999', '-1']],
  [decimal(38, 10), ['1234567890123456789012345678.0123456789', '-0.0000000001']],
  [{ name: 'CHAR', length: 20 }, ['', 'twelve bytes', 'thirteen byte']],
  [
    { name: 'VARCHAR', length: 65_533 },
    ['', 'x', '漢字かな交じり文', 'long '.repeat(2_000), 'ä'.repeat(13)],
  ],
  [{ name: 'DATE' }, ['0001-01-01', '1969-12-31', '9999-12-31']],
  [{ name: 'DATETIME' }, ['1969-12-31 23:59:59.999999', '2024-02-29 12:00:00']],
  [{ name: 'JSON' }, ['{"a": [1, null]}', '"text"']],
];
const schema = schemaOf(VALUES.map(([type], i) => ({ name: `c${i}`, type })));
const types = VALUES.map(([type]) => type);

function someRows(count: number, nulls: boolean): Text[][] {
  return Array.from({ length: count }, (_, row) =>
    VALUES.map(([, values], i) =>
      nulls && (row + i) % 5 === 0 ? null : values[(row + i) % values.length]!,
    ),
  );
}

const inputOf = (part: BuiltPart, tabletIds: readonly number[], version = 2): PartInput => ({
  partId: 'p',
  data: part.data,
  merged: false,
  tablets: tabletIds.map((tabletId) => ({ tabletId, version })),
});

let files = 0;
const nextPath = () => join(dir, `part-${files++}.parquet`);

describe('a part comes back as it went', () => {
  it.each([
    { name: 'inline', count: 100, nulls: false, inlineBytesMax: 10e6, by: engine, kind: 'inline' },
    {
      name: 'inline, with NULLs',
      count: 100,
      nulls: true,
      inlineBytesMax: 10e6,
      by: engine,
      kind: 'inline',
    },
    { name: 'a file', count: 5_000, nulls: false, inlineBytesMax: 0, by: engine, kind: 'file' },
    {
      name: 'a file, with NULLs',
      count: 5_000,
      nulls: true,
      inlineBytesMax: 0,
      by: engine,
      kind: 'file',
    },
    {
      name: 'a file by way of a table',
      count: 5_000,
      nulls: true,
      inlineBytesMax: 0,
      by: small,
      kind: 'file',
    },
  ])('$name', async ({ count, nulls, inlineBytesMax, by, kind }) => {
    const rows = someRows(count, nulls);
    const writer = by.openPart({ schema, path: nextPath(), inlineBytesMax });
    const size = 700;
    for (let from = 0; from < count; from += size) {
      const some = rows.slice(from, from + size);
      const tablets = Float64Array.from(some, (_, i) => 7 + ((from + i) % 3));
      await writer.append(batchOf(types, some), tablets);
    }
    expect(writer.rows).toBe(count);
    const part = await writer.finish();
    expect(part).toMatchObject({ rows: count, data: { kind } });
    const counts = [0, 1, 2].map((t) => rows.filter((_, i) => i % 3 === t).length);
    expect(part.tablets).toEqual(counts.map((n, t) => ({ tabletId: 7 + t, rows: n })));

    // Tablet by tablet, as that is the order which is promised.
    for (const t of [0, 1, 2]) {
      const stored = [
        { kind: 'stored', db: 'd', name: 't', schema, parts: [inputOf(part, [7 + t])] },
      ] as const;
      const found = await queryRows(by, selectOf(schema.columns.map(({ name }) => name)), stored);
      expect(found).toEqual(rows.filter((_, i) => i % 3 === t));
    }
  });

  it('P1: an inline part has its rows grouped by tablet', async () => {
    const writer = engine.openPart({ schema, path: nextPath(), inlineBytesMax: 10e6 });
    await writer.append(batchOf(types, someRows(4, false)), Float64Array.from([9, 8, 9, 8]));
    const { data } = await writer.finish();
    const ids = data.kind === 'inline' ? decodeBatch(data.bytes).columns[types.length] : undefined;
    expect(ids?.kind === 'i64' && [...ids.values]).toEqual([8n, 8n, 9n, 9n]);
  });
});

describe('what is given up leaves nothing', () => {
  it.each([
    { name: 'before the end', finish: false },
    { name: 'after the end', finish: true },
  ])('$name', async ({ finish }) => {
    const path = nextPath();
    const writer = small.openPart({ schema, path, inlineBytesMax: 0 });
    const rows = someRows(1_000, false);
    await writer.append(batchOf(types, rows), new Float64Array(1_000));
    if (finish) await writer.finish();
    await writer.discard();
    await writer.discard();
    expect((await readdir(dir)).includes(path.slice(dir.length + 1))).toBe(false);
  });

  it('while it is written: the statement ends, and what comes late is refused', async () => {
    const path = nextPath();
    const writer = engine.openPart({ schema, path, inlineBytesMax: 0 });
    const rows = someRows(2_000, false);
    for (let i = 0; i < 10; i++) {
      await writer.append(batchOf(types, rows), new Float64Array(2_000));
    }
    const built = writer.finish();
    built.catch(() => {});
    await writer.discard();
    await expect(built).rejects.toMatchObject({
      code: expect.stringMatching(/PART_DISCARDED|ENGINE_CANCELLED/),
    });
    const late = writer.append(batchOf(types, someRows(1, false)), new Float64Array(1));
    await expect(late).rejects.toMatchObject({ code: 'PART_DISCARDED' });
    expect((await readdir(dir)).includes(path.slice(dir.length + 1))).toBe(false);
  });

  it('a path that cannot be written', async () => {
    const writer = engine.openPart({ schema, path: '/proc/none.parquet', inlineBytesMax: 0 });
    await writer.append(batchOf(types, someRows(10, false)), new Float64Array(10));
    const failed = { code: 'ENGINE_WRITE', transient: true };
    await expect(writer.finish()).rejects.toMatchObject(failed);
  });

  it('a text that is no UTF-8', async () => {
    const one = schemaOf([{ name: 'a', type: { name: 'VARCHAR', length: 99 } }]);
    const writer = engine.openPart({ schema: one, path: nextPath(), inlineBytesMax: 0 });
    const data = new Uint8Array(20).fill(0xff);
    const offsets = Uint32Array.of(0, 20);
    const batch = { rows: 1, columns: [{ kind: 'bytes', valid: null, offsets, data }] } as const;
    await writer.append(batch, new Float64Array(1));
    await expect(writer.finish()).rejects.toMatchObject({ code: 'ENGINE_ERROR' });
  });
});
