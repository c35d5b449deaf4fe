/**
 * The bytes of a data page (version 1): definition levels, then the values of the rows that are not NULL. Values lie in
 * columns as they lie in the file, so that most pieces are views of columns and nothing is copied.
 *
 *   levels   int32le length, then runs: varint count << 1, the level in one byte; or varint groups << 1 | 1, bits
 *   values   PLAIN, but texts as DELTA_LENGTH_BYTE_ARRAY: all lengths, then all bytes, both copied in one go
 */
import { isUtf8 } from 'node:buffer';
import type { BytesColumn, Column } from '../../base/column-batch.ts';
import { LoadError } from '../../base/errors.ts';
import type { SqlType } from '../../base/sql-type.ts';
import { takeColumn } from '../../formats/column-rows.ts';
import { valueText } from '../../formats/value-text.ts';

export const ENCODING = {
  PLAIN: 0,
  RLE: 3,
  DELTA_LENGTH_BYTE_ARRAY: 6,
  RLE_DICTIONARY: 8,
} as const;

export interface PageValues {
  /** Levels, then values: to be written one after the other. */
  readonly pieces: readonly Uint8Array[];
  readonly encoding: number;
  readonly nulls: number;
}

export function pageValues(column: Column, type: SqlType, rows: number): PageValues {
  const kept = column.valid === null ? null : validRows(column.valid, rows);
  const nulls = kept === null ? 0 : rows - kept.length;
  const levels = nulls === 0 ? levelsOfAll(rows) : levelsOf(column.valid!, rows);
  const dense = nulls === 0 ? column : takeColumn(column, kept!);
  const count = rows - nulls;
  if (dense.kind === 'bytes' || type.name === 'LARGEINT') {
    const texts = dense.kind === 'bytes' ? dense : textsOf(dense, type, count);
    const encoding = ENCODING.DELTA_LENGTH_BYTE_ARRAY;
    return { pieces: [levels, ...lengthsAndBytes(texts, count)], encoding, nulls };
  }
  return { pieces: [levels, plainBytes(dense, type, count)], encoding: ENCODING.PLAIN, nulls };
}

/** Few values that many rows share, by their numbers in a dictionary. */
export function dictionaryValues(numbers: Uint16Array, dictionarySize: number): PageValues {
  const rows = numbers.length;
  const width = dictionarySize <= 256 ? 1 : 2;
  // One run of bits, and whole bytes are bits too. Runs are of eight values.
  const groups = Math.ceil(rows / 8);
  const head = Uint8Array.of(8 * width, ...varint(groups * 2 + 1));
  const values = new Uint8Array(8 * groups * width);
  if (width === 1) values.set(numbers);
  else new Uint16Array(values.buffer).set(numbers);
  const pieces = [levelsOfAll(rows), head, values];
  return { pieces, encoding: ENCODING.RLE_DICTIONARY, nulls: 0 };
}

function validRows(valid: Uint8Array, rows: number): Uint32Array {
  const kept = new Uint32Array(rows);
  let count = 0;
  for (let row = 0; row < rows; row++) if (valid[row] !== 0) kept[count++] = row;
  return kept.subarray(0, count);
}

/** One run of ones. */
function levelsOfAll(rows: number): Uint8Array {
  const run = [...varint(rows * 2), 1];
  return Uint8Array.of(run.length, 0, 0, 0, ...run);
}

function levelsOf(valid: Uint8Array, rows: number): Uint8Array {
  const groups = Math.ceil(rows / 8);
  const head = varint(groups * 2 + 1);
  const bytes = new Uint8Array(4 + head.length + groups);
  new DataView(bytes.buffer).setUint32(0, head.length + groups, true);
  bytes.set(head, 4);
  const from = 4 + head.length;
  for (let row = 0; row < rows; row++) {
    if (valid[row] !== 0) bytes[from + (row >> 3)]! |= 1 << (row & 7);
  }
  return bytes;
}

