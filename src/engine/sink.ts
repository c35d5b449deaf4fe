/** What the table sink checks of every row (semantics.md 3.8, sink texts). */
import {
  type Column,
  type ColumnBatch,
  type I64Column,
  type I128Column,
  isNull,
} from '../base/column-batch.ts';
import { type SqlType, typeLabel } from '../base/sql-type.ts';
import type { ColumnDef, TableSchema } from '../base/table-schema.ts';
import { bigAt, takeRows } from '../formats/column-rows.ts';
import { valueText } from '../formats/value-text.ts';
import type { TransformOutput, TransformReject } from './engine.types.ts';

export const REJECT_TEXTS = 50;

/**
 * `chosen`: the rows that WHERE left, null for all; the others are not looked at. `origin`: row of the batch → row of the input,
 * null for the same. What is left out by either is left out in one copy.
 */
export function checkSink(
  schema: TableSchema,
  batch: ColumnBatch,
  chosen: Uint32Array | null,
  origin: Uint32Array | null,
): TransformOutput {
  const selected = chosen?.length ?? batch.rows;
  const unselected = batch.rows - selected;
  const inputRow = (row: number) => (origin === null ? row : origin[row]!);
  const suspects = suspectRows(schema, batch);
  const rejects: TransformReject[] = [];
  let rejected = 0;
  let kept = chosen;
  if (suspects !== undefined) {
    for (let row = suspects.indexOf(1); row >= 0; row = suspects.indexOf(1, row + 1)) {
      if (firstFault(schema, batch, row) < 0) suspects[row] = 0;
    }
    kept = new Uint32Array(selected);
    let count = 0;
    for (let i = 0; i < selected; i++) {
      const row = chosen === null ? i : chosen[i]!;
      kept[count] = row;
      if (suspects[row] === 0) count += 1;
      else if (rejected++ < REJECT_TEXTS) rejects.push(rejectOf(schema, batch, row, inputRow(row)));
    }
    kept = count === batch.rows ? null : kept.subarray(0, count);
  }
  return {
    batch: kept === null ? batch : takeRows(batch, kept),
    inputRow: kept === null || origin === null ? (kept ?? origin) : kept.map(inputRow),
    unselected,
    rejects,
    rejected,
  };
}

function rejectOf(
  schema: TableSchema,
  batch: ColumnBatch,
  row: number,
  inputRow: number,
): TransformReject {
  const { columns } = schema;
  const column = firstFault(schema, batch, row);
  const texts = columns.map(({ type }, i) => valueText(batch.columns[i]!, row, type) ?? 'NULL');
  const reason = reasonOf(columns[column]!, batch.columns[column]!, row);
  const rowText = `[${texts.join(', ')}]`.slice(0, 1024);
  return { row: inputRow, column: columns[column]!.name, reason, rowText };
}

/** Column by column, without a look at what cannot be wrong: rows that may have a fault, or `undefined` for none. */
function suspectRows({ columns }: TableSchema, batch: ColumnBatch): Uint8Array | undefined {
  let suspects: Uint8Array | undefined;
  for (let i = 0; i < columns.length; i++) {
    const { type, nullable } = columns[i]!;
    const column = batch.columns[i]!;
    if (!nullable && column.valid !== null) {
      suspects = withNulls(column.valid, suspects);
    }
    if (column.kind === 'bytes' && type.name !== 'JSON') {
      suspects = withLong(column.offsets, maxLength(type), batch.rows, suspects);
    } else if (type.name === 'DECIMAL' && (column.kind === 'i64' || column.kind === 'i128')) {
      suspects = withLarge(column, type.precision ?? 10, batch.rows, suspects);
    }
  }
  return suspects;
}

function withNulls(valid: Uint8Array, found: Uint8Array | undefined) {
  let suspects = found;
  for (let row = valid.indexOf(0); row >= 0; row = valid.indexOf(0, row + 1)) {
    suspects ??= new Uint8Array(valid.length);
    suspects[row] = 1;
  }
  return suspects;
}

function withLong(offsets: Uint32Array, max: number, rows: number, found: Uint8Array | undefined) {
  let suspects = found;
  let start = offsets[0]!;
  for (let row = 0; row < rows; row++) {
    const end = offsets[row + 1]!;
    if (end - start > max) {
      suspects ??= new Uint8Array(rows);
      suspects[row] = 1;
    }
    start = end;
  }
  return suspects;
}

/** As a double, and with room for its rounding: what is near the limit is looked at exactly. */
function withLarge(
  { kind, values }: I64Column | I128Column,
  precision: number,
  rows: number,
  found: Uint8Array | undefined,
) {
  let suspects = found;
  const max = 10 ** precision * (1 - 1e-9);
  const width = kind === 'i64' ? 2 : 4;
  const { buffer, byteOffset, byteLength } = values;
  const low = new Uint32Array(buffer, byteOffset, byteLength / 4);
  const high = new Int32Array(buffer, byteOffset, byteLength / 4);
  for (let row = 0; row < rows; row++) {
    let value = high[width * row + width - 1]!;
    for (let word = width - 2; word >= 0; word--)
      value = value * 2 ** 32 + low[width * row + word]!;
    if (Math.abs(value) < max) continue;
    suspects ??= new Uint8Array(rows);
    suspects[row] = 1;
  }
  return suspects;
}

/** The first column that the table does not take of this row; −1: it takes them all. */
function firstFault({ columns }: TableSchema, batch: ColumnBatch, row: number): number {
  for (let i = 0; i < columns.length; i++) {
    if (isFault(columns[i]!, batch.columns[i]!, row)) return i;
  }
  return -1;
}

function isFault({ type, nullable }: ColumnDef, column: Column, row: number): boolean {
  if (isNull(column, row)) return !nullable;
  if (column.kind === 'bytes')
    return (
      type.name !== 'JSON' && column.offsets[row + 1]! - column.offsets[row]! > maxLength(type)
    );
  if (type.name !== 'DECIMAL' || (column.kind !== 'i64' && column.kind !== 'i128')) return false;
  const value = column.kind === 'i64' ? column.values[row]! : bigAt(column.values, row);
  const max = 10n ** BigInt(type.precision ?? 10);
  return value >= max || value <= -max;
}

function reasonOf({ name, type }: ColumnDef, column: Column, row: number): string {
  if (isNull(column, row)) return `NULL value in non-nullable column '${name}'`;
  const text = valueText(column, row, type) ?? '';
  if (column.kind === 'bytes') {
    const length = column.offsets[row + 1]! - column.offsets[row]!;
    return `String '${text.slice(0, 100)}...'(length=${length}) is too long. The max length of '${name}' is ${maxLength(type)}`;
  }
  return `Decimal '${text}' is out of range. The type of '${name}' is ${typeLabel(type)}'`;
}

const maxLength = (type: SqlType): number => type.length ?? 1;
