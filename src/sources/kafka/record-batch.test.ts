import { describe, expect, it } from 'vitest';
import { LoadError } from '../../base/errors.ts';
import { type CodecName, codecNames } from './codecs.ts';
import type { MessageBatch } from './kafka.types.ts';
import {
  type DecodedSet,
  type DecodeLimits,
  decodeRecordSet,
  type RecordSet,
} from './record-batch.ts';
import { sealBatch, writeBatch, writeMarker } from './record-batch-writer.ts';

const limits: DecodeLimits = { checkCrcs: true, batchBytesMax: 1 << 20, plainBytesMax: 1 << 22 };

function set(parts: readonly Uint8Array[], more: Partial<RecordSet> = {}): RecordSet {
  const records = Buffer.concat(parts);
  return {
    topic: 't',
    partition: 3,
    records,
    fromOffset: 0n,
    endOffset: 1_000_000n,
    aborted: [],
    ...more,
  };
}

function rows(batches: readonly MessageBatch[]): string[] {
  return batches.flatMap((batch) =>
    Array.from({ length: batch.count }, (_, i) => {
      const length = batch.length[i] as number;
      const start = batch.start[i] as number;
      const value = Buffer.from(batch.bytes.subarray(start, start + length)).toString();
      const offset = batch.offsetBase + BigInt(batch.offsetDelta[i] as number);
      return `${offset}:${length < 0 ? 'null' : value}@${batch.timestampMs[i]}`;
    }),
  );
}

const read = (parts: readonly Uint8Array[], more: Partial<RecordSet> = {}) => {
  const { batches, nextOffset } = decodeRecordSet(set(parts, more), limits);
  return { rows: rows(batches), nextOffset };
};

