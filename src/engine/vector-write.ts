/**
 * Rows of our columns into DuckDB's vectors, by the column and not by the value.
 *
 * Numbers are copied as they lie. Texts cost one call a vector: all of them go into the vector's own heap as one value;
 * its address is read back, and the 16-byte heads of the single values are made here to point into it. They live as
 * long as the vector does, as any other text of it.
 */
import { assert } from '../base/assert.ts';
import type { BytesColumn, Column } from '../base/column-batch.ts';
import { LoadError } from '../base/errors.ts';
import type { SqlType } from '../base/sql-type.ts';
import { type RawVector, raw } from './duckdb-raw.ts';

/** A text of up to so many bytes lies in its head. */
const INLINE = 12;
const HEAD = 16;

/** Writes rows `from` to `from + rows` of the column to the front of a vector that was reset. */
export function writeVector(
  vector: RawVector,
  column: Column,
  type: SqlType,
  from: number,
  rows: number,
): void {
  if (column.valid !== null) writeValidity(vector, column.valid, from, rows);
  if (column.kind === 'bytes') {
    writeTexts(vector, column, from, rows);
    return;
  }
  if (type.name === 'DECIMAL' && column.kind === 'i64' && (type.precision ?? 10) <= 9) {
    const narrow = narrowDecimals(column.values, type.precision ?? 10, from, rows);
    raw.copy_data_to_vector(vector, 0, narrow.buffer as ArrayBuffer, 0, narrow.byteLength);
    return;
  }
  const { buffer, byteOffset, BYTES_PER_ELEMENT } = column.values;
  const width = column.kind === 'i128' ? 2 * BYTES_PER_ELEMENT : BYTES_PER_ELEMENT;
  raw.copy_data_to_vector(
    vector,
    0,
    buffer as ArrayBuffer,
    byteOffset + from * width,
    rows * width,
  );
}

/** Makes all rows of the column one list, the only value of a vector that was reset. */
export function writeList(vector: RawVector, column: Column, type: SqlType, rows: number): void {
  raw.list_vector_reserve(vector, rows);
  raw.list_vector_set_size(vector, rows);
  const entry = BigUint64Array.of(0n, BigInt(rows));
  raw.copy_data_to_vector(vector, 0, entry.buffer, 0, entry.byteLength);
  if (rows > 0) writeVector(raw.list_vector_get_child(vector), column, type, 0, rows);
}

/** How many rows from `from` on hold at most `bytesMax` of text, at least one. */
export function rowsWithin(
  columns: readonly Column[],
  from: number,
  rowsMax: number,
  bytesMax: number,
): number {
  let rows = rowsMax;
  for (const column of columns) {
    if (column.kind !== 'bytes') continue;
    const { offsets } = column;
    const start = offsets[from]!;
    while (rows > 1 && offsets[from + rows]! - start > bytesMax) rows = Math.ceil(rows / 2);
  }
  return rows;
}

function writeValidity(vector: RawVector, valid: Uint8Array, from: number, rows: number): void {
  const bits = new Uint8Array(8 * Math.ceil(rows / 64)).fill(0xff);
  let nulls = false;
  for (let i = 0; i < rows; i++) {
    if (valid[from + i] !== 0) continue;
    bits[i >> 3]! &= ~(1 << (i & 7));
    nulls = true;
  }
  if (!nulls) return;
  raw.vector_ensure_validity_writable(vector);
  raw.copy_data_to_vector_validity(vector, 0, bits.buffer, 0, bits.length);
}

/** DuckDB keeps decimals of up to 4 digits in 16 bits, of up to 9 in 32. */
function narrowDecimals(
  values: BigInt64Array,
  precision: number,
  from: number,
  rows: number,
): Int16Array | Int32Array {
  const words = new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
  const narrow = precision <= 4 ? new Int16Array(rows) : new Int32Array(rows);
  for (let i = 0; i < rows; i++) narrow[i] = words[2 * (from + i)]!;
  return narrow;
}

function writeTexts(vector: RawVector, column: BytesColumn, from: number, rows: number): void {
  const { offsets, data } = column;
  const first = offsets[from]!;
  const heads = new Uint32Array((HEAD / 4) * rows);
  const bytes = new Uint8Array(heads.buffer);
  const heap = keepTexts(vector, data.subarray(first, offsets[from + rows]));
  for (let i = 0, start = first; i < rows; i++) {
    const end = offsets[from + i + 1]!;
    const length = end - start;
    const head = 4 * i;
    heads[head] = length;
    const at = HEAD * i + 4;
    if (length <= INLINE) {
      for (let k = 0; k < length; k++) bytes[at + k] = data[start + k]!;
    } else {
      for (let k = 0; k < 4; k++) bytes[at + k] = data[start + k]!;
      const address = heap + (start - first);
      heads[head + 2] = address % 2 ** 32;
      heads[head + 3] = address / 2 ** 32;
    }
    start = end;
  }
  raw.copy_data_to_vector(vector, 0, heads.buffer, 0, heads.byteLength);
}

/** Copies the bytes into the vector's heap and returns where they lie there. */
function keepTexts(vector: RawVector, text: Uint8Array): number {
  if (text.length <= INLINE) return 0;
  raw.vector_assign_string_element_len(vector, 0, text);
  const head = raw.vector_get_data(vector, HEAD);
  const view = new DataView(head.buffer, head.byteOffset, HEAD);
  if (view.getUint32(0, true) !== text.length) {
    throw new LoadError('BAD_TEXT', 'a text is not valid UTF-8');
  }
  const address = Number(view.getBigUint64(8, true));
  assert(address > 0 && address < 2 ** 53, 'an address of this machine');
  return address;
}
