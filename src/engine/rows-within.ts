/** The rows of a column whose values lie within one of some spans: those of NULL do not, NaN may lie anywhere. */
import type { Column } from '../base/column-batch.ts';

/** Both ends included. */
export type Span = readonly [low: number, high: number];

/**
 * In their order. Values of 64 bits and the ends of spans are rounded to doubles in the same way, which keeps their order:
 * a row too many may come, none is missing.
 */
export function rowsWithin(column: Column, spans: readonly Span[], rows: number): Uint32Array {
  const found = new Found(rows);
  const scan = scanOf(column);
  for (const [low, high] of spans) scan(low, high, found);
  const { valid } = column;
  const picked = found.rows();
  return valid === null ? picked : picked.filter((row) => valid[row] === 1);
}

class Found {
  readonly count: number;
  readonly #marks: Uint8Array;
  readonly #rows: number[] = [];

  constructor(count: number) {
    this.count = count;
    this.#marks = new Uint8Array(count);
  }

  add(row: number): void {
    if (this.#marks[row] === 1) return;
    this.#marks[row] = 1;
    this.#rows.push(row);
  }

  rows(): Uint32Array {
    return Uint32Array.from(this.#rows).sort();
  }
}

type Scan = (low: number, high: number, found: Found) => void;

/** One function for each kind of array, as in value-range.ts. */
function scanOf(column: Column): Scan {
  switch (column.kind) {
    case 'i64': {
      const { values } = column;
      const words = new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
      return (low, high, found) => wide(words, low, high, found);
    }
    case 'f64':
      return (low, high, found) => doubles(column.values, low, high, found);
    case 'i32':
      return (low, high, found) => ints(column.values, low, high, found);
    case 'i8':
    case 'i16': {
      const values = Int32Array.from(column.values);
      return (low, high, found) => ints(values, low, high, found);
    }
    default:
      return (_low, _high, found) => {
        for (let row = 0; row < found.count; row++) found.add(row);
      };
  }
}

function ints(values: Int32Array, low: number, high: number, found: Found): void {
  const { count } = found;
  for (let row = 0; row < count; row++) {
    const value = values[row]!;
    if (value >= low && value <= high) found.add(row);
  }
}

function doubles(values: Float64Array, low: number, high: number, found: Found): void {
  const { count } = found;
  for (let row = 0; row < count; row++) {
    const value = values[row]!;
    if (!(value < low || value > high)) found.add(row);
  }
}

function wide(words: Int32Array, low: number, high: number, found: Found): void {
  const { count } = found;
  for (let row = 0; row < count; row++) {
    const value = words[2 * row + 1]! * 4_294_967_296 + (words[2 * row]! >>> 0);
    if (value >= low && value <= high) found.add(row);
  }
}
