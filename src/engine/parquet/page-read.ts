/** Columns back from the pages that `pageValues` made: one data page, without a dictionary. */
import type { Column } from '../../base/column-batch.ts';
import { columnKind } from '../../base/column-batch.ts';
import type { SqlType } from '../../base/sql-type.ts';
import { ThriftReader } from './thrift-reader.ts';

/** Whose values can be read here: not what was written as something else than its column is. */
export const isReadable = ({ name, precision }: SqlType): boolean =>
  name !== 'LARGEINT' && (name !== 'DECIMAL' || (precision ?? 10) <= 18);

/** Bytes of a value, where every value has as many and lies as it is; undefined: texts and bits. */
export function plainWidth(type: SqlType): number | undefined {
  if (type.name === 'BOOLEAN' || !isReadable(type)) return undefined;
  switch (columnKind(type)) {
    case 'bytes':
      return undefined;
    case 'i64':
    case 'f64':
      return 8;
    default:
      return 4;
  }
}

/** Values without a NULL among them: `bytes` are theirs alone, at an address that their type may have. */
export function plainColumn(bytes: Uint8Array, type: SqlType): Column {
  const { buffer, byteOffset } = bytes;
  const words = () => new Int32Array(buffer, byteOffset, bytes.length / 4);
  switch (columnKind(type)) {
    case 'i8':
      return { kind: 'i8', valid: null, values: Int8Array.from(words()) };
    case 'i16':
      return { kind: 'i16', valid: null, values: Int16Array.from(words()) };
    case 'i32':
      return { kind: 'i32', valid: null, values: words() };
    case 'f32':
      return {
        kind: 'f32',
        valid: null,
        values: new Float32Array(buffer, byteOffset, bytes.length / 4),
      };
    case 'f64':
      return {
        kind: 'f64',
        valid: null,
        values: new Float64Array(buffer, byteOffset, bytes.length / 8),
      };
    default:
      return {
        kind: 'i64',
        valid: null,
        values: new BigInt64Array(buffer, byteOffset, bytes.length / 8),
      };
  }
}

/** A whole page of a readable type. */
export function pageColumn(bytes: Uint8Array, type: SqlType, rows: number, nulls: number): Column {
  const head = pageHead(bytes);
  const from = valuesAt(bytes);
  const dense = denseColumn(bytes.subarray(from), type, rows - nulls);
  return nulls === 0 ? dense : spread(dense, validOf(bytes.subarray(head + 4, from), rows), rows);
}

/** Where the levels begin: their length, then they. */
function pageHead(bytes: Uint8Array): number {
  const head = new ThriftReader(bytes);
  head.struct(() => false);
  return head.at;
}