function errorOf(run: () => unknown): LoadError {
  try {
    run();
  } catch (error) {
    if (error instanceof LoadError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const values = (...texts: (string | null)[]) => texts.map((value) => ({ value }));
const data = (baseOffset: bigint, producerId: bigint, ...texts: string[]) =>
  writeBatch({ baseOffset, producerId, transactional: true, messages: values(...texts) });

describe('decodeRecordSet', () => {
  it.each([...codecNames, 'raw snappy' as const].map((name) => ({ name })))(
    'reads $name',
    ({ name }) => {
      const codec: CodecName = name === 'raw snappy' ? 'snappy' : name;
      const long = 'x'.repeat(100_000);
      const batch = writeBatch({
        baseOffset: 5n,
        codec,
        snappyRaw: name === 'raw snappy',
        timestampMs: 1_700_000_000_000,
        messages: [
          { value: 'a', key: 'k', timestampMs: 1_699_999_999_999 },
          {
            value: null,
            key: null,
            headers: [
              ['h', 'v'],
              ['n', null],
            ],
          },
          { value: '', timestampMs: 1_900_000_000_001 },
          { value: long },
        ],
      });
      expect(read([batch], { fromOffset: 5n })).toEqual({
        rows: [
          '5:a@1699999999999',
          '6:null@1700000000000',
          '7:@1900000000001',
          `8:${long}@1700000000000`,
        ],
        nextOffset: 9n,
      });
    },
  );

  it('R1: leaves out what lies before the asked offset in the first batch', () => {
    const batch = writeBatch({ baseOffset: 10n, messages: values('a', 'b', 'c') });
    expect(read([batch], { fromOffset: 12n })).toEqual({ rows: ['12:c@0'], nextOffset: 13n });
  });

  it('R2: gaps of compaction, within and at the end of a batch, and between batches', () => {
    const parts = [
      writeBatch({ baseOffset: 0n, lastOffset: 9n, messages: [{ offset: 4n, value: 'a' }] }),
      writeBatch({ baseOffset: 20n, lastOffset: 29n, messages: [] }),
    ];
    expect(read(parts)).toEqual({ rows: ['4:a@0'], nextOffset: 30n });
  });

  it('joins neighbours without compression, and gives each compressed batch its own buffer', () => {
    const plain = (at: bigint) => writeBatch({ baseOffset: at, messages: values('a', 'b') });
    const packed = writeBatch({ baseOffset: 4n, codec: 'zstd', messages: values('c') });
    const { batches } = decodeRecordSet(set([plain(0n), plain(2n), packed, plain(5n)]), limits);
    expect(batches.map((batch) => batch.count)).toEqual([4, 1, 2]);
    expect(rows(batches).map((row) => row.split('@')[0])).toEqual([
      '0:a',
      '1:b',
      '2:a',
      '3:b',
      '4:c',
      '5:a',
      '6:b',
    ]);
  });

  it('offsets of 64 bits, and plain neighbours that lie further apart than 32 bits', () => {
    const base = 2n ** 62n + 1n;
    const parts = [
      writeBatch({ baseOffset: base, messages: values('a') }),
      writeBatch({ baseOffset: base + 2n ** 40n, messages: values('b') }),
    ];
    expect(read(parts, { fromOffset: base, endOffset: 2n ** 63n - 1n })).toEqual({
      rows: [`${base}:a@0`, `${base + 2n ** 40n}:b@0`],
      nextOffset: base + 2n ** 40n + 1n,
    });
  });

  it('the time of the broker where it stamps messages', () => {
    const batch = writeBatch({
      baseOffset: 0n,
      appendTimeMs: 99,
      messages: [{ value: 'a', timestampMs: 5 }],
    });
    expect(read([batch]).rows).toEqual(['0:a@99']);
  });

  it('a partial batch at the end waits for the next fetch', () => {
    const whole = writeBatch({ baseOffset: 0n, messages: values('a') });
    const second = writeBatch({ baseOffset: 1n, messages: values('b') });
    for (let length = 0; length < second.length; length++) {
      const records = set([whole, second.subarray(0, length)]);
      const result = decodeRecordSet(records, limits);
      expect([rows(result.batches), result.nextOffset]).toEqual([['0:a@0'], 1n]);
      expect(result.partialBytes).toBe(length === 0 ? 0 : length < 12 ? 61 : second.length);
    }
  });

  it('stops decoding behind the limit of plain bytes, and goes on from there', () => {
    const part = (at: bigint) =>
      writeBatch({ baseOffset: at, codec: 'gzip', messages: values('x'.repeat(1000)) });
    const small = { ...limits, plainBytesMax: 1500 };
    const { batches, nextOffset } = decodeRecordSet(set([part(0n), part(1n), part(2n)]), small);
    expect([batches.length, nextOffset]).toEqual([2, 2n]);
  });
});

describe('R3: transactions', () => {
  it.each([
    {
      name: 'one producer aborts twice within a response and commits between and after',
      parts: [
        data(0n, 7n, 'a0'),
        writeMarker('abort', 1n, 7n),
        data(2n, 7n, 'c2'),
        writeMarker('commit', 3n, 7n),
        data(4n, 7n, 'a4', 'a5'),
        writeMarker('abort', 6n, 7n),
        data(7n, 7n, 'c7'),
        writeMarker('commit', 8n, 7n),
      ],
      aborted: [
        { producerId: 7n, firstOffset: 4n },
        { producerId: 7n, firstOffset: 0n },
      ],
      rows: ['2:c2@0', '7:c7@0'],
      nextOffset: 9n,
    },
    {
      name: 'interleaved with another producer and with messages outside transactions',
      parts: [
        data(0n, 1n, 'a'),
        data(1n, 2n, 'b'),
        writeBatch({ baseOffset: 2n, messages: values('plain') }),
        data(3n, 1n, 'a'),
        writeMarker('abort', 4n, 1n),
        data(5n, 2n, 'b'),
        writeMarker('commit', 6n, 2n),
      ],
      aborted: [{ producerId: 1n, firstOffset: 0n }],
      rows: ['1:b@0', '2:plain@0', '5:b@0'],
      nextOffset: 7n,
    },
    {
      name: 'a range whose messages are gone ends at its marker, not in the next transaction',
      parts: [writeMarker('abort', 4n, 1n), data(5n, 1n, 'c'), writeMarker('commit', 6n, 1n)],
      aborted: [{ producerId: 1n, firstOffset: 2n }],
      rows: ['5:c@0'],
      nextOffset: 7n,
    },
    {
      name: 'an aborted range that goes on behind the response',
      parts: [data(0n, 1n, 'a'), data(1n, 1n, 'a')],
      aborted: [{ producerId: 1n, firstOffset: 0n }],
      rows: [],
      nextOffset: 2n,
    },
    {
      name: 'read_uncommitted gives all but markers',
      parts: [data(0n, 1n, 'a'), writeMarker('abort', 1n, 1n)],
      aborted: null,
      rows: ['0:a@0'],
      nextOffset: 2n,
    },
  ])('$name', ({ parts, aborted, rows: expected, nextOffset }) => {
    expect(read(parts, { aborted })).toEqual({ rows: expected, nextOffset });
  });
});

const good = () => writeBatch({ baseOffset: 0n, messages: values('aaaa', 'bbbb') });
const changed = (at: number, ...bytes: number[]) => {
  const batch = good();
  batch.set(bytes, at);
  return sealBatch(batch);
};
const withBody = (codecId: number, body: Uint8Array) => {
  const batch = Buffer.concat([good().subarray(0, 61), body]);
  batch.writeInt32BE(batch.length - 12, 8);
  batch[22] = codecId;
  return sealBatch(batch);
};

describe('R4: damage', () => {
  it.each([
    { name: 'one bit of a value', bytes: () => good().fill(0x62, 69, 70), code: 'KAFKA_CRC' },
    { name: 'format 1', bytes: () => changed(16, 1), code: 'KAFKA_BAD_BATCH' },
    { name: 'format 9', bytes: () => changed(16, 9), code: 'KAFKA_BAD_BATCH' },
    { name: 'length 0', bytes: () => changed(8, 0, 0, 0, 0), code: 'KAFKA_BAD_BATCH' },
    { name: 'length −1', bytes: () => changed(8, 255, 255, 255, 255), code: 'KAFKA_BAD_BATCH' },
    { name: 'offset −1', bytes: () => changed(0, ...Array(8).fill(255)), code: 'KAFKA_BAD_BATCH' },
    { name: 'offset far behind the end', bytes: () => changed(0, 1), code: 'KAFKA_BAD_BATCH' },
    { name: 'last delta −1', bytes: () => changed(23, 255), code: 'KAFKA_BAD_BATCH' },
    { name: 'count −1', bytes: () => changed(57, 255), code: 'KAFKA_BAD_BATCH' },
    { name: 'count too large', bytes: () => changed(57, 127), code: 'KAFKA_BAD_BATCH' },
    { name: 'count too small', bytes: () => changed(60, 1), code: 'KAFKA_BAD_BATCH' },
    { name: 'record length −1', bytes: () => changed(61, 1), code: 'KAFKA_BAD_BATCH' },
    { name: 'record beyond the end', bytes: () => changed(61, 0x7e), code: 'KAFKA_BAD_BATCH' },
    { name: 'value beyond the record', bytes: () => changed(66, 0x7e), code: 'KAFKA_BAD_BATCH' },
    { name: 'offsets not ascending', bytes: () => changed(75, 0), code: 'KAFKA_BAD_BATCH' },
    { name: 'codec 7', bytes: () => changed(22, 7), code: 'KAFKA_CODEC' },
    { name: 'gzip of nothing', bytes: () => withBody(1, Buffer.alloc(0)), code: 'KAFKA_CODEC' },
    {
      name: 'snappy that claims 4 GB',
      bytes: () => withBody(2, Uint8Array.of(255, 255, 255, 255, 15, 0)),
      code: 'KAFKA_CODEC',
    },
    { name: 'lz4 of nonsense', bytes: () => withBody(3, Buffer.alloc(30, 7)), code: 'KAFKA_CODEC' },
    { name: 'zstd of nonsense', bytes: () => withBody(4, Buffer.alloc(9)), code: 'KAFKA_CODEC' },
  ])('$name → $code', ({ bytes, code }) => {
    const error = errorOf(() => read([bytes()]));
    expect(error.code).toBe(code);
    expect(error.details).toMatchObject({ topic: 't', partition: 3 });
    expect(error.details.offset).toMatch(/^-?\d+$/);
  });

  it.each(codecNames.slice(1).map((name) => ({ name })))('a bomb of $name', ({ name }) => {
    const batch = writeBatch({
      baseOffset: 0n,
      codec: name,
      messages: values('x'.repeat(1 << 21)),
    });
    expect(batch.length).toBeLessThan(200_000);
    const error = errorOf(() => read([batch]));
    expect([error.code, error.message]).toEqual([
      'KAFKA_CODEC',
      expect.stringContaining('more than 1048576 bytes'),
    ]);
  });

  it('a batch before the asked offset or out of order', () => {
    const behind = () => read([good()], { fromOffset: 2n });
    expect(errorOf(behind).code).toBe('KAFKA_BAD_BATCH');
    expect(errorOf(() => read([good(), good()])).code).toBe('KAFKA_BAD_BATCH');
  });

  const parts = [
    good(),
    writeBatch({ baseOffset: 2n, codec: 'lz4', messages: values('cccc') }),
    writeBatch({ baseOffset: 3n, codec: 'snappy', messages: values('dddd') }),
    writeBatch({ baseOffset: 4n, codec: 'zstd', messages: values('eeee') }),
    writeBatch({ baseOffset: 5n, codec: 'gzip', messages: values('ffff') }),
    data(6n, 1n, 'aborted'),
    writeMarker('abort', 7n, 1n),
  ];
  const aborted = [{ producerId: 1n, firstOffset: 6n }];
  const bytes = Buffer.concat(parts);
  const starts = parts.map((_, i) => parts.slice(0, i).reduce((sum, part) => sum + part.length, 0));
  const bit = (index: number, mask: number) => {
    const copy = Buffer.from(bytes);
    copy[index] = (copy[index] as number) ^ mask;
    return copy;
  };

  it('every flipped bit gives the same rows, a prefix of them, or an error', () => {
    const whole = read([bytes], { aborted });
    const seen = { same: 0, prefix: 0, error: 0, moved: 0 };
    for (let index = 0; index < bytes.length; index++) {
      const inBaseOffset = starts.some((start) => index >= start && index < start + 8);
      for (let mask = 1; mask < 256; mask <<= 1) {
        let result: DecodedSet;
        try {
          result = decodeRecordSet(set([bit(index, mask)], { aborted }), limits);
        } catch (error) {
          expect(error).toBeInstanceOf(LoadError);
          seen.error++;
          continue;
        }
        const found = rows(result.batches);
        if (inBaseOffset) {
          // Not covered by the checksum: values are right, offsets may have moved to a legal gap.
          const value = (row: string) => row.split(':')[1];
          expect(found.map(value)).toEqual(whole.rows.map(value));
          seen.moved++;
        } else {
          expect(found).toEqual(whole.rows.slice(0, found.length));
          if (result.nextOffset === whole.nextOffset) expect(found).toEqual(whole.rows);
          seen[result.nextOffset === whole.nextOffset ? 'same' : 'prefix']++;
        }
      }
    }
    // Same: the leader epochs. Prefix: a batch that is not the first, or a length that reaches behind the end.
    expect(seen.same).toBe(parts.length * 32);
    expect(seen.prefix).toBeGreaterThan(100);
    const all = (bytes.length - parts.length * 12) * 8;
    expect(seen.error + seen.prefix).toBeGreaterThan(all - parts.length * 64);
  });

  it('without checksums every flipped bit stays within bounds', () => {
    const unchecked = { ...limits, checkCrcs: false };
    let errors = 0;
    for (let index = 0; index < bytes.length; index++) {
      for (let mask = 1; mask < 256; mask <<= 1) {
        try {
          const found = decodeRecordSet(set([bit(index, mask)]), unchecked);
          if (found.nextOffset !== 8n) errors++;
          for (const batch of found.batches) {
            for (let i = 0; i < batch.count; i++) {
              const length = batch.length[i] as number;
              const end = (batch.start[i] as number) + Math.max(0, length);
              expect(length >= -1 && end <= batch.bytes.length).toBe(true);
            }
          }
        } catch (error) {
          expect(error).toBeInstanceOf(LoadError);
          errors++;
        }
      }
    }
    expect(errors).toBeGreaterThan(1000);
  });
});
