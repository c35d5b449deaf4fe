/**
 * The forms that machines write, `YYYY-MM-DD` and `YYYY-MM-DD[ T]HH:MM:SS[.ffffff]`, read from bytes. Everything else is
 * for `parseDatetime`, which gives the same for these.
 */
import { lastDay } from './date.ts';

/** Filled in place, so that no object is made per value. */
export interface Moment {
  days: number;
  /** Of the day. */
  seconds: number;
  micros: number;
}

const two = (bytes: Uint8Array, at: number): number => {
  const high = bytes[at]! - 48;
  const low = bytes[at + 1]! - 48;
  return high < 0 || high > 9 || low < 0 || low > 9 ? Number.NaN : high * 10 + low;
};

/** Days since 1970 by the calendar's own arithmetic: years begin in March, 400 of them have 146 097 days. */
function civilDays(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const ofEra = y - era * 400;
  const ofYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const inEra = ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear;
  return era * 146_097 + inEra - 719_468;
}

/** False: another form, or no date. */
export function readMoment(bytes: Uint8Array, start: number, end: number, out: Moment): boolean {
  const length = end - start;
  if (length !== 10 && length !== 19 && (length < 21 || length > 26)) return false;
  if (bytes[start + 4] !== 45 || bytes[start + 7] !== 45) return false;
  const year = two(bytes, start) * 100 + two(bytes, start + 2);
  const month = two(bytes, start + 5);
  const day = two(bytes, start + 8);
  // Written so that NaN fails.
  if (!(year >= 0 && month >= 1 && month <= 12 && day >= 1 && day <= lastDay(year, month))) {
    return false;
  }
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
  if (!(hour <= 23 && minute <= 59 && second <= 59)) return false;
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
