/** Text to integers (semantics.md 2.3): blanks around, a sign, digits; the reader also takes `1.9` and `1e3`. */

const isBlank = (c: number) => c === 32 || (c >= 9 && c <= 13);

/** [start, end) without ASCII blanks around, moved in place so that no object is made per value. */
export interface Span {
  start: number;
  end: number;
}

export function trim(bytes: Uint8Array, span: Span): void {
  while (span.start < span.end && isBlank(bytes[span.start]!)) span.start += 1;
  while (span.end > span.start && isBlank(bytes[span.end - 1]!)) span.end -= 1;
}

/** A whole number of at most 15 digits, or NaN: what fits a double exactly and is met nearly always. */
export function smallInteger(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  const first = bytes[at];
  const negative = first === 45;
  if (negative || first === 43) at += 1;
  if (at >= end || end - at > 15) return Number.NaN;
  let value = 0;
  for (; at < end; at++) {
    const digit = bytes[at]! - 48;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return negative ? -value || 0 : value;
}

const INTEGER = /^[+-]?[0-9]+$/;
const NUMBER = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?$/;
const DIGITS_MAX = 4_096;

/** Exact whole part of any decimal text, or undefined. `fractions`: the reader's way, truncating toward zero. */
export function wholeNumber(text: string, fractions: boolean): bigint | undefined {
  if (text.length > DIGITS_MAX) return undefined;
  if (INTEGER.test(text)) return BigInt(text.startsWith('+') ? text.slice(1) : text);
  if (!fractions || !NUMBER.test(text)) return undefined;
  const negative = text.startsWith('-');
  const [mantissa = '', exponentText = '0'] = text.replace(/^[+-]/, '').split(/[eE]/);
  const [whole = '', fraction = ''] = mantissa.split('.');
  const shift = Number(exponentText);
  const digits = whole + fraction;
  const point = whole.length + shift;
  const kept = point <= 0 ? '0' : digits.padEnd(point, '0').slice(0, point);
  const value = BigInt(kept === '' ? '0' : kept);
  return negative ? -value : value;
}
