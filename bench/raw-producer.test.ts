import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { decodeRecordSet } from '../src/sources/kafka/record-batch.ts';
import { type BenchCodec, batchOf, RawProducer } from './raw-producer.ts';

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

it('a batch that the broker refuses fails, and with it all that follow', async () => {
  const server = createServer((socket) => {
    socket.once('data', () => {
      const answer = Buffer.alloc(4 + 4 + 4 + 2 + 1 + 4 + 4 + 2 + 8);
      answer.writeInt32BE(answer.length - 4, 0);
      answer.writeInt16BE(1, 12);
      answer.write('t', 14);
      const notLeader = 6;
      answer.writeInt16BE(notLeader, 23);
      socket.write(answer);
    });
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const producer = await RawProducer.open(`127.0.0.1:${port}`);
  await producer.send('t', 0, batchOf(['v'], 0, 'none'));
  await expect(producer.flush()).rejects.toThrow('the broker refused a batch: error 6');
  await expect(producer.send('t', 0, batchOf(['v'], 0, 'none'))).rejects.toThrow('error 6');
  await expect(producer.close()).rejects.toThrow();
  server.close();
});
