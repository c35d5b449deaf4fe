/** UTF-8 checks of messages that lie in one buffer: the buffer is checked once, a message by its edges. */
import { isUtf8 } from 'node:buffer';

const isContinuation = (byte: number | undefined) =>
  byte !== undefined && byte >= 0x80 && byte < 0xc0;

export function utf8Checker(bytes: Uint8Array): (start: number, end: number) => boolean {
  if (!isUtf8(bytes)) return (start, end) => isUtf8(bytes.subarray(start, end));
  // In valid text a piece is valid where no edge cuts a character.
  return (start, end) =>
    start === end || (!isContinuation(bytes[start]) && !isContinuation(bytes[end]));
}

/** The first byte that no UTF-8 text has there: where decoding puts a replacement that the bytes do not hold. */
export function invalidAt(bytes: Uint8Array): number {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  let at = 0;
  let from = 0;
  for (;;) {
    const found = text.indexOf('\ufffd', from);
    if (found < 0) return at;
    at += Buffer.byteLength(text.slice(from, found));
    if (bytes[at] !== 0xef || bytes[at + 1] !== 0xbf || bytes[at + 2] !== 0xbd) return at;
    at += 3;
    from = found + 1;
  }
}
