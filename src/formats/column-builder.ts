/** Growing columns. */
import { assert } from '../base/assert.ts';
import {
  type Column,
  type ColumnBatch,
  type ColumnKind,
  columnKind,
  NUMBER_OTHER,
} from '../base/column-batch.ts';
import type { SqlType } from '../base/sql-type.ts';
import { allocate, type Values } from './column-memory.ts';
import { SeenTexts } from './seen-texts.ts';

const LOW_64 = (1n << 64n) - 1n;

/**
 * One column in the making. The caller appends what fits the kind; a wrong call is a mistake of ours.
 *
 * The readers of messages write into the arrays themselves, as a call per value would cost more than the value. They
 * reserve rows first and keep `rows`, `end` and `offsets` true. A row has a value unless `appendNull` said that it has none.
 */
export class ColumnBuilder {
  readonly kind: ColumnKind;
  rows = 0;
  /** The values by words of 32 bits (kinds i32, i64, i128), and as doubles (f64): views of the same memory. */
  words: Int32Array;
  doubles: Float64Array;
  offsets: Uint32Array;
  data: Uint8Array;
  /** Of `data`, for those who copy by the word. */
  view: DataView;
  /** Of the texts in `data`. */
  end = 0;
  /** Kind bytes, once `seeNumbers` was called: SeenNumbers in the making, as long as there is room for rows. */
  numbers: Float64Array | undefined;
  forms: Uint8Array | undefined;
  #values: Values;
  /** Absent while no row was NULL. */
  #valid: Uint8Array | undefined;
  #nulls = 0;
  #capacity: number;

