import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { SqlType } from '../../base/sql-type.ts';
import { createDuckDbEngine } from '../../engine/duckdb-engine.ts';
import { batchOf, context, rowsOf, schemaOf, type Text } from '../../engine/engine.fixture.ts';
import { InsertConversion } from './insert-conversion.ts';

const dir = await mkdtemp(join(tmpdir(), 'insert-'));
const engine = await createDuckDbEngine({ tempDir: dir, memoryLimitMb: 128, partDirs: [] });
afterAll(async () => {
  await engine.close();
  await rm(dir, { recursive: true });
});

const TEXT: SqlType = { name: 'VARCHAR', length: 65_533 };
const INT: SqlType = { name: 'INT' };
const DATE: SqlType = { name: 'DATE' };
const decimal: SqlType = { name: 'DECIMAL', precision: 10, scale: 2 };

async function convert(options: {
  readonly from: readonly SqlType[];
  readonly to: readonly SqlType[];
  readonly rows: readonly Text[][];
  readonly strict: boolean;
}) {
  const { from, to, rows, strict } = options;
  const schema = schemaOf(to.map((type, i) => ({ name: `t${i}`, type })));
  const sources = to.map((_, field) => ({ kind: 'field' as const, field }));
  const names = to.map((_, i) => `t${i}`);
  const conversion = new InsertConversion(
    engine,
    { schema, sources, strict, context },
    names,
    from,
  );
  const made = await conversion.run(batchOf(from, rows), new AbortController().signal);
  expect(conversion.fields.map(({ type }) => type)).toEqual(to);
  return { ...made, rows: rowsOf(made.batch, to) };
}

describe('casts', () => {
  it.each([
    { name: 'text to INT', from: TEXT, to: INT, in: '12', out: '12' },
    { name: 'text to DATE', from: TEXT, to: DATE, in: '20240131', out: '2024-01-31' },
    { name: 'DECIMAL to INT', from: decimal, to: INT, in: '1.90', out: '1' },
    { name: 'DOUBLE to INT', from: { name: 'DOUBLE' } as SqlType, to: INT, in: '-1.9', out: '-1' },
    { name: 'INT to text', from: INT, to: TEXT, in: '7', out: '7' },
    { name: 'BOOLEAN to text', from: { name: 'BOOLEAN' } as SqlType, to: TEXT, in: '1', out: '1' },
    {
      name: 'DATE to DATETIME',
      from: DATE,
      to: { name: 'DATETIME' } as SqlType,
      in: '2024-01-31',
      out: '2024-01-31 00:00:00',
    },
    { name: 'INT to DATE', from: INT, to: DATE, in: '20240131', out: '2024-01-31' },
    { name: 'INT to a wider DECIMAL', from: INT, to: decimal, in: '5', out: '5.00' },
    {
      name: 'a text that is too long stays for the sink',
      from: TEXT,
      to: { name: 'VARCHAR', length: 2 } as SqlType,
      in: 'long',
      out: 'long',
    },
    { name: 'NULL', from: INT, to: TEXT, in: null, out: null },
  ])('$name', async ({ from, to, in: value, out }) => {
    const made = await convert({ from: [from], to: [to], rows: [[value]], strict: true });
    expect(made.rows).toEqual([[out]]);
    expect(made).toMatchObject({ rejected: 0, coerced: 0 });
  });
});

describe('values that do not convert', () => {
  const from = [TEXT, TEXT, INT];
  const to = [INT, DATE, TEXT];
  const rows = [
    ['1', '2024-01-01', '5'],
    ['x', 'y', '6'],
    [null, '2024-01-02', null],
    ['3', 'z', '7'],
  ];

  it('strict: their rows go no further, and each counts once', async () => {
    const made = await convert({ from, to, rows, strict: true });
    expect(made.rows).toEqual([
      ['1', '2024-01-01', '5'],
      [null, '2024-01-02', null],
    ]);
    expect(made).toMatchObject({ rejected: 2, coerced: 0 });
    expect(made.rejects).toEqual([
      {
        row: 1,
        column: 't0',
        reason: "Value 'x' is out of range. The type of 't0' is INT",
        rowText: '[x, y, 6]',
      },
      {
        row: 3,
        column: 't1',
        reason: "Value 'z' is out of range. The type of 't1' is DATE",
        rowText: '[3, z, 7]',
      },
    ]);
    expect([made.row(0), made.row(1)]).toEqual([0, 2]);
  });

  it('not strict: they are NULL, and counted', async () => {
    const made = await convert({ from, to, rows, strict: false });
    expect(made.rows).toEqual([
      ['1', '2024-01-01', '5'],
      [null, null, '6'],
      [null, '2024-01-02', null],
      ['3', null, '7'],
    ]);
    expect(made).toMatchObject({ rejected: 0, coerced: 3 });
  });
});
