/** What is done with whole columns: joining, cutting, gathering. */
import { assert } from '../base/assert.ts';
import type { Column, ColumnBatch } from '../base/column-batch.ts';
import { allocate, takeTexts, takeValues } from './column-memory.ts';
import { SeenTexts } from './seen-texts.ts';

/** The value of an i128 column. */
export function bigAt(values: BigInt64Array, row: number): bigint {
  return (values[2 * row + 1]! << 64n) | BigInt.asUintN(64, values[2 * row]!);
}

/** Chosen rows in the order given; a row may be named twice. */
export function takeColumn(column: Column, rows: Uint32Array): Column {
  const n = rows.length;
  let valid: Uint8Array | null = null;
  if (column.valid !== null) {
    valid = new Uint8Array(n);
    const from = column.valid;
    for (let i = 0; i < n; i++) valid[i] = from[rows[i]!]!;
    if (!valid.includes(0)) valid = null;
  }
  if (column instanceof SeenTexts) return column.take(rows, valid);
  if (column.kind === 'bytes') return { kind: 'bytes', valid, ...takeTexts(column, rows) };
  const { kind } = column;
  const values = allocate(kind, n);
  takeValues(column.values, values, rows, kind === 'i128' ? 16 : values.BYTES_PER_ELEMENT);
  return { kind, valid, values } as unknown as Column;
}

export function takeRows(batch: ColumnBatch, rows: Uint32Array): ColumnBatch {
  return { rows: rows.length, columns: batch.columns.map((column) => takeColumn(column, rows)) };
}

export function sliceBatch(batch: ColumnBatch, from: number, to: number): ColumnBatch {
  const rows = new Uint32Array(to - from);
  for (let i = 0; i < rows.length; i++) rows[i] = from + i;
  return takeRows(batch, rows);
}

/** One batch of all rows, in order. The batches have the same kinds of columns. */
export function concatBatches(batches: readonly ColumnBatch[]): ColumnBatch {
  const [first] = batches;
  assert(first !== undefined, 'nothing to join');
  if (batches.length === 1) return first;
  const rows = batches.reduce((sum, batch) => sum + batch.rows, 0);
  const columns = first.columns.map((_, i) => {
    const parts = batches.map((batch) => ({ rows: batch.rows, column: batch.columns[i]! }));
    return concatColumns(parts, rows);
  });
  return { rows, columns };
}

function concatColumns(parts: readonly { rows: number; column: Column }[], rows: number): Column {
  const kind = parts[0]!.column.kind;
  assert(
    parts.every(({ column }) => column.kind === kind),
    'joined columns have one kind',
  );
  let valid: Uint8Array | null = null;
  if (parts.some(({ column }) => column.valid !== null)) {
    valid = new Uint8Array(rows).fill(1);
    let at = 0;
    for (const part of parts) {
      if (part.column.valid !== null) valid.set(part.column.valid, at);
      at += part.rows;
    }
  }
  if (kind === 'bytes') {
    const columns = parts.map(({ column }) => column as Extract<Column, { kind: 'bytes' }>);
    const data = new Uint8Array(columns.reduce((sum, column) => sum + column.data.length, 0));
    const offsets = new Uint32Array(rows + 1);
    let at = 0;
    let base = 0;
    for (const column of columns) {
      data.set(column.data, base);
      for (let i = 1; i < column.offsets.length; i++) offsets[at + i] = base + column.offsets[i]!;
      at += column.offsets.length - 1;
      base += column.data.length;
    }
    return { kind, valid, offsets, data };
  }
  const values = allocate(kind, rows) as Float64Array;
  const width = kind === 'i128' ? 2 : 1;
  let at = 0;
  for (const part of parts) {
    values.set((part.column as { values: Float64Array }).values, at * width);
    at += part.rows;
  }
  return { kind, valid, values } as unknown as Column;
}
