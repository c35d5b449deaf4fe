/** What tests write to topics, and how they look what is there without the product's own reader. */
import { randomUUID } from 'node:crypto';
import type { Producer } from 'kafkajs';
import { kafkaClient } from '../../scripts/services/kafka-client.ts';
import { type Codec, compressionTypes } from './kafka-codecs.ts';
import { endOffsets } from './kafka-topics.ts';
import { waitFor } from './wait-for.ts';

export interface Outgoing {
  /** Default: by the key's hash, or any. */
  readonly partition?: number;
  readonly key?: string | Buffer | null;
  /** Null is a tombstone. */
  readonly value: string | Buffer | null;
  readonly headers?: Readonly<Record<string, string>>;
  /** Milliseconds. Default: now. */
  readonly timestampMs?: number;
}

export interface ProduceOptions {
  /** Default `none`. */
  readonly compression?: Codec;
  /** Puts the messages into one transaction that ends so. Default: no transaction. */
  readonly transactional?: 'commit' | 'abort';
  /** Default -1: all copies in sync. */
  readonly acks?: -1 | 0 | 1;
}

export interface Written {
  readonly partition: number;
  readonly baseOffset: bigint;
}

export interface Incoming {
  readonly partition: number;
  readonly offset: bigint;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

export interface OpenProducer {
  /** Messages of one partition in one call are one batch. */
  send(topic: string, messages: readonly Outgoing[]): Promise<readonly Written[]>;
  close(): Promise<void>;
}

/**
 * One batch per partition, with a connection of its own, written once however slow the broker is to answer (unless `acks` is not
 * all). For a stream of batches: `openProducer`.
 * With `transactional` the markers are in the log when this returns.
 */
export async function produce(
  bootstrap: string,
  topic: string,
  messages: readonly Outgoing[],
  options: ProduceOptions = {},
): Promise<readonly Written[]> {
  if (options.transactional === undefined) {
    const idempotent = (options.acks ?? -1) === -1;
    const producer = await openProducer(bootstrap, { ...options, idempotent });
    try {
      return await producer.send(topic, messages);
    } finally {
      await producer.close();
    }
  }
  const producer = kafkaClient(bootstrap).producer({
    transactionalId: `test-${randomUUID()}`,
    idempotent: true,
    maxInFlightRequests: 1,
  });
  await producer.connect();
  try {
    const transaction = await producer.transaction();
    const written = await send(transaction, topic, messages, options);
    await (options.transactional === 'commit' ? transaction.commit() : transaction.abort());
    const parts = Object.entries(Object.groupBy(messages, ({ partition }) => partition ?? 'any'));
    if (parts.some(([partition]) => partition === 'any')) {
      throw new Error('a transaction of the kit names the partition of each message');
    }
    // A broker answers the end of a transaction before its markers are in the log.
    const lengths = new Map(parts.map(([partition, all]) => [Number(partition), all?.length ?? 0]));
    await waitFor(
      async () => {
        const ends = await endOffsets(bootstrap, topic);
        return written.every(({ partition, baseOffset }) => {
          const marker = baseOffset + BigInt(lengths.get(partition) ?? 0);
          return (ends[partition] ?? 0n) > marker;
        });
      },
      { what: `marker of a transaction on "${topic}"` },
    );
    return written;
  } finally {
    await producer.disconnect();
  }
}

/**
 * A producer that stays connected. With `idempotent` a send that Kafka's death interrupted is tried
 * again without writing twice, for `retries` times (default 8; about a second each).
 */
export async function openProducer(
  bootstrap: string,
  options: Omit<ProduceOptions, 'transactional'> & {
    readonly idempotent?: boolean;
    readonly retries?: number;
  } = {},
): Promise<OpenProducer> {
  const producer = kafkaClient(bootstrap).producer({
    idempotent: options.idempotent ?? false,
    ...(options.idempotent ? { maxInFlightRequests: 1 } : {}),
    retry: { retries: options.retries ?? 8, initialRetryTime: 100, maxRetryTime: 1_000 },
  });
  await producer.connect();
  return {
    send: (topic, messages) => send(producer, topic, messages, options),
    close: () => producer.disconnect(),
  };
}

async function send(
  sender: Pick<Producer, 'send'>,
  topic: string,
  messages: readonly Outgoing[],
  options: ProduceOptions,
): Promise<readonly Written[]> {
  const answers = await sender.send({
    topic,
    acks: options.acks ?? -1,
    compression: compressionTypes[options.compression ?? 'none'],
    messages: messages.map(({ partition, key, value, headers, timestampMs }) => ({
      ...(partition === undefined ? {} : { partition }),
      ...(key === undefined ? {} : { key }),
      ...(headers === undefined ? {} : { headers }),
      ...(timestampMs === undefined ? {} : { timestamp: String(timestampMs) }),
      value,
    })),
  });
  return answers.map((answer) => ({
    partition: answer.partition,
    baseOffset: BigInt(answer.baseOffset ?? -1),
  }));
}

/**
 * The first `count` committed messages of a topic, by partition and offset, read with kafkajs'
 * consumer in a group of its own.
 */
export async function consume(
  bootstrap: string,
  topic: string,
  count: number,
  options: { readonly timeoutMs?: number } = {},
): Promise<readonly Incoming[]> {
  const consumer = kafkaClient(bootstrap).consumer({
    groupId: `test-${randomUUID()}`,
    maxWaitTimeInMs: 100, // The consumer leaves only when its last fetch has come back.
  });
  const found: Incoming[] = [];
  await consumer.connect();
  try {
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ partition, message }) => {
        const { offset, key, value } = message;
        found.push({ partition, offset: BigInt(offset), key, value });
      },
    });
    await waitFor(() => found.length >= count, {
      what: `${count} messages of "${topic}"`,
      ...options,
    });
  } finally {
    await consumer.disconnect();
  }
  return found.sort((a, b) => a.partition - b.partition || Number(a.offset - b.offset));
}
