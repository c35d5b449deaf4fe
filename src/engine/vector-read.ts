/** DuckDB's vectors as our columns, by the column and not by the value. */
import type { Column, ColumnBatch } from '../base/column-batch.ts';
import { type RawChunk, type RawVector, raw } from './duckdb-raw.ts';

/** How a column of a chunk lies in memory, and what is made of it. */
export type VectorForm =
  | 'i8'
  | 'i16'
  | 'i32'
  | 'i64'
  | 'i128'
  | 'f32'
  | 'f64'
  | 'bytes'
  /** DECIMAL of up to 4 and up to 9 digits: 16 and 32 bits there, 64 here. */
  | 'i16→i64'
  | 'i32→i64';

const INLINE = 12;
const HEAD = 16;
/**
 * Texts that lie so close are fetched by one call. It is far below a page of memory, so what lies between two texts
 * belongs to a page of one of them.
 */
const GAP = 256;

export function readChunk(chunk: RawChunk, forms: readonly VectorForm[]): ColumnBatch {
  const rows = raw.data_chunk_get_size(chunk);
  const columns = forms.map((form, i) =>
    readVector(raw.data_chunk_get_vector(chunk, i), form, rows),
  );
  return { rows, columns };
}

export function readVector(vector: RawVector, form: VectorForm, rows: number): Column {
  const valid = readValidity(vector, rows);
  if (form === 'bytes') return readTexts(vector, rows, valid);
  const at = (width: number) => {
    const bytes = raw.vector_get_data(vector, rows * width);
    // What lies under a NULL is 0 with us, whatever DuckDB left there.
    for (let i = valid?.indexOf(0) ?? -1; i >= 0; i = valid!.indexOf(0, i + 1)) {
      bytes.fill(0, i * width, (i + 1) * width);
    }
    return bytes;
  };
  switch (form) {
    case 'i8': {
      const bytes = at(1);
      return { kind: 'i8', valid, values: new Int8Array(bytes.buffer, bytes.byteOffset, rows) };
    }
    case 'i16':
      return { kind: 'i16', valid, values: new Int16Array(...span(at(2), rows)) };
    case 'i32':
      return { kind: 'i32', valid, values: new Int32Array(...span(at(4), rows)) };
    case 'i64':
      return { kind: 'i64', valid, values: new BigInt64Array(...span(at(8), rows)) };
    case 'i128':
      return { kind: 'i128', valid, values: new BigInt64Array(...span(at(16), 2 * rows)) };
    case 'f32':
      return { kind: 'f32', valid, values: new Float32Array(...span(at(4), rows)) };
    case 'f64':
      return { kind: 'f64', valid, values: new Float64Array(...span(at(8), rows)) };
    case 'i16→i64':
      return { kind: 'i64', valid, values: widen(new Int16Array(...span(at(2), rows))) };
    case 'i32→i64':
      return { kind: 'i64', valid, values: widen(new Int32Array(...span(at(4), rows))) };
  }
}

function span(bytes: Uint8Array, length: number): [ArrayBuffer, number, number] {
  return [bytes.buffer as ArrayBuffer, bytes.byteOffset, length];
}

function widen(narrow: Int16Array | Int32Array): BigInt64Array {
  const wide = new BigInt64Array(narrow.length);
  const words = new Int32Array(wide.buffer);
  for (let i = 0; i < narrow.length; i++) {
    words[2 * i] = narrow[i]!;
    words[2 * i + 1] = narrow[i]! >> 31;
  }
  return wide;
}

function readValidity(vector: RawVector, rows: number): Uint8Array | null {
  const bits = raw.vector_get_validity(vector, 8 * Math.ceil(rows / 64)) as Uint8Array | null;
  if (bits === null) return null;
  let valid: Uint8Array | null = null;
  for (let byte = 0; 8 * byte < rows; byte++) {
    if (bits[byte] === 0xff) continue;
    const end = Math.min(rows, 8 * byte + 8);
    for (let i = 8 * byte; i < end; i++) {
      if (((bits[byte]! >> (i & 7)) & 1) !== 0) continue;
      valid ??= new Uint8Array(rows).fill(1);
      valid[i] = 0;
    }
  }
  return valid;
}

function readTexts(vector: RawVector, rows: number, valid: Uint8Array | null): Column {
  const bytes = raw.vector_get_data(vector, rows * HEAD);
  const heads = new Uint32Array(...span(bytes, (rows * HEAD) / 4));
  const offsets = new Uint32Array(rows + 1);
  let total = 0;
  for (let i = 0; i < rows; i++) {
    if (valid === null || valid[i] === 1) total += heads[4 * i]!;
    offsets[i + 1] = total;
  }
  const data = new Uint8Array(total);
  for (let i = 0; i < rows; ) {
    const length = offsets[i + 1]! - offsets[i]!;
    if (length <= INLINE) {
      const at = HEAD * i + 4;
      for (let k = 0, to = offsets[i]!; k < length; k++) data[to + k] = bytes[at + k]!;
      i += 1;
    } else {
      i = readRun(bytes, heads, offsets, data, i);
    }
  }
  return { kind: 'bytes', valid, offsets, data };
}

/** Long texts from row `first` on that lie close to each other, by one call; returns the row after them. */
function readRun(
  bytes: Uint8Array,
  heads: Uint32Array,
  offsets: Uint32Array,
  data: Uint8Array,
  first: number,
): number {
  const rows = offsets.length - 1;
  const start = addressAt(heads, first);
  let end = start + offsets[first + 1]! - offsets[first]!;
  let last = first + 1;
  for (; last < rows; last++) {
    const length = offsets[last + 1]! - offsets[last]!;
    if (length === 0) continue;
    if (length <= INLINE) break;
    const address = addressAt(heads, last);
    if (address < start || address - end > GAP) break;
    if (address < end && address + length > end) break;
    end = Math.max(end, address + length);
  }
  const found = raw.get_data_from_pointer(
    bytes.buffer as ArrayBuffer,
    bytes.byteOffset + HEAD * first + 8,
    end - start,
  );
  // What is adjacent there as well as here is one copy.
  for (let row = first; row < last; ) {
    const at = offsets[row]!;
    let to = offsets[row + 1]!;
    if (to === at) {
      row += 1;
      continue;
    }
    const from = addressAt(heads, row) - start;
    for (row += 1; row < last && addressAt(heads, row) - start === from + to - at; row++)
      to = offsets[row + 1]!;
    copy(found, from, data, at, to - at);
  }
  return last;
}

function addressAt(heads: Uint32Array, row: number): number {
  return heads[4 * row + 3]! * 2 ** 32 + heads[4 * row + 2]!;
}

/** Short texts byte by byte: a view for each of them costs more. */
function copy(from: Uint8Array, at: number, to: Uint8Array, start: number, length: number): void {
  if (length < 64) for (let k = 0; k < length; k++) to[start + k] = from[at + k]!;
  else to.set(from.subarray(at, at + length), start);
}
