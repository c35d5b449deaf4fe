/**
 * A column of texts most of which are numbers, as a reader of messages has seen them (`SeenNumbers`). Where a number would be
 * written as it was sent, no text is kept beside it: it is made of the number where somebody asks, and mostly nobody does, as
 * what calculates takes the numbers.
 */
import { type BytesColumn, NUMBER_OTHER, type SeenNumbers } from '../base/column-batch.ts';
import { type Texts, takeTexts } from './column-memory.ts';

/** A sign, 15 digits, a point. */
const LENGTH_MAX = 17;
/** A smaller one would be written with an exponent. */
const FRACTION_MIN = 1e-6;
const MINUS = 45;
const ZERO = 48;

export class SeenTexts implements BytesColumn {
  readonly kind = 'bytes';
  readonly valid: Uint8Array | null;
  readonly numbers: SeenNumbers;
  readonly #kept: Texts;
  #all: Texts | undefined;

  /** `kept`: the texts; an empty one where `isNumberText` says that the number is enough. */
  constructor(valid: Uint8Array | null, numbers: SeenNumbers, kept: Texts) {
    this.valid = valid;
    this.numbers = numbers;
    this.#kept = kept;
  }

  get offsets(): Uint32Array {
    this.#all ??= written(this.numbers, this.#kept);
    return this.#all.offsets;
  }

  get data(): Uint8Array {
    this.#all ??= written(this.numbers, this.#kept);
    return this.#all.data;
  }

  /** Rows in the order given; `valid` is theirs. */
  take(rows: Uint32Array, valid: Uint8Array | null): SeenTexts {
    const { values, forms } = this.numbers;
    const numbers = {
      values: Float64Array.from(rows, (row) => values[row]!),
      forms: Uint8Array.from(rows, (row) => forms[row]!),
    };
    return new SeenTexts(valid, numbers, takeTexts(this.#kept, rows));
  }
}

/**
 * The number, of up to 15 digits, would be written as these bytes are: up to so many digits a double's shortest text is the
 * one that it was read from, if that has no zeros that say nothing.
 */
export function isNumberText(
  value: number,
  isWhole: boolean,
  bytes: Uint8Array,
  from: number,
  end: number,
): boolean {
  const first = bytes[from] === MINUS ? from + 1 : from;
  if (!isWhole) {
    if (bytes[end - 1] === ZERO || Math.abs(value) < FRACTION_MIN) return false;
    return bytes[first] !== ZERO || bytes[first + 1]! < ZERO;
  }
  return bytes[first] !== ZERO || (first === from && end === first + 1);
}

function written({ values, forms }: SeenNumbers, kept: Texts): Texts {
  const rows = kept.offsets.length - 1;
  const offsets = new Uint32Array(rows + 1);
  const data = new Uint8Array(kept.offsets[rows]! + LENGTH_MAX * rows);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    const start = kept.offsets[row]!;
    const end = kept.offsets[row + 1]!;
    if (start === end && forms[row] !== NUMBER_OTHER) {
      const text = String(values[row]);
      for (let i = 0; i < text.length; i++) data[at++] = text.charCodeAt(i);
    } else {
      for (let i = start; i < end; i++) data[at++] = kept.data[i]!;
    }
    offsets[row + 1] = at;
  }
  return { offsets, data: data.slice(0, at) };
}
