/** Fills topics for the benches. */
import { createTopic } from '../test/kit/kafka-topics.ts';
import { type BenchCodec, batchOf, RawProducer } from './raw-producer.ts';

export interface Filled {
  readonly bootstrap: string;
  readonly topic: string;
  readonly partitions: number;
  readonly rows: number;
  readonly codec: BenchCodec;
  readonly value: (id: number) => string;
}

/** About 64 KiB of JSON, as a producer under load makes them. */
const BATCH_MESSAGES = 600;

/** Batches go to the partitions in turn. Gives the bytes that were sent. */
export async function fillTopic(filled: Filled): Promise<number> {
  const { bootstrap, topic, partitions, rows, codec, value } = filled;
  await createTopic(bootstrap, topic, partitions);
  const producer = await RawProducer.open(bootstrap);
  let bytes = 0;
  let partition = 0;
  for (let from = 0; from < rows; from += BATCH_MESSAGES) {
    const values = Array.from({ length: Math.min(BATCH_MESSAGES, rows - from) }, (_, i) =>
      value(from + i),
    );
    const batch = batchOf(values, Date.now(), codec);
    bytes += batch.length;
    await producer.send(topic, partition, batch);
    partition = (partition + 1) % partitions;
  }
  await producer.close();
  return bytes;
}
