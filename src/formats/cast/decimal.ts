/** Text to DECIMAL(p, s): the unscaled value, rounded half away from zero on the whole text. */

const NUMBER = /^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,3}))?$/;
const EXPONENT_MAX = 127;
const DIGITS_MAX = 4_096;

export function parseDecimal(text: string, precision: number, scale: number): bigint | undefined {
  if (text.length === 0 || text.length > DIGITS_MAX) return undefined;
  const match = NUMBER.exec(text);
  if (match === null) return undefined;
  const [, sign, whole = '', fraction = '', exponentText = '0'] = match;
  if (whole === '' && fraction === '' && !text.includes('.')) return undefined;
  const exponent = Number(exponentText);
  if (Math.abs(exponent) > EXPONENT_MAX) return undefined;
  const digits = whole + fraction;
  // Where the point of the scaled value stands in the digits.
  const cut = whole.length + exponent + scale;
  let value: bigint;
  if (cut < 0) value = 0n;
  else {
    value = BigInt(digits.padEnd(cut, '0').slice(0, cut) || '0');
    if ((digits[cut] ?? '0') >= '5') value += 1n;
  }
  if (value >= 10n ** BigInt(precision)) return undefined;
  return sign === '-' ? -value : value;
}
