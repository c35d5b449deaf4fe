/**
 * The encoding of a column batch (PROTOCOL.md P4): small parts, results, messages.
 *
 *   u32 magic "MRB1" · u32 CRC32C of all that follows · u32 rows · u32 columns, then per column:
 *   u8 kind · u8 has NULLs · u16 zero · u32 bytes of data (kind bytes: of its text, else of its values), then, each
 *   padded to 8 bytes: validity (a byte a row, if it has NULLs), offsets (kind bytes: rows + 1 u32), data.
 *
 * Little-endian, as every machine that runs this is; checked at start.
 */
import { crc32c } from '@node-rs/crc32';
import { assert } from '../base/assert.ts';
import type { Column, ColumnBatch, ColumnKind } from '../base/column-batch.ts';
import { DamageError } from '../base/errors.ts';

const MAGIC = 0x3142524d;
const HEAD = 16;
const COLUMN_HEAD = 8;
const KINDS: readonly ColumnKind[] = ['i8', 'i16', 'i32', 'i64', 'i128', 'f32', 'f64', 'bytes'];
const WIDTHS: Readonly<Record<Exclude<ColumnKind, 'bytes'>, number>> = {
  i8: 1,
  i16: 2,
  i32: 4,
  i64: 8,
  i128: 16,
  f32: 4,
  f64: 8,
};
assert(new Uint8Array(new Uint16Array([1]).buffer)[0] === 1, 'this machine is little-endian');

/** Not by bits: a length that a hostile head claims may pass 32 of them. */
const pad = (length: number) => Math.ceil(length / 8) * 8;

function dataOf(column: Column): Uint8Array {
  if (column.kind === 'bytes') return column.data;
  const { buffer, byteOffset, byteLength } = column.values;
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** The result owns its buffer. */
export function encodeBatch(batch: ColumnBatch): Uint8Array {
  const { rows, columns } = batch;
  let size = HEAD;
  for (const column of columns) {
    size += COLUMN_HEAD + (column.valid === null ? 0 : pad(rows)) + pad(dataOf(column).length);
    if (column.kind === 'bytes') size += pad(4 * (rows + 1));
  }
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(8, rows, true);
  view.setUint32(12, columns.length, true);
  let at = HEAD;
  for (const column of columns) {
    const data = dataOf(column);
    view.setUint8(at, KINDS.indexOf(column.kind));
    view.setUint8(at + 1, column.valid === null ? 0 : 1);
    view.setUint32(at + 4, data.length, true);
    at += COLUMN_HEAD;
    if (column.valid !== null) {
      bytes.set(column.valid, at);
      at += pad(rows);
    }
    if (column.kind === 'bytes') {
      const { buffer, byteOffset, byteLength } = column.offsets;
      bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
      at += pad(4 * (rows + 1));
    }
    bytes.set(data, at);
    at += pad(data.length);
  }
  view.setUint32(4, crc32c(bytes.subarray(8)), true);
  return bytes;
}

function damaged(reason: string): DamageError {
  return new DamageError('COLUMN_CODEC', { reason }, `a column batch is damaged: ${reason}`);
}

/** Columns may lie on the bytes given, which are not to be changed afterwards. */
export function decodeBatch(input: Uint8Array): ColumnBatch {
  if (input.length < HEAD) throw damaged('it is cut short');
  // Typed arrays want their alignment; bytes that came with a message may start anywhere.
  const bytes = input.byteOffset % 8 === 0 ? input : new Uint8Array(input);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(0, true) !== MAGIC) throw damaged('it does not begin as one');
  if (view.getUint32(4, true) !== crc32c(bytes.subarray(8))) throw damaged('its checksum is wrong');
  const rows = view.getUint32(8, true);
  const count = view.getUint32(12, true);
  const columns: Column[] = [];
  let at = HEAD;
  const take = (length: number): number => {
    const from = at;
    at += pad(length);
    if (at > bytes.length) throw damaged('a column is longer than the batch');
    return from;
  };
  for (let i = 0; i < count; i++) {
    const head = take(COLUMN_HEAD);
    const kind = KINDS[view.getUint8(head)];
    if (kind === undefined) throw damaged('a column has an unknown kind');
    const length = view.getUint32(head + 4, true);
    let valid: Uint8Array | null = null;
    if (view.getUint8(head + 1) !== 0) {
      const from = take(rows);
      valid = bytes.subarray(from, from + rows);
    }
    columns.push(decodeColumn(bytes, kind, rows, length, valid, take));
  }
  if (at !== bytes.length) throw damaged('bytes are left over');
  return { rows, columns };
}

function decodeColumn(
  bytes: Uint8Array,
  kind: ColumnKind,
  rows: number,
  length: number,
  valid: Uint8Array | null,
  take: (length: number) => number,
): Column {
  const { buffer, byteOffset } = bytes;
  if (kind === 'bytes') {
    const offsets = new Uint32Array(buffer, byteOffset + take(4 * (rows + 1)), rows + 1);
    const from = take(length);
    if (offsets[0] !== 0 || offsets[rows] !== length) throw damaged('offsets do not fit the data');
    for (let i = 0; i < rows; i++) {
      if (offsets[i]! > offsets[i + 1]!) throw damaged('offsets run backwards');
    }
    return { kind, valid, offsets, data: bytes.subarray(from, from + length) };
  }
  if (length !== rows * WIDTHS[kind]) throw damaged('a column has another length than its rows');
  const start = byteOffset + take(length);
  switch (kind) {
    case 'i8':
      return { kind, valid, values: new Int8Array(buffer, start, rows) };
    case 'i16':
      return { kind, valid, values: new Int16Array(buffer, start, rows) };
    case 'i32':
      return { kind, valid, values: new Int32Array(buffer, start, rows) };
    case 'i64':
      return { kind, valid, values: new BigInt64Array(buffer, start, rows) };
    case 'i128':
      return { kind, valid, values: new BigInt64Array(buffer, start, 2 * rows) };
    case 'f32':
      return { kind, valid, values: new Float32Array(buffer, start, rows) };
    case 'f64':
      return { kind, valid, values: new Float64Array(buffer, start, rows) };
  }
}
