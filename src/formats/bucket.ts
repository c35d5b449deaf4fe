/**
 * The bucket of a row (PROTOCOL.md P3): zlib's CRC-32 from 0, folded over the distribution columns in DDL order
 * (semantics.md 6). One function for load, pruning and simulation; never an engine's own hash.
 */
import type { Column } from '../base/column-batch.ts';
import type { SqlType } from '../base/sql-type.ts';
import { valueText } from './value-text.ts';

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc >>> 0;
});

/** For words of four bytes: table k is that of a byte with k more behind it. */
const TABLES = [TABLE];
for (let k = 1; k < 4; k++) {
  const before = TABLES[k - 1]!;
  TABLES.push(before.map((crc) => (crc >>> 8) ^ TABLE[crc & 0xff]!));
}
const [T0, T1, T2, T3] = TABLES as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];

/** `c` is inverted, as it is between bytes. */
function foldWord(c: number, word: number): number {
  const x = c ^ word;
  return T3[x & 0xff]! ^ T2[(x >>> 8) & 0xff]! ^ T1[(x >>> 16) & 0xff]! ^ T0[x >>> 24]!;
}

function fold(crc: number, bytes: Uint8Array, start: number, end: number): number {
  let c = ~crc;
  for (let i = start; i < end; i++) c = TABLE[(c ^ bytes[i]!) & 0xff]! ^ (c >>> 8);
  return ~c >>> 0;
}

const NULL_BYTES = new Uint8Array(4);

/** Bytes of a value in the type's own width. */
function width(type: SqlType): number {
  switch (type.name) {
    case 'BOOLEAN':
    case 'TINYINT':
      return 1;
    case 'SMALLINT':
      return 2;
    case 'INT':
    case 'FLOAT':
      return 4;
    case 'LARGEINT':
      return 16;
    case 'DECIMAL': {
      const precision = type.precision ?? 10;
      return precision <= 9 ? 4 : precision <= 18 ? 8 : 16;
    }
    default:
      return 8;
  }
}

export function bucketOf(
  columns: readonly { readonly column: Column; readonly type: SqlType }[],
  rows: number,
  buckets: number,
): Uint32Array {
  const crcs = new Uint32Array(rows);
  for (const { column, type } of columns) foldColumn(crcs, column, type);
  if (buckets >= 2 ** 32) return crcs;
  // As whole numbers without a sign: else it would be a division of doubles.
  const count = buckets >>> 0;
  for (let row = 0; row < rows; row++) crcs[row] = (crcs[row]! >>> 0) % count;
  return crcs;
}

function foldColumn(crcs: Uint32Array, column: Column, type: SqlType): void {
  const { valid } = column;
  if (column.kind === 'bytes') {
    const { offsets, data } = column;
    for (let row = 0; row < crcs.length; row++) {
      crcs[row] =
        valid !== null && valid[row] === 0
          ? fold(crcs[row]!, NULL_BYTES, 0, 4)
          : fold(crcs[row]!, data, offsets[row]!, offsets[row + 1]!);
    }
    return;
  }
  if (type.name === 'DATE' || type.name === 'DATETIME') {
    for (let row = 0; row < crcs.length; row++) {
      const text = valueText(column, row, type);
      const bytes = text === null ? NULL_BYTES : Buffer.from(text);
      crcs[row] = fold(crcs[row]!, bytes, 0, bytes.length);
    }
    return;
  }
  if (width(type) === 8 && column.kind === 'i64') {
    const words = new Int32Array(column.values.buffer, column.values.byteOffset, 2 * crcs.length);
    for (let row = 0; row < crcs.length; row++) {
      crcs[row] =
        valid !== null && valid[row] === 0
          ? fold(crcs[row]!, NULL_BYTES, 0, 4)
          : ~foldWord(foldWord(~crcs[row]!, words[2 * row]!), words[2 * row + 1]!);
    }
    return;
  }
  const { buffer, byteOffset, BYTES_PER_ELEMENT } = column.values;
  const bytes = new Uint8Array(buffer, byteOffset, column.values.byteLength);
  const stride = column.kind === 'i128' ? 16 : BYTES_PER_ELEMENT;
  // Two's complement, little-endian: the low bytes of a value are the value in the narrower type.
  const length = Math.min(width(type), stride);
  for (let row = 0; row < crcs.length; row++) {
    const at = row * stride;
    crcs[row] =
      valid !== null && valid[row] === 0
        ? fold(crcs[row]!, NULL_BYTES, 0, 4)
        : fold(crcs[row]!, bytes, at, at + length);
  }
}
