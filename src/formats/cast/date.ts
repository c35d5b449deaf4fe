/**
 * Text to DATE and DATETIME: microseconds since 1970 (semantics.md 2.7). One parser for CSV, JSON and CAST. `strict`
 * refuses text behind the value (and so zone offsets), which otherwise is read over as StarRocks does.
 */

const FAST =
  /^([0-9]{4})[^0-9]([0-9]{2})[^0-9]([0-9]{2})(?:(?:T| +)([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,6})[0-9]*)?(Z?))?(.*)$/s;
const DIGITS = /^([0-9]+)(?:T([0-9]{2,6}))?(?:\.([0-9]*))?(.*)$/s;
const SEPARATED =
  /^([0-9]{1,4})[!-/:-@[-`{-~ ]([0-9]{1,2})[!-/:-@[-`{-~ ]([0-9]{1,2})(?![0-9])(?:(?:T| +)([0-9]{1,2})(?::([0-9]{1,2})(?::([0-9]{1,2})(?:\.([0-9]{1,6})[0-9]*)?)?)?)?(.*)$/s;
const TEXT_LENGTH_MAX = 128;
const DAY_MICROS = 86_400_000_000n;

export function daysOf(year: number, month: number, day: number): number {
  // Date.UTC takes years below 100 for 19xx.
  const date = new Date(Date.UTC(2000, month - 1, day));
  date.setUTCFullYear(year, month - 1, day);
  return Math.floor(date.getTime() / 86_400_000);
}

const LENGTHS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

export function lastDay(year: number, month: number): number {
  const leap = year !== 0 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 && leap ? 29 : (LENGTHS[month - 1] ?? 0);
}

function assemble(parts: readonly number[], fraction: string): bigint | undefined {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts;
  if (year > 9999 || month < 1 || month > 12 || day < 1 || day > lastDay(year, month))
    return undefined;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const micros = BigInt(Number(fraction.slice(0, 6).padEnd(6, '0')));
  const seconds = BigInt(hour * 3600 + minute * 60 + second);
  return BigInt(daysOf(year, month, day)) * DAY_MICROS + seconds * 1_000_000n + micros;
}

const century = (year: string): number =>
  year.length > 2 ? Number(year) : Number(year) + (Number(year) < 70 ? 2000 : 1900);

/** The text has no blanks around. */
export function parseDatetime(text: string, strict: boolean): bigint | undefined {
  if (text.length === 0 || text.length > TEXT_LENGTH_MAX) return undefined;
  const fast = FAST.exec(text);
  if (fast !== null && (!strict || fast[9] === '')) {
    const rest = fast[9] ?? '';
    // More digits of a date, or `12:34` without seconds, are for the general form.
    if (fast[4] !== undefined || rest === '' || !/^[0-9T ]/.test(rest)) {
      return assemble(
        fast.slice(1, 7).map((part) => Number(part ?? 0)),
        fast[7] ?? '',
      );
    }
  }
  return parseSeparated(text, strict) ?? parseDigits(text, strict);
}

function parseSeparated(text: string, strict: boolean): bigint | undefined {
  const match = SEPARATED.exec(text);
  if (match === null || (strict && match[8] !== '')) return undefined;
  const [, year = '', ...rest] = match;
  if (year.length === 3) return undefined;
  return assemble(
    [century(year), ...rest.slice(0, 5).map((part) => Number(part ?? 0))],
    match[7] ?? '',
  );
}

/** `20240131`, `240131`, `20240131123456`, `20240131T123456` */
function parseDigits(text: string, strict: boolean): bigint | undefined {
  const match = DIGITS.exec(text);
  if (match === null || (strict && match[4] !== '')) return undefined;
  const [, head = '', tail = '', fraction = ''] = match;
  // Digits behind a separator are other forms' business.
  if ((match[4] ?? '') !== '' && /^[^A-Za-z]/.test(match[4] ?? '')) return undefined;
  if (tail === '' && (match[4] ?? '') === '' && ![6, 8, 12, 14].includes(head.length))
    return undefined;
  if (tail !== '' && head.length !== 6 && head.length !== 8) return undefined;
  const digits = head + tail;
  const long = digits.length === 8 || digits.length >= 14 || head.length === 8;
  const year = digits.slice(0, long ? 4 : 2);
  const pairs = digits.slice(year.length).match(/[0-9]{1,2}/g) ?? [];
  if (pairs.length < 2) return undefined;
  return assemble([century(year), ...pairs.slice(0, 5).map(Number)], fraction);
}
