/**
 * The numbers that machines write, from bytes straight into a column: no text, no bigint, no object. Each gives where it
 * stopped, or −1 where the value is for the exact way; then nothing was appended.
 */
import { NUMBER_FRACTION, NUMBER_WHOLE } from '../../base/column-batch.ts';
import type { ColumnBuilder } from '../column-builder.ts';
import { isNumberText } from '../seen-texts.ts';

const MINUS = 45;
const POINT = 46;
const ZERO = 48;
const COMMA = 44;
const BRACE = 125;
/** So many digits are exact in a double, whatever they are. */
const DIGITS_EXACT = 15;
const POWERS = Float64Array.from({ length: DIGITS_EXACT + 1 }, (_, i) => 10 ** i);

/** The column has a row reserved. Kind i32: up to 9 digits, which always fit. */
export function putInt32(column: ColumnBuilder, bytes: Uint8Array, from: number, end: number) {
  const negative = bytes[from] === MINUS;
  const start = negative ? from + 1 : from;
  const last = start + 10 < end ? start + 10 : end;
  let at = start;
  let value = 0;
  for (; at < last; at++) {
    const digit = bytes[at]! - 48;
    if (digit < 0 || digit > 9) break;
    value = (value * 10 + digit) | 0;
  }
  const digits = at - start;
  if (digits === 0 || digits > 9) return -1;
  column.words[column.rows++] = negative ? -value : value;
  return at;
}

/** The column has a row reserved. Kind i64: up to 15 digits. */
export function putInt64(column: ColumnBuilder, bytes: Uint8Array, from: number, end: number) {
  const negative = bytes[from] === MINUS;
  const start = negative ? from + 1 : from;
  const near = start + 9 < end ? start + 9 : end;
  let at = start;
  let value = 0;
  for (; at < near; at++) {
    const digit = bytes[at]! - 48;
    if (digit < 0 || digit > 9) break;
    value = (value * 10 + digit) | 0;
  }
  if (at === start) return -1;
  const { words } = column;
  if (at < near || at === end) {
    const row = column.rows++;
    const low = negative ? -value | 0 : value;
    words[2 * row] = low;
    words[2 * row + 1] = low >> 31;
    return at;
  }
  let large = value;
  for (; at < end; at++) {
    const digit = bytes[at]! - 48;
    if (digit < 0 || digit > 9) break;
    large = large * 10 + digit;
  }
  if (at - start > DIGITS_EXACT) return -1;
  if (negative) large = -large;
  const row = column.rows++;
  const high = Math.floor(large / 2 ** 32);
  words[2 * row] = large - high * 2 ** 32;
  words[2 * row + 1] = high;
  return at;
}

/** What `scanNumber` saw last: where it stopped, and whether there was no point. One object, as it is asked for every value. */
export const scanned = { stop: 0, isWhole: false };

/**
 * Up to 15 digits, with or without a point, without an exponent; NaN where the value is for the exact way. Digits and the power
 * of ten are exact, so that their quotient is the double nearest to the text.
 */
export function scanNumber(bytes: Uint8Array, from: number, end: number): number {
  const negative = bytes[from] === MINUS;
  const start = negative ? from + 1 : from;
  const near = start + 9 < end ? start + 9 : end;
  let at = start;
  let short = 0;
  for (; at < near; at++) {
    const digit = bytes[at]! - 48;
    if (digit < 0 || digit > 9) break;
    short = (short * 10 + digit) | 0;
  }
  let value = short;
  for (; at < end; at++) {
    const digit = bytes[at]! - 48;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  let digits = at - start;
  if (digits === 0) return Number.NaN;
  let isWhole = true;
  if (at < end && bytes[at] === POINT) {
    isWhole = false;
    const point = ++at;
    for (; at < end; at++) {
      const digit = bytes[at]! - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    const fraction = at - point;
    digits += fraction;
    if (fraction === 0 || digits > DIGITS_EXACT) return Number.NaN;
    value /= POWERS[fraction]!;
  } else if (digits > DIGITS_EXACT) return Number.NaN;
  // What goes on is another form: an exponent, a word.
  const next = at < end ? bytes[at]! | 32 : 0;
  if (next >= 97 && next <= 122) return Number.NaN;
  scanned.stop = at;
  scanned.isWhole = isWhole;
  // As the exact way has it: a whole zero has no sign.
  return negative ? (isWhole ? -value || 0 : -value) : value;
}

/** The column has a row reserved. Kind f64: what `scanNumber` takes. */
export function putDouble(column: ColumnBuilder, bytes: Uint8Array, from: number, end: number) {
  const value = scanNumber(bytes, from, end);
  if (Number.isNaN(value)) return -1;
  column.doubles[column.rows++] = value;
  return scanned.stop;
}

/** The column has a row reserved. Kind bytes: what `scanNumber` takes, of up to `lengthMax` bytes, as a text that is a number. */
export function putNumberText(
  column: ColumnBuilder,
  bytes: Uint8Array,
  from: number,
  end: number,
  lengthMax: number,
): number {
  if (column.forms === undefined) column.seeNumbers();
  // The most frequent form, and the one that takes least: up to 9 digits and no more.
  const near = from + 9 < end ? from + 9 : end;
  let at = from;
  let short = 0;
  for (; at < near; at++) {
    const digit = bytes[at]! - 48;
    if (digit < 0 || digit > 9) break;
    short = (short * 10 + digit) | 0;
  }
  const next = at < end ? bytes[at]! : COMMA;
  const isPlain = at > from && at - from <= lengthMax && (next === COMMA || next === BRACE);
  if (isPlain && (bytes[from] !== ZERO || at === from + 1)) {
    const row = column.rows++;
    column.forms![row] = NUMBER_WHOLE;
    column.numbers![row] = short;
    column.offsets[row + 1] = column.end;
    return at;
  }
  const value = scanNumber(bytes, from, end);
  if (Number.isNaN(value)) return -1;
  const { stop, isWhole } = scanned;
  if (stop - from > lengthMax) return -1;
  const row = column.rows++;
  column.forms![row] = isWhole ? NUMBER_WHOLE : NUMBER_FRACTION;
  column.numbers![row] = value;
  if (!isNumberText(value, isWhole, bytes, from, stop)) {
    column.reserveData(stop - from);
    for (let i = from; i < stop; i++) column.data[column.end++] = bytes[i]!;
  }
  column.offsets[row + 1] = column.end;
  return stop;
}
