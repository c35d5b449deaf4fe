/** Separators as written in a statement to the bytes that they stand for (semantics.md 3.1). */
import { isUtf8 } from 'node:buffer';
import { LoadError } from '../base/errors.ts';

const BYTES_MAX = 50;
const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

function fail(message: string): LoadError {
  return new LoadError('DELIMITER', message, { errno: 1064 });
}

/** `what` names it in errors: `column separator`, `row delimiter`. */
export function resolveDelimiter(text: string, what = 'column separator'): string {
  if (text === '') throw fail('Delimiter cannot be empty or null');
  const hex = /^(?:\\{0,2}x|0x)(.*)$/is.exec(text);
  const resolved =
    hex !== null && /^(?:\\|0x)/i.test(text)
      ? fromHex(text, hex[1] ?? '')
      : text.replace(/\\(.)/gs, (all, char: string) => ESCAPES[char] ?? all);
  const length = Buffer.byteLength(resolved);
  if (length < 1 || length > BYTES_MAX) {
    throw new LoadError('DELIMITER', `The valid bytes length for '${what}' is [1, ${BYTES_MAX}]`, {
      errno: 5605,
      sqlState: '42000',
      details: { length },
    });
  }
  return resolved;
}

function fromHex(text: string, digits: string): string {
  if (digits === '') throw fail(`Invalid delimiter '${text}': empty hex string`);
  if (digits.length % 2 !== 0) {
    throw fail(`Invalid delimiter '${text}': hex length must be a even number`);
  }
  if (!/^[0-9a-f]+$/i.test(digits)) throw fail(`Invalid delimiter '${text}': invalid hex format`);
  const bytes = Buffer.from(digits, 'hex');
  // Rows are UTF-8: bytes that are none would never be found, and as text they would be others.
  if (!isUtf8(bytes)) throw fail(`Invalid delimiter '${text}': it is no UTF-8 text`);
  return bytes.toString('utf8');
}

/** `enclose` and `escape`: one byte, or nothing. */
export function resolveByte(text: string, what: string): string {
  if (text === '') return '';
  const resolved = resolveDelimiter(text, what);
  if (Buffer.byteLength(resolved) === 1) return resolved;
  throw new LoadError('DELIMITER', `The valid bytes length for '${what}' is [1, 1]`, {
    errno: 5605,
    sqlState: '42000',
  });
}
