import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ColumnBatch } from '../base/column-batch.ts';
import { BIGINT, type SqlType, VARCHAR } from '../base/sql-type.ts';
import type { ColumnDef, TableSchema } from '../base/table-schema.ts';
import { createBuilder } from '../formats/column-builder.ts';
import { valueText } from '../formats/value-text.ts';
import type { Expr } from '../sql/ast/expr.ts';
import type { Select } from '../sql/ast/select.ts';
import { createDuckDbEngine } from './duckdb-engine.ts';
import type { PartInput } from './engine.types.ts';

const dir = await mkdtemp(join(tmpdir(), 'engine-'));
const engine = await createDuckDbEngine({ tempDir: dir, memoryLimitMb: 200, partDirs: [dir] });
const context = { timezone: 'Asia/Shanghai', nowMs: 0, seed: 's' };
const col = (
  id: number,
  name: string,
  type: SqlType,
  more: Partial<ColumnDef> = {},
): ColumnDef => ({
  id,
  name,
  type,
  nullable: true,
  isKey: false,
  ...more,
});
const schemaOf = (
  columns: ColumnDef[],
  model: TableSchema['model'] = 'DUPLICATE',
): TableSchema => ({
  tableId: 1,
  schemaId: 1,
  model,
  columns,
  bucketColumns: [],
});
function batchOf(types: SqlType[], rows: (string | bigint | null)[][]): ColumnBatch {
  const columns = types.map((type, i) => {
    const b = createBuilder(type);
    for (const row of rows) {
      const v = row[i] ?? null;
      if (v === null) b.appendNull();
      else if (typeof v === 'string') b.appendText(v);
      else b.appendBig(v);
    }
    return b.finish();
  });
  return { rows: rows.length, columns };
}
const name = (n: string): Expr => ({ kind: 'column', path: [n] });

test('the documents’ example, WHERE and NOT NULL', async () => {
  const out = await engine.transform(
    {
      fields: [{ name: 'pay_time', type: VARCHAR }],
      schema: schemaOf([col(1, 'pay_dt', { name: 'DATE' }, { nullable: false })]),
      sources: [
        {
          kind: 'expr',
          expr: {
            kind: 'call',
            name: 'from_unixtime',
            distinct: false,
            args: [name('pay_time'), { kind: 'string', value: '%Y%m%d' }],
          },
        },
      ],
      where: {
        kind: 'binary',
        op: '<>',
        left: {
          kind: 'call',
          name: 'ifnull',
          distinct: false,
          args: [name('pay_time'), { kind: 'string', value: '' }],
        },
        right: { kind: 'string', value: '0' },
      },
      strict: false,
      context,
    },
    batchOf([VARCHAR], [['1589191487'], ['0'], ['x']]),
  );
  expect(valueText(out.batch.columns[0]!, 0, { name: 'DATE' })).toBe('2020-05-11');
  expect([out.batch.rows, out.unselected, out.rejected]).toEqual([1, 1, 1]);
  expect(out.rejects[0]?.reason).toBe("NULL value in non-nullable column 'pay_dt'");
});

test.each([
  { name: 'inline', max: 1e6 },
  { name: 'file', max: 0 },
])('AGGREGATE over versions: $name', async ({ name: kind, max }) => {
  const schema = schemaOf(
    [
      col(1, 'k', BIGINT, { isKey: true }),
      col(2, 's', BIGINT, { agg: 'SUM' }),
      col(3, 'r', VARCHAR, { agg: 'REPLACE' }),
    ],
    'AGGREGATE',
  );
  const parts: PartInput[] = [];
  for (const [version, r] of [
    [2, 'new'],
    [1, 'old'],
  ] as const) {
    const w = engine.openPart({
      schema,
      path: join(dir, `${kind}${version}.parquet`),
      inlineBytesMax: max,
    });
    await w.append(
      batchOf(
        [BIGINT, BIGINT, VARCHAR],
        [
          [1n, 5n, r],
          [9n, 9n, 'x'],
        ],
      ),
      Float64Array.from([7, 8]),
    );
    const { data } = await w.finish();
    expect(data.kind).toBe(kind);
    parts.push({ partId: `p${version}`, data, merged: false, tablets: [{ tabletId: 7, version }] });
  }
  const select: Select = {
    with: [],
    body: {
      kind: 'select',
      distinct: false,
      groupBy: [],
      orderBy: [],
      items: ['k', 's', 'r'].map((n) => ({ expr: name(n), text: n })),
      from: { kind: 'table', table: { db: 'd', name: 't' } },
    },
  };
  const run = async () => {
    const q = await engine.query({ select, context }, [
      { kind: 'stored', db: 'd', name: 't', schema, parts },
    ]);
    const rows: (string | null)[][] = [];
    for await (const b of q.batches)
      for (let i = 0; i < b.rows; i++)
        rows.push(b.columns.map((c, j) => valueText(c, i, q.columns[j]!.type)));
    return rows;
  };
  expect(await Promise.all([run(), run()])).toEqual([[['1', '10', 'new']], [['1', '10', 'new']]]);
});