function plainBytes(column: Exclude<Column, BytesColumn>, type: SqlType, count: number) {
  if (type.name === 'BOOLEAN') {
    const bits = new Uint8Array(Math.ceil(count / 8));
    for (let i = 0; i < count; i++) if (column.values[i] === 1) bits[i >> 3]! |= 1 << (i & 7);
    return bits;
  }
  if (column.kind === 'i8' || column.kind === 'i16') {
    return bytesOf(Int32Array.from(column.values.subarray(0, count)));
  }
  if (column.kind !== 'i128') return bytesOf(column.values.subarray(0, count));
  // Most significant byte first.
  const bytes = new Uint8Array(16 * count);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < count; i++) {
    view.setBigInt64(16 * i, column.values[2 * i + 1]!);
    view.setBigInt64(16 * i + 8, column.values[2 * i]!);
  }
  return bytes;
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function textsOf(column: Column, type: SqlType, count: number): BytesColumn {
  const texts = Array.from({ length: count }, (_, i) => valueText(column, i, type) ?? '');
  const offsets = new Uint32Array(count + 1);
  for (let i = 0; i < count; i++) offsets[i + 1] = offsets[i]! + texts[i]!.length;
  return { kind: 'bytes', valid: null, offsets, data: Buffer.from(texts.join('')) };
}

const BLOCK = 256;
const MINIBLOCKS = 4;
const MINIBLOCK = BLOCK / MINIBLOCKS;

/*
  DELTA_BINARY_PACKED, with widths of whole bytes alone, so that packing is storing:
    varint block size, miniblocks in a block, count of values; zigzag varint first value
    { zigzag varint least delta, a width in bits for each miniblock, the miniblocks: delta − least delta }*
*/
function lengthsAndBytes({ offsets, data }: BytesColumn, count: number): Uint8Array[] {
  const [from, to] = [offsets[0]!, offsets[count]!];
  const text = data.subarray(from, to);
  // A file with another text would not be read at all.
  if (!isUtf8(text)) throw new LoadError('ENGINE_ERROR', 'a text is not valid UTF-8');
  const first = count === 0 ? 0 : offsets[1]! - from;
  const blocks = Math.ceil(Math.max(0, count - 1) / BLOCK);
  const bytes = new Uint8Array(32 + blocks * (16 + 4 * BLOCK));
  const words = new DataView(bytes.buffer);
  let at = 0;
  const put = (value: number) => {
    for (const byte of varint(value)) bytes[at++] = byte;
  };
  put(BLOCK);
  put(MINIBLOCKS);
  put(count);
  put(zigzag(first));
  for (let begin = 1; begin < count; begin += BLOCK) {
    const end = Math.min(count, begin + BLOCK);
    let previous = offsets[begin]! - offsets[begin - 1]!;
    let least = 2 ** 32;
    let most = -(2 ** 32);
    for (let i = begin; i < end; i++) {
      const length = offsets[i + 1]! - offsets[i]!;
      const delta = length - previous;
      previous = length;
      if (delta < least) least = delta;
      if (delta > most) most = delta;
    }
    put(zigzag(least));
    // Miniblocks without values are written with width 0, and so have no bytes.
    const range = most - least;
    const width = range === 0 ? 0 : range < 0x100 ? 8 : range < 0x1_0000 ? 16 : 32;
    const used = Math.ceil((end - begin) / MINIBLOCK);
    for (let i = 0; i < MINIBLOCKS; i++) bytes[at++] = i < used ? width : 0;
    previous = offsets[begin]! - offsets[begin - 1]!;
    for (let i = begin; width > 0 && i < end; i++) {
      const length = offsets[i + 1]! - offsets[i]!;
      const value = length - previous - least;
      previous = length;
      const place = at + ((i - begin) * width) / 8;
      if (width === 8) bytes[place] = value;
      else if (width === 16) words.setUint16(place, value, true);
      else words.setUint32(place, value, true);
    }
    // The last miniblock is whole, whatever stands behind the last value.
    at += (used * MINIBLOCK * width) / 8;
  }
  return [bytes.subarray(0, at), text];
}

const zigzag = (value: number) => (value < 0 ? -2 * value - 1 : 2 * value);

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
  return bytes;
}
