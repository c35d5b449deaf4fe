import { describe, expect, it } from 'vitest';
import type { ColumnBatch } from '../../base/column-batch.ts';
import type { TableSchema } from '../../base/table-schema.ts';
import { batchOf, schemaOf } from '../../engine/engine.fixture.ts';
import type { BuiltPart, PartSpec } from '../../engine/engine.types.ts';
import { bucketOf } from '../../formats/bucket.ts';
import type { StageRequest } from '../../storage/tablet-store.types.ts';
import type { StageMessage } from '../messages.ts';
import type { BeContext } from './be.ts';
import { Stager, stageLocal } from './stage.ts';

const INT = { name: 'INT' } as const;
const hashed: TableSchema = {
  ...schemaOf([
    { name: 'id', type: INT },
    { name: 'v', type: { name: 'VARCHAR', length: 20 } },
  ]),
  bucketColumns: ['ID'],
};
const random: TableSchema = { ...hashed, bucketColumns: [] };

/** Six buckets on three BEs. */
const tablets = Array.from({ length: 6 }, (_, bucket) => ({
  tabletId: 100 + bucket,
  bucket,
  beId: `b${bucket % 3}`,
  incarnation: `i${bucket % 3}`,
}));
const target = { tableId: 1, buckets: 6, tablets } as never;

/** What each part was given: `[id, tablet]` in order. */
function setUp(schema: TableSchema, txnId: number) {
  const parts: [number, number][][] = [];
  const context = {
    schemas: new Map(),
    store: { beId: 'b0', stagingPath: () => '/nowhere', abort: async () => {} },
    bus: { request: async () => ({}) },
    engine: {
      openPart: (_: PartSpec) => {
        const rows: [number, number][] = [];
        parts.push(rows);
        return {
          discard: async () => {},
          append: async (batch: ColumnBatch, ids: Float64Array) => {
            const column = batch.columns[0]!;
            if (column.kind !== 'i32') throw new Error('an INT');
            ids.forEach((id, i) => {
              rows.push([column.values[i]!, id]);
            });
          },
        };
      },
    },
  } as unknown as BeContext;
  const head = { fe: {} as never, txnId, attempt: 0, label: 'l' };
  return { stager: new Stager(context, head, schema, target), parts };
}

async function staged(schema: TableSchema, txnId: number, batches: readonly ColumnBatch[]) {
  const { stager, parts } = setUp(schema, txnId);
  for (const batch of batches) await stager.append(batch);
  return parts;
}

const ids = (from: number, to: number) =>
  batchOf(
    hashed.columns.map(({ type }) => type),
    Array.from({ length: to - from }, (_, i) => [String(from + i), `v${i}`]),
  );

describe('rows to parts', () => {
  it('P3: every row goes to its bucket’s tablet and BE, in order', async () => {
    const batch = ids(0, 500);
    const buckets = bucketOf([{ column: batch.columns[0]!, type: INT }], 500, 6);
    const parts = await staged(hashed, 1, [batch, ids(500, 500)]);
    expect(parts).toHaveLength(3);
    for (const rows of parts) {
      expect(rows.map(([id]) => id)).toEqual(rows.map(([id]) => id).toSorted((a, b) => a - b));
      for (const [id, tablet] of rows) expect(tablet).toBe(100 + buckets[id]!);
      expect(new Set(rows.map(([, tablet]) => tablet % 3)).size).toBe(1);
    }
    expect(parts.flat()).toHaveLength(500);
  });

  it('I5: rows that come after an abort open no part', async () => {
    const { stager, parts } = setUp(random, 1);
    await stager.append(ids(0, 2));
    await stager.abort();
    await expect(stager.append(ids(2, 4))).rejects.toMatchObject({ code: 'TXN_ABORTED' });
    expect(parts).toHaveLength(1);
  });

  it.each<{ name: string; known: Pick<BuiltPart, 'ranges'> }>([
    { name: 'ranges', known: { ranges: [[1, '0', '9']] } },
    { name: 'nothing', known: {} },
  ])(
    'a part is staged with what its writer knows, $name, here and elsewhere',
    async ({ known }) => {
      const built: BuiltPart = {
        rows: 2,
        tablets: [{ tabletId: 100, rows: 2 }],
        data: { kind: 'file', path: '/nowhere', length: 9 },
        ...known,
      };
      const staged: StageRequest[] = [];
      const stage = async (request: StageRequest) => staged.push(request);
      const others = { schemas: new Map(), store: { stage } } as unknown as BeContext;
      const context = {
        schemas: new Map(),
        store: { beId: 'b0', stagingPath: () => '/nowhere', abort: async () => {}, stage },
        bus: { request: (_: string, message: StageMessage) => stageLocal(others, message) },
        engine: {
          openPart: () => ({ append: async () => {}, finish: async () => built }),
        },
      } as unknown as BeContext;
      // The order of a task, whose ranges are of offsets.
      const head = {
        fe: { epoch: 1, incarnation: 'i' } as never,
        txnId: 1,
        attempt: 0,
        label: 'l',
        ranges: [{ partition: 0, from: '0' }],
      };
      const stager = new Stager(context, head, hashed, target);
      await stager.append(ids(0, 500));
      await stager.vote([]);
      const { tableId } = target as { tableId: number };
      const part = { ...built, tableId, schema: hashed };
      expect(staged.map((request) => request.part)).toEqual([part, part, part]);
    },
  );

  it.each([
    { txnId: 6, tabletIds: [100, 101, 102] },
    { txnId: 10, tabletIds: [104, 105, 100] },
  ])(
    'DISTRIBUTED BY RANDOM: transaction $txnId begins at a bucket of its own',
    async ({ txnId, tabletIds }) => {
      const parts = await staged(random, txnId, [ids(0, 2), ids(2, 4), ids(4, 6)]);
      const found = parts.flat().sort(([a], [b]) => a - b);
      expect(found.map(([, tablet]) => tablet)).toEqual(tabletIds.flatMap((id) => [id, id]));
    },
  );
});
