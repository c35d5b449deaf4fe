/** Seconds that kafkajs' own consumer takes to hand over all messages of a topic. */
import { randomUUID } from 'node:crypto';
import { kafkaClient } from '../../scripts/services/kafka-client.ts';
import '../../test/kit/kafka-codecs.ts';

export async function readBare(bootstrap: string, topic: string, rows: number): Promise<number> {
  const consumer = kafkaClient(bootstrap).consumer({ groupId: `bench-${randomUUID()}` });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  let seen = 0;
  let fromMs = 0;
  const done = Promise.withResolvers<number>();
  await consumer.run({
    eachBatch: async ({ batch }) => {
      if (seen === 0) fromMs = performance.now();
      seen += batch.messages.length;
      if (seen >= rows) done.resolve((performance.now() - fromMs) / 1_000);
    },
  });
  const seconds = await done.promise;
  await consumer.disconnect();
  return seconds;
}
