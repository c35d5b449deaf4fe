/**
 * The forms that machines write, `YYYY-MM-DD` and `YYYY-MM-DD[ T]HH:MM:SS[.ffffff]`, read from bytes. Everything else is
 * for `parseDatetime`, which gives the same for these.
 */
import type { ColumnBuilder } from '../column-builder.ts';
import { lastDay } from './date.ts';

/** Filled in place, so that no object is made per value. */
export interface Moment {
  days: number;
  /** Of the day. */
  seconds: number;
  micros: number;
}

/** Negative: no digits. */
const two = (bytes: Uint8Array, at: number): number => {
  const high = bytes[at]! - 48;
  const low = bytes[at + 1]! - 48;
  return high < 0 || high > 9 || low < 0 || low > 9 ? -1 : (high * 10 + low) | 0;
};

/** Days since 1970 by the calendar's own arithmetic: years begin in March, 400 of them have 146 097 days. */
function civilDays(year: number, month: number, day: number): number {
  // 400 years later, so that no year is negative and divisions are of whole numbers.
  const y = (month <= 2 ? year + 399 : year + 400) | 0;
  const era = (y / 400) | 0;
  const ofEra = (y - era * 400) | 0;
  const ofYear = (((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) | 0) + day - 1;
  const inEra = ofEra * 365 + ((ofEra / 4) | 0) - ((ofEra / 100) | 0) + ofYear;
  return era * 146_097 + inEra - 719_468 - 146_097;
}

/** As the exact way does for these forms; false: another form, or no date, and nothing was appended. */
export function putDate(
  column: ColumnBuilder,
  bytes: Uint8Array,
  start: number,
  end: number,
  moment: Moment,
): boolean {
  if (!readMoment(bytes, start, end, moment)) return false;
  column.words[column.rows++] = moment.days;
  return true;
}

/** As above, microseconds in two words: they pass what a double holds exactly. */
export function putDatetime(
  column: ColumnBuilder,
  bytes: Uint8Array,
  start: number,
  end: number,
  moment: Moment,
): boolean {
  if (!readMoment(bytes, start, end, moment)) return false;
  const seconds = moment.days * 86_400 + moment.seconds;
  const upper = Math.floor(seconds / 2 ** 16);
  const lower = (seconds - upper * 2 ** 16) * 1_000_000 + moment.micros;
  const product = upper * 1_000_000;
  const high = Math.floor(product / 2 ** 16);
  const rest = (product - high * 2 ** 16) * 2 ** 16 + lower;
  const carry = Math.floor(rest / 2 ** 32);
  const row = column.rows++;
  column.words[2 * row] = rest - carry * 2 ** 32;
  column.words[2 * row + 1] = high + carry;
  return true;
}

/** False: another form, or no date. */
export function readMoment(bytes: Uint8Array, start: number, end: number, out: Moment): boolean {
  const length = end - start;
  if (length !== 10 && length !== 19 && (length < 21 || length > 26)) return false;
  if (bytes[start + 4] !== 45 || bytes[start + 7] !== 45) return false;
  const century = two(bytes, start);
  const ofCentury = two(bytes, start + 2);
  const month = two(bytes, start + 5);
  const day = two(bytes, start + 8);
  if (century < 0 || ofCentury < 0 || month < 1 || month > 12 || day < 1) return false;
  const year = (century * 100 + ofCentury) | 0;
  if (day > 28 && day > lastDay(year, month)) return false;
  out.days = civilDays(year, month, day);
  out.seconds = 0;
  out.micros = 0;
  return length === 10 || readTime(bytes, start + 10, end, out);
}

function readTime(bytes: Uint8Array, start: number, end: number, out: Moment): boolean {
  if (bytes[start] !== 32 && bytes[start] !== 84) return false;
  if (bytes[start + 3] !== 58 || bytes[start + 6] !== 58) return false;
  const hour = two(bytes, start + 1);
  const minute = two(bytes, start + 4);
  const second = two(bytes, start + 7);
  if ((hour | minute | second) < 0 || hour > 23 || minute > 59 || second > 59) return false;
  out.seconds = hour * 3600 + minute * 60 + second;
  if (end === start + 9) return true;
  if (bytes[start + 9] !== 46) return false;
  let unit = 100_000;
  for (let at = start + 10; at < end; at++, unit /= 10) {
    const digit = bytes[at]! - 48;
    if (digit < 0 || digit > 9) return false;
    out.micros += digit * unit;
  }
  return true;
}
