/** What the table sink checks of every row (semantics.md 3.8, sink texts). */
import {
  type Column,
  type ColumnBatch,
  type I64Column,
  type I128Column,
  isNull,
} from '../base/column-batch.ts';
import { typeLabel } from '../base/sql-type.ts';
import type { TableSchema } from '../base/table-schema.ts';
import { bigAt, takeRows } from '../formats/column-builder.ts';
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
    kept = new Uint32Array(selected);
    let count = 0;
    for (let i = 0; i < selected; i++) {
      const row = chosen === null ? i : chosen[i]!;
      const bad = suspects[row] === 1 ? firstFault(schema, batch, row) : undefined;
      if (bad === undefined) kept[count++] = row;
      else if (rejected++ < REJECT_TEXTS) {
        const texts = schema.columns.map(
          (c, k) => valueText(batch.columns[k]!, row, c.type) ?? 'NULL',
        );
        const rowText = `[${texts.join(', ')}]`.slice(0, 1024);
        rejects.push({ row: inputRow(row), ...bad, rowText });
      }
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

/** Column by column, without a look at what cannot be wrong: rows that may have a fault, or `undefined` for none. */
function suspectRows({ columns }: TableSchema, batch: ColumnBatch): Uint8Array | undefined {
  let suspects: Uint8Array | undefined;
  for (let i = 0; i < columns.length; i++) {
    const { type, nullable } = columns[i]!;
    const column = batch.columns[i]!;
    if (!nullable && column.valid !== null) {
      suspects = withNulls(column.valid, batch.rows, suspects);
    }
    if (column.kind === 'bytes' && type.name !== 'JSON') {
      suspects = withLong(column.offsets, type.length ?? 1, batch.rows, suspects);
    } else if (type.name === 'DECIMAL' && (column.kind === 'i64' || column.kind === 'i128')) {
      suspects = withLarge(column, type.precision ?? 10, batch.rows, suspects);
    }
  }
  return suspects;
}

function withNulls(valid: Uint8Array, rows: number, found: Uint8Array | undefined) {
  let suspects = found;
  for (let row = 0; row < rows; row++) {
    if (valid[row] !== 0) continue;
    suspects ??= new Uint8Array(rows);
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

function firstFault(
  schema: TableSchema,
  batch: ColumnBatch,
  row: number,
): { column: string; reason: string } | undefined {
  for (let i = 0; i < schema.columns.length; i++) {
    const reason = faultOf(schema, i, batch.columns[i]!, row);
    if (reason !== undefined) return { column: schema.columns[i]!.name, reason };
  }
  return undefined;
}

function faultOf(schema: TableSchema, i: number, column: Column, row: number): string | undefined {
  const { name, type, nullable } = schema.columns[i]!;
  if (isNull(column, row))
    return nullable ? undefined : `NULL value in non-nullable column '${name}'`;
  if (column.kind === 'bytes' && type.name !== 'JSON') {
    const length = column.offsets[row + 1]! - column.offsets[row]!;
    const max = type.length ?? 1;
    if (length <= max) return undefined;
    return `String '${(valueText(column, row, type) ?? '').slice(0, 100)}...'(length=${length}) is too long. The max length of '${name}' is ${max}`;
  }
  if (type.name === 'DECIMAL' && (column.kind === 'i64' || column.kind === 'i128')) {
    const value = column.kind === 'i64' ? column.values[row]! : bigAt(column.values, row);
    const max = 10n ** BigInt(type.precision ?? 10);
    if (value >= max || value <= -max)
      return `Decimal '${valueText(column, row, type)}' is out of range. The type of '${name}' is ${typeLabel(type)}'`;
  }
  return undefined;
}
