/** INSERT on its coordinator BE: rows of texts, or a query run here, through the same way as a task's rows. */
import type { ColumnBatch } from '../../base/column-batch.ts';
import { LoadError } from '../../base/errors.ts';
import { type SqlType, VARCHAR } from '../../base/sql-type.ts';
import type { TransformReject } from '../../engine/engine.types.ts';
import { decodeBatch } from '../../formats/column-codec.ts';
import type { StoredReject } from '../../storage/tablet-store.types.ts';
import { readBytesRef } from '../bytes-ref.ts';
import type { InsertRunReply, InsertRunRequest } from '../messages.ts';
import type { BeContext } from './be.ts';
import { gathered } from './gather.ts';
import { InsertConversion } from './insert-conversion.ts';
import type { BeQueries } from './queries.ts';
import { Stager } from './stage.ts';

const REJECTS_MAX = 50;
const PIECE = { rows: 65_536, bytes: 8 * 1024 * 1024 };

interface Rows {
  readonly types: readonly SqlType[];
  readonly batches: AsyncIterator<ColumnBatch>;
  close(): Promise<void>;
}

type Reject = Pick<TransformReject, 'column' | 'reason' | 'rowText'>;

export async function runInsert(
  context: BeContext,
  queries: BeQueries,
  request: InsertRunRequest,
  stopping: AbortSignal,
): Promise<InsertRunReply> {
  const { clock, engine, store } = context;
  const beginMs = clock.now();
  const { transform, target, rows: source } = request;
  const stager = new Stager(context, request, transform.schema, target);
  const counts = { loaded: 0, filtered: 0, unselected: 0, empty: 0, coerced: 0, receivedBytes: 0 };
  const rejects: StoredReject[] = [];
  const reject = (one: Reject, row: number) => {
    if (rejects.length >= REJECTS_MAX) return;
    const { column, reason, rowText } = one;
    const at = { topic: '', partition: 0, offset: String(row), element: 0 };
    rejects.push({ ...at, column, reason, row: rowText });
  };
  let done = 0;
  try {
    const rows = await openRows(context, queries, source);
    try {
      const conversion = new InsertConversion(engine, transform, source.names, rows.types);
      for await (const batch of ahead(gathered(rows.batches, PIECE))) {
        const converted = await conversion.run(batch, stopping);
        counts.coerced += converted.coerced;
        counts.filtered += converted.rejected;
        for (const one of converted.rejects) reject(one, done + one.row);
        const output = await engine.transform(
          { ...transform, fields: conversion.fields },
          converted.batch,
          stopping,
        );
        counts.loaded += output.batch.rows;
        counts.unselected += output.unselected;
        counts.filtered += output.rejected;
        for (const one of output.rejects) reject(one, done + converted.row(one.row));
        done += batch.rows;
        await stager.append(output.batch);
      }
    } finally {
      await rows.close();
    }
    const votes = await stager.vote(rejects);
    return {
      kind: 'staged',
      votes,
      progress: {},
      timestamps: {},
      producedMs: [],
      counts: { ...counts, costMs: clock.now() - beginMs },
      rejects: rejects.length > 0 ? { beId: store.beId, count: rejects.length } : null,
      ends: {},
    };
  } catch (error) {
    await stager.abort();
    throw error;
  }
}

async function openRows(
  context: BeContext,
  queries: BeQueries,
  source: InsertRunRequest['rows'],
): Promise<Rows> {
  if (source.kind === 'batch') {
    const batch = decodeBatch(await readBytesRef(source.bytes, context.parts));
    return {
      types: source.names.map(() => VARCHAR),
      batches: once(batch),
      close: async () => {},
    };
  }
  const result = await queries.open(source.query);
  if (result.columns.length !== source.names.length) {
    await result.close();
    throw new LoadError(
      'COLUMN_COUNT',
      `Inserted target column count: ${source.names.length} doesn't match select/value column count: ${result.columns.length}`,
      { errno: 5604, sqlState: '42601' },
    );
  }
  const types = result.columns.map(({ type }) => type);
  return { types, batches: result.batches, close: () => result.close() };
}

/** The next piece is made while this one is stored. */
async function* ahead(
  batches: AsyncGenerator<ColumnBatch, void>,
): AsyncGenerator<ColumnBatch, void> {
  let next = batches.next();
  try {
    for (;;) {
      const { done, value } = await next;
      if (done === true || value === undefined) return;
      next = batches.next();
      next.catch(() => undefined);
      yield value;
    }
  } finally {
    await next.catch(() => undefined);
    await batches.return();
  }
}

async function* once(batch: ColumnBatch): AsyncGenerator<ColumnBatch, void> {
  yield batch;
}
