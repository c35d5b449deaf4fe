/**
 * Passwords on the wire. mysql_native_password: the answer is SHA1(password) XOR SHA1(scramble + hash), the hash is
 * SHA1(SHA1(password)). Of caching_sha2_password only the empty password is answered at once; for any other the
 * client is asked to switch, since that plugin's full exchange wants TLS or a key pair.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Random } from '../../base/random.ts';

const sha1 = (...parts: Uint8Array[]): Buffer => {
  const hash = createHash('sha1');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

const xor = (a: Uint8Array, b: Uint8Array): Buffer =>
  Buffer.from(a.map((byte, i) => byte ^ (b[i] ?? 0)));

/** SHA1(SHA1(password)); `null` for an empty one. */
export function passwordHash(password: string): Uint8Array | null {
  return password === '' ? null : sha1(sha1(Buffer.from(password)));
}

export function nativeAnswer(password: string, scramble: Uint8Array): Uint8Array {
  if (password === '') return new Uint8Array(0);
  const once = sha1(Buffer.from(password));
  return xor(once, sha1(scramble, sha1(once)));
}

/** MySQL 8 and 9 send one 0 for an empty password under caching_sha2_password. */
export function isEmptyAnswer(answer: Uint8Array): boolean {
  return answer.length === 0 || (answer.length === 1 && answer[0] === 0);
}

/** An unknown user takes the same way, so that neither text nor time tells who exists. */
export function checkAnswer(
  found: { readonly passwordHash: Uint8Array | null } | undefined,
  answer: Uint8Array,
  scramble: Uint8Array,
): boolean {
  const hash = found?.passwordHash ?? Buffer.alloc(20);
  const padded = Buffer.alloc(20);
  padded.set(answer.subarray(0, 20));
  const matches = timingSafeEqual(sha1(xor(padded, sha1(scramble, hash))), hash);
  if (found === undefined) return false;
  if (found.passwordHash === null) return isEmptyAnswer(answer);
  return matches && answer.length === 20;
}

/** 20 bytes from 1 to 127, none of them 0 or `$`. */
export function newScramble(random: Random): Uint8Array {
  return random.bytes(20).map((byte) => {
    const seven = byte & 0x7f;
    return seven === 0 || seven === 0x24 ? seven + 1 : seven;
  });
}
