/** Planted between a BE and the brokers. */
import type { KafkaTransport } from '../../src/sources/kafka/kafka.types.ts';
import type { Mutant } from '../harness.ts';

const transport = (change: (own: KafkaTransport) => Partial<KafkaTransport>) => ({
  wrapTransport: (own: KafkaTransport): KafkaTransport => ({ ...own, ...change(own) }),
});

export const KAFKA_MUTANTS: readonly Mutant[] = [
  {
    name: 'kafka.aborted-read',
    ...transport((own) => ({
      fetch: async (...args) =>
        (await own.fetch(...args)).map((one) => ({ ...one, abortedTransactions: [] })),
    })),
  },
  {
    name: 'kafka.fetch-one-later',
    ...transport((own) => ({
      fetch: (leader, topic, asked, limits) =>
        own.fetch(
          leader,
          topic,
          asked.map((one) => ({ ...one, offset: one.offset + 1n })),
          limits,
        ),
    })),
  },
  {
    name: 'kafka.wrong-partition',
    ...transport((own) => ({
      fetch: async (leader, topic, asked, limits) => {
        const answers = await own.fetch(
          leader,
          topic,
          asked.map((one) => ({ ...one, partition: 0 })),
          limits,
        );
        return answers.map((one, i) => ({ ...one, partition: asked[i]?.partition ?? 0 }));
      },
    })),
  },
  {
    name: 'kafka.beginning-is-end',
    ...transport((own) => ({
      listOffsets: (leader, topic, partitions, _at, committed) =>
        own.listOffsets(leader, topic, partitions, -1n, committed),
    })),
  },
];