function valuesAt(bytes: Uint8Array): number {
  const head = pageHead(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return head + 4 + view.getUint32(head, true);
}

function denseColumn(bytes: Uint8Array, type: SqlType, count: number): Column {
  if (columnKind(type) === 'bytes') return textColumn(bytes, count);
  if (type.name !== 'BOOLEAN') return plainColumn(bytes.slice(), type);
  const values = new Int8Array(count);
  for (let i = 0; i < count; i++) values[i] = (bytes[i >> 3]! >> (i & 7)) & 1;
  return { kind: 'i8', valid: null, values };
}

/** One run of bits. */
function validOf(levels: Uint8Array, rows: number): Uint8Array {
  const head = new ThriftReader(levels);
  head.varint();
  const valid = new Uint8Array(rows);
  for (let i = 0; i < rows; i++) valid[i] = (levels[head.at + (i >> 3)]! >> (i & 7)) & 1;
  return valid;
}

/** The values to the rows that have one. */
function spread(dense: Column, valid: Uint8Array, rows: number): Column {
  if (dense.kind === 'bytes') {
    const offsets = new Uint32Array(rows + 1);
    for (let row = 0, i = 0; row < rows; row++) {
      if (valid[row] === 1) i += 1;
      offsets[row + 1] = dense.offsets[i]!;
    }
    return { kind: 'bytes', valid, offsets, data: dense.data };
  }
  const values = new (dense.values.constructor as Float64ArrayConstructor)(rows);
  const from = dense.values as Float64Array;
  for (let row = 0, i = 0; row < rows; row++) if (valid[row] === 1) values[row] = from[i++]!;
  return { ...dense, valid, values } as Column;
}

/** Where the lengths of a text page can be read on: every so many values. */
export interface TextMarks {
  readonly block: number;
  readonly miniblocks: number;
  /** Values between two marks: the first is at value 1, as value 0 stands in the head. */
  readonly step: number;
  /** In the page. */
  readonly textsAt: number;
  readonly marks: readonly TextMark[];
}

interface TextMark {
  /** Of the block of lengths, in the page. */
  readonly at: number;
  /** Of the text before. */
  readonly length: number;
  /** Of this text among all texts. */
  readonly offset: number;
}

/** Blocks of lengths between two marks. */
const MARK_BLOCKS = 8;

/** DELTA_LENGTH_BYTE_ARRAY: see `pageValues`; widths are whole bytes. */
function textColumn(bytes: Uint8Array, count: number): Column {
  return readTexts(bytes, count).column;
}

/** Of a page without NULLs: also where to read on another time. */
export function markedTexts(
  page: Uint8Array,
  rows: number,
): { readonly column: Column; readonly marks: TextMarks } {
  const from = valuesAt(page);
  const { column, marks } = readTexts(page.subarray(from), rows);
  const moved = marks.marks.map(({ at, ...rest }) => ({ ...rest, at: from + at }));
  return { column, marks: { ...marks, marks: moved, textsAt: from + marks.textsAt } };
}

function readTexts(bytes: Uint8Array, count: number): { column: Column; marks: TextMarks } {
  const head = new ThriftReader(bytes);
  const block = head.varint();
  const miniblocks = head.varint();
  head.varint();
  const offsets = new Uint32Array(count + 1);
  const step = MARK_BLOCKS * block;
  const marks: TextMark[] = [];
  let length = head.int();
  let at = head.at;
  if (count > 0) offsets[1] = length;
  for (let first = 1; first < count; first += step) {
    marks.push({ at, length, offset: offsets[first]! });
    const end = Math.min(count, first + step);
    ({ at, length } = readLengths(bytes, { at, length, block, miniblocks }, offsets, first, end));
  }
  const data = bytes.subarray(at);
  const column = { kind: 'bytes', valid: null, offsets, data } as const;
  return { column, marks: { block, miniblocks, step, textsAt: at, marks } };
}

/** The texts from a mark to the next; `lengths` are the bytes from the one to the other. */
export function textsFrom(
  { block, miniblocks, step, marks }: TextMarks,
  index: number,
  count: number,
  lengths: Uint8Array,
): Uint32Array {
  const rows = Math.min(step, count - 1 - index * step);
  const offsets = new Uint32Array(rows + 1);
  const { length } = marks[index]!;
  readLengths(lengths, { at: 0, length, block, miniblocks }, offsets, 0, rows);
  return offsets;
}

interface LengthsFrom {
  readonly at: number;
  readonly length: number;
  readonly block: number;
  readonly miniblocks: number;
}

/** The ends of values `first` to `end`, blocks from the first on; where the next block is, and the last length. */
function readLengths(
  bytes: Uint8Array,
  from: LengthsFrom,
  offsets: Uint32Array,
  first: number,
  end: number,
): { at: number; length: number } {
  const { block, miniblocks } = from;
  const size = block / miniblocks;
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let { at, length } = from;
  let offset = offsets[first]!;
  for (let begin = first; begin < end; begin += block) {
    const head = new ThriftReader(bytes, at);
    const least = head.int();
    const widths = head.at;
    at = head.at + miniblocks;
    for (let k = 0; k < miniblocks; k++) {
      const from = begin + k * size;
      const to = Math.min(end, from + size);
      const step = bytes[widths + k]! / 8;
      for (let i = from, place = at; i < to; i++, place += step) {
        length += least;
        if (step === 1) length += bytes[place]!;
        else if (step === 2) length += words.getUint16(place, true);
        else if (step === 4) length += words.getUint32(place, true);
        offset += length;
        offsets[i + 1] = offset;
      }
      at += step * size;
    }
  }
  return { at, length };
}