  /** `dataBytes`: of the texts that are expected (kind bytes). */
  constructor(kind: ColumnKind, capacity: number, dataBytes = capacity * 16) {
    this.kind = kind;
    this.#values = allocate(kind, capacity);
    this.words = wordsOf(this.#values);
    this.doubles = doublesOf(this.#values);
    this.#capacity = capacity;
    this.offsets = new Uint32Array(kind === 'bytes' ? capacity + 1 : 0);
    this.data = new Uint8Array(kind === 'bytes' ? dataBytes : 0);
    this.view = new DataView(this.data.buffer);
  }

  /** Room for so many more rows. */
  reserve(rows: number): void {
    if (this.rows + rows > this.#capacity) this.#growRows(this.rows + rows);
  }

  /** Room for so many more bytes of text. */
  reserveData(length: number): void {
    if (this.end + length > this.data.length) this.#growData(length);
  }

  /** From here on the caller may say which number a row's text is. */
  seeNumbers(): void {
    this.numbers = new Float64Array(this.#capacity);
    this.forms = new Uint8Array(this.#capacity);
  }

  appendNull(): void {
    const row = this.#grow();
    this.#valid ??= new Uint8Array(this.#capacity).fill(1);
    this.#valid[row] = 0;
    this.#nulls += 1;
    if (this.kind === 'bytes') this.offsets[row + 1] = this.end;
    else if (this.kind === 'i64' || this.kind === 'i128') {
      const width = this.kind === 'i64' ? 2 : 4;
      for (let word = 0; word < width; word++) this.words[width * row + word] = 0;
    } else (this.#values as Float64Array)[row] = 0;
  }

  /** i8, i16, i32 */
  appendInt(value: number): void {
    // The row first: growing puts another array in place.
    const row = this.#grow();
    (this.#values as Int32Array)[row] = value;
  }

  /** i64, i128 */
  appendBig(value: bigint): void {
    const row = this.#grow();
    const words = this.#values as BigInt64Array;
    if (this.kind === 'i64') words[row] = value;
    else {
      words[2 * row] = BigInt.asIntN(64, value & LOW_64);
      words[2 * row + 1] = value >> 64n;
    }
  }

  /** i64, i128: a whole number that a double holds exactly, without a bigint for it. */
  appendWhole(value: number): void {
    const row = this.#grow();
    const high = Math.floor(value / 2 ** 32);
    const at = this.kind === 'i64' ? 2 * row : 4 * row;
    this.words[at] = value - high * 2 ** 32;
    this.words[at + 1] = high;
    if (this.kind === 'i128') {
      this.words[at + 2] = high >> 31;
      this.words[at + 3] = high >> 31;
    }
  }

  /** f32, f64 */
  appendDouble(value: number): void {
    const row = this.#grow();
    (this.#values as Float64Array)[row] = value;
  }

  appendBytes(bytes: Uint8Array, start = 0, end = bytes.length): void {
    const row = this.#grow();
    const length = end - start;
    if (this.end + length > this.data.length) this.#growData(length);
    if (length < 24) {
      for (let i = start, at = this.end; i < end; i++, at++) this.data[at] = bytes[i]!;
    } else {
      this.data.set(bytes.subarray(start, end), this.end);
    }
    this.end += length;
    this.offsets[row + 1] = this.end;
  }

  appendText(text: string): void {
    this.appendBytes(Buffer.from(text, 'utf8'));
  }

  /** Takes back what was appended beyond so many rows. */
  truncate(rows: number): void {
    for (let row = rows; row < this.rows && this.#nulls > 0; row++) {
      if (this.#valid![row] !== 0) continue;
      this.#valid![row] = 1;
      this.#nulls -= 1;
    }
    if (rows < this.rows) this.forms?.fill(NUMBER_OTHER, rows, this.rows);
    this.rows = Math.min(rows, this.rows);
    if (this.kind === 'bytes') this.end = this.offsets[this.rows] ?? 0;
  }

  /** The column; the builder is not to be used afterwards. */
  finish(): Column {
    const { rows } = this;
    const valid = this.#nulls === 0 ? null : fitting(this.#valid!, rows);
    if (this.kind === 'bytes') {
      const offsets = fitting(this.offsets, rows + 1);
      const texts = { kind: 'bytes', valid, offsets, data: fitting(this.data, this.end) } as const;
      if (this.numbers === undefined || this.forms === undefined) return texts;
      const numbers = { values: fitting(this.numbers, rows), forms: fitting(this.forms, rows) };
      return new SeenTexts(valid, numbers, texts);
    }
    const words = this.kind === 'i128' ? 2 * rows : rows;
    return { kind: this.kind, valid, values: fitting(this.#values, words) } as Column;
  }

  #grow(): number {
    const row = this.rows++;
    if (row >= this.#capacity) this.#growRows(row + 1);
    return row;
  }

  #growRows(needed: number): void {
    const capacity = Math.max(64, needed, this.#capacity * 2);
    this.#capacity = capacity;
    if (this.#valid !== undefined) {
      const valid = new Uint8Array(capacity);
      valid.set(this.#valid);
      valid.fill(1, this.#valid.length);
      this.#valid = valid;
    }
    if (this.kind === 'bytes') {
      const offsets = new Uint32Array(capacity + 1);
      offsets.set(this.offsets);
      this.offsets = offsets;
      const { numbers, forms } = this;
      if (numbers !== undefined && forms !== undefined) {
        this.seeNumbers();
        this.numbers?.set(numbers);
        this.forms?.set(forms);
      }
      return;
    }
    const values = allocate(this.kind, capacity);
    (values as Float64Array).set(this.#values as Float64Array);
    this.#values = values;
    this.words = wordsOf(values);
    this.doubles = doublesOf(values);
  }

  #growData(length: number): void {
    const needed = this.end + length;
    assert(needed < 2 ** 32, 'a column holds less than 4 GiB');
    const data = new Uint8Array(Math.max(1024, needed, this.data.length * 2));
    data.set(this.data.subarray(0, this.end));
    this.data = data;
    this.view = new DataView(data.buffer);
  }
}

function wordsOf(values: Values): Int32Array {
  return new Int32Array(values.buffer, 0, Math.floor(values.byteLength / 4));
}

function doublesOf(values: Values): Float64Array {
  return values instanceof Float64Array ? values : new Float64Array(0);
}

/** A view where little memory would be held for nothing, else a copy. */
function fitting<T extends Values | Uint8Array | Uint32Array>(array: T, length: number): T {
  const isNearly = length >= array.length * 0.75;
  return (isNearly ? array.subarray(0, length) : array.slice(0, length)) as T;
}

export function createBuilder(type: SqlType, capacity = 1024, dataBytes?: number): ColumnBuilder {
  return new ColumnBuilder(columnKind(type), capacity, dataBytes);
}

export function emptyBatch(types: readonly SqlType[]): ColumnBatch {
  return { rows: 0, columns: types.map((type) => createBuilder(type, 0).finish()) };
}
