/** INSERT on its coordinator BE: rows of texts, or a query run here, through the same way as a task's rows. */
import type { BytesColumn, Column, ColumnBatch } from '../../base/column-batch.ts';
import { LoadError } from '../../base/errors.ts';
import { type SqlType, VARCHAR } from '../../base/sql-type.ts';
import type { ColumnSource } from '../../engine/engine.types.ts';
import { castTextColumn } from '../../formats/cast/text-cast.ts';
import { decodeBatch } from '../../formats/column-codec.ts';
import type { StoredReject } from '../../storage/tablet-store.types.ts';
import { readBytesRef } from '../bytes-ref.ts';
import type { InsertRunReply, InsertRunRequest } from '../messages.ts';
import type { BeContext } from './be.ts';
import type { BeQueries } from './queries.ts';
import { Stager } from './stage.ts';

const REJECTS_MAX = 50;

interface Rows {
  readonly types: readonly SqlType[];
  batches(): AsyncIterable<ColumnBatch>;
}

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
  let done = 0;
  try {
    const rows = await openRows(context, queries, source);
    const fields = source.names.map((name, i) => ({
      name,
      type: fieldType(transform.schema.columns, transform.sources, i) ?? rows.types[i] ?? VARCHAR,
    }));
    for await (const batch of rows.batches()) {
      const columns = batch.columns.map((column, i) =>
        convert(column, rows.types[i] ?? VARCHAR, fields[i]!.type, batch.rows),
      );
      const bad = strictRejects(batch, columns, fields, transform.strict);
      const output = await engine.transform(
        { ...transform, fields },
        { rows: batch.rows, columns },
        stopping,
      );
      counts.loaded += output.batch.rows;
      counts.unselected += output.unselected;
      counts.filtered += output.rejected + bad.length;
      const kept = [
        ...bad,
        ...output.rejects.map(({ row, column, reason, rowText }) => ({
          row,
          column,
          reason,
          rowText,
        })),
      ];
      for (const { row, column, reason, rowText } of kept) {
        if (rejects.length >= REJECTS_MAX) break;
        rejects.push({
          topic: '',
          partition: 0,
          offset: String(done + row),
          element: 0,
          column,
          reason,
          row: rowText,
        });
      }
      done += batch.rows;
      await stager.append(output.batch);
    }
    const votes = await stager.vote(rejects);
    return {
      kind: 'staged',
      votes,
      progress: {},
      timestamps: {},
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
      async *batches() {
        yield batch;
      },
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
  return {
    types: result.columns.map(({ type }) => type),
    async *batches() {
      try {
        yield* result.batches;
      } finally {
        await result.close();
      }
    },
  };
}

function fieldType(
  columns: readonly { type: SqlType }[],
  sources: readonly ColumnSource[],
  field: number,
): SqlType | undefined {
  const at = sources.findIndex((source) => source.kind === 'field' && source.field === field);
  return columns[at]?.type;
}

/** Texts to the column's type by SQL's CAST; other types are cast by way of their text. */
function convert(column: Column, from: SqlType, to: SqlType, rows: number): Column {
  if (same(from, to)) return column;
  const text = column.kind === 'bytes' ? column : asText(column, from, rows);
  return castTextColumn(text, rows, to, 'cast');
}

function same(a: SqlType, b: SqlType): boolean {
  return (
    a.name === b.name && a.length === b.length && a.precision === b.precision && a.scale === b.scale
  );
}

import { createBuilder } from '../../formats/column-builder.ts';
import { valueText } from '../../formats/value-text.ts';

function asText(column: Column, type: SqlType, rows: number): BytesColumn {
  const builder = createBuilder(VARCHAR, rows);
  for (let row = 0; row < rows; row++) {
    const text = valueText(column, row, type);
    if (text === null) builder.appendNull();
    else builder.appendText(text);
  }
  return builder.finish() as BytesColumn;
}

/** With `enable_insert_strict` a value that does not convert is an error, not a NULL. */
function strictRejects(
  before: ColumnBatch,
  after: readonly Column[],
  fields: readonly { name: string; type: SqlType }[],
  strict: boolean,
): { row: number; column: string; reason: string; rowText: string }[] {
  if (!strict) return [];
  const found: { row: number; column: string; reason: string; rowText: string }[] = [];
  after.forEach((column, i) => {
    const source = before.columns[i];
    const field = fields[i];
    if (column.valid === null || source === undefined || field === undefined) return;
    for (let row = 0; row < before.rows; row++) {
      if (column.valid[row] !== 0 || (source.valid !== null && source.valid[row] === 0)) continue;
      const value = source.kind === 'bytes' ? valueText(source, row, VARCHAR) : '';
      const reason = `Value '${value?.slice(0, 100)}' is out of range. The type of '${field.name}' is ${field.type.name}`;
      found.push({ row, column: field.name, reason, rowText: `[${value?.slice(0, 100)}]` });
    }
  });
  return found;
}
