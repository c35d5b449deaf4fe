import { crc32 } from 'node:zlib';
import { crc32c } from '@node-rs/crc32';
import { describe, expect, it } from 'vitest';
import type { Column } from '../base/column-batch.ts';
import { DamageError } from '../base/errors.ts';
import type { SqlType } from '../base/sql-type.ts';
import { bucketOf } from './bucket.ts';
import { textAppender } from './cast/text-cast.ts';
import { createBuilder } from './column-builder.ts';
import { decodeBatch, encodeBatch } from './column-codec.ts';

const INT: SqlType = { name: 'INT' };
const VARCHAR: SqlType = { name: 'VARCHAR', length: 100 };

function column(type: SqlType, ...values: (string | null)[]): Column {
  const builder = createBuilder(type);
  const append = textAppender(type, false);
  for (const value of values) {
    if (value === null) builder.appendNull();
    else expect(append(builder, Buffer.from(value), 0, value.length)).toBe(true);
  }
  return builder.finish();
}

function sample(): Uint8Array {
  const columns = [column(INT, '1', null, '3'), column(VARCHAR, 'a', null, 'bcd')];
  return encodeBatch({ rows: 3, columns });
}

const flipped = (bytes: Uint8Array, bit: number): Uint8Array => {
  const changed = bytes.slice();
  changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return changed;
};

describe('damaged batches', () => {
  it('every single flipped bit is named as damage', () => {
    const bytes = sample();
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      expect(() => decodeBatch(flipped(bytes, bit))).toThrow(DamageError);
    }
  });

  it('behind a right checksum a wrong head is damage too, never another error', () => {
    const bytes = sample();
    let refused = 0;
    for (let bit = 64; bit < bytes.length * 8; bit++) {
      const changed = flipped(bytes, bit);
      new DataView(changed.buffer).setUint32(4, crc32c(changed.subarray(8)), true);
      try {
        decodeBatch(changed);
      } catch (error) {
        expect(error).toBeInstanceOf(DamageError);
        refused += 1;
      }
    }
    // At least every bit of the two counts.
    expect(refused).toBeGreaterThanOrEqual(64);
  });

  it.each([1, 2, 4, 7])('reads bytes that begin %d behind an aligned place', (shift) => {
    const bytes = sample();
    const moved = new Uint8Array(bytes.length + 8);
    moved.set(bytes, shift);
    expect(decodeBatch(moved.subarray(shift, shift + bytes.length))).toEqual(decodeBatch(bytes));
  });
});

describe("buckets against zlib's own CRC-32", () => {
  const le = (value: bigint, width: number) =>
    Buffer.from(Array.from({ length: width }, (_, i) => Number((value >> BigInt(8 * i)) & 255n)));
  const narrow: SqlType = { name: 'DECIMAL', precision: 9, scale: 2 };
  const wide: SqlType = { name: 'DECIMAL', precision: 38, scale: 2 };

  it.each<{ name: string; parts: [SqlType, string | null, Buffer][] }>([
    {
      name: "(1, 'abc')",
      parts: [
        [INT, '1', le(1n, 4)],
        [VARCHAR, 'abc', Buffer.from('abc')],
      ],
    },
    {
      name: '(NULL, -2)',
      parts: [
        [VARCHAR, null, Buffer.alloc(4)],
        [{ name: 'SMALLINT' }, '-2', le(-2n, 2)],
      ],
    },
    { name: 'DECIMAL(9,2)', parts: [[narrow, '-1.50', le(-150n, 4)]] },
    { name: 'DECIMAL(38,2)', parts: [[wide, '-1.50', le(-150n, 16)]] },
    { name: 'LARGEINT', parts: [[{ name: 'LARGEINT' }, '-7', le(-7n, 16)]] },
    {
      name: 'DATETIME',
      parts: [[{ name: 'DATETIME' }, '2024-01-31 01:02:03', Buffer.from('2024-01-31 01:02:03')]],
    },
  ])('$name', ({ parts }) => {
    const columns = parts.map(([type, value]) => ({ column: column(type, value), type }));
    const crc = parts.reduce((seed, [, , bytes]) => crc32(bytes, seed), 0);
    expect(bucketOf(columns, 1, 2 ** 32)[0]).toBe(crc);
    expect(bucketOf(columns, 1, 97)[0]).toBe(crc % 97);
  });
});
