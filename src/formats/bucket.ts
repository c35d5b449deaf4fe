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
  for (let row = 0; row < rows; row++) crcs[row] = crcs[row]! % buckets;
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
