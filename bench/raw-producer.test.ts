import { describe, expect, it } from 'vitest';
import { decodeRecordSet } from '../src/sources/kafka/record-batch.ts';
import { type BenchCodec, batchOf } from './raw-producer.ts';

describe('batchOf', () => {
  it.each(['none', 'lz4', 'zstd'] as const)(
    '%s: a batch that the decoder takes',
    (codec: BenchCodec) => {
      const values = Array.from({ length: 700 }, (_, i) => 'v'.repeat(i));
      const { batches, nextOffset } = decodeRecordSet(
        {
          topic: 't',
          partition: 0,
          records: batchOf(values, 1_700_000_000_000, codec),
          fromOffset: 0n,
          endOffset: 700n,
          aborted: null,
        },
        { checkCrcs: true, batchBytesMax: 1 << 24, plainBytesMax: 1 << 24 },
      );
      const found = batches.flatMap(({ count, bytes, start, length }) =>
        Array.from({ length: count }, (_, i) =>
          Buffer.from(bytes.subarray(start[i]!, start[i]! + length[i]!)).toString(),
        ),
      );
      expect(nextOffset).toBe(700n);
      expect(found).toEqual(values);
      expect(batches[0]?.timestampMs[0]).toBe(1_700_000_000_000);
    },
  );
});
