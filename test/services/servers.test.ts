/** The servers of the tests are real, keep what they were given, and go when they should. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connect } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaHandle, startKafka } from '../../scripts/services/kafka.ts';
import { kafkaClient } from '../../scripts/services/kafka-client.ts';
import { type NatsHandle, startNats } from '../../scripts/services/nats.ts';
import { consume, openProducer, produce } from '../kit/kafka-messages.ts';
import {
  addPartitions,
  createTopic,
  deleteRecords,
  describeTopic,
  endOffsets,
  moveLeader,
  offsets,
} from '../kit/kafka-topics.ts';
import { waitFor } from '../kit/wait-for.ts';

const texts = (messages: readonly { readonly value: Buffer | null }[]) =>
  messages.map(({ value }) => value?.toString() ?? null);

describe('one broker with four listeners', () => {
  let kafka: KafkaHandle;
  beforeAll(async () => {
    kafka = await startKafka({ listeners: 'all' });
  });
  afterAll(async () => {
    await kafka?.stop();
    expect(existsSync(kafka.dir)).toBe(false);
  });

  it.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)(
    '%s: what is produced is consumed',
    async (compression) => {
      const topic = `codec-${compression}`;
      await createTopic(kafka.bootstrap, topic, 2);
      const long = 'x'.repeat(100_000);
      const written = await produce(
        kafka.bootstrap,
        topic,
        [
          { partition: 0, key: 'k', value: 'one' },
          { partition: 0, key: 'k', value: null },
          { partition: 1, value: long },
        ],
        { compression },
      );
      expect(written.map(({ partition }) => partition).sort()).toEqual([0, 1]);
      expect(texts(await consume(kafka.bootstrap, topic, 3))).toEqual(['one', null, long]);
    },
  );

  it('transactions: aborted messages are there, and not read', async () => {
    const topic = 'transactions';
    await createTopic(kafka.bootstrap, topic);
    const of = (value: string) => [{ partition: 0, value }];
    await produce(kafka.bootstrap, topic, of('kept'), { transactional: 'commit' });
    await produce(kafka.bootstrap, topic, of('gone'), { transactional: 'abort' });
    await produce(kafka.bootstrap, topic, of('plain'));
    // Three messages and the markers of two transactions.
    expect(await endOffsets(kafka.bootstrap, topic)).toEqual([5n]);
    expect(texts(await consume(kafka.bootstrap, topic, 2))).toEqual(['kept', 'plain']);
  });

  it('partitions are added, records deleted', async () => {
    const topic = 'topics';
    await createTopic(kafka.bootstrap, topic, 1);
    await addPartitions(kafka.bootstrap, topic, 3);
    await produce(kafka.bootstrap, topic, [
      { partition: 2, value: 'a' },
      { partition: 2, value: 'b' },
    ]);
    await deleteRecords(kafka.bootstrap, topic, { 2: 1n });
    expect(await offsets(kafka.bootstrap, topic)).toEqual([
      { start: 0n, end: 0n },
      { start: 0n, end: 0n },
      { start: 1n, end: 2n },
    ]);
    await deleteRecords(kafka.bootstrap, topic, { 2: -1 });
    expect((await offsets(kafka.bootstrap, topic))[2]).toEqual({ start: 2n, end: 2n });
  });

  it('an unknown topic is not made by asking for it', async () => {
    await expect(describeTopic(kafka.bootstrap, 'nowhere')).rejects.toThrow(/does not host/);
    await expect(describeTopic(kafka.bootstrap, 'nowhere')).rejects.toThrow(/does not host/);
  });

  describe('listeners', () => {
    const right = [
      { name: 'PLAINTEXT', listener: 'plaintext', user: undefined },
      { name: 'SSL', listener: 'ssl', user: undefined },
      { name: 'SASL_PLAINTEXT with PLAIN', listener: 'saslPlaintext', user: 'plain' },
      { name: 'SASL_PLAINTEXT with SCRAM-SHA-256', listener: 'saslPlaintext', user: 'scramSha256' },
      { name: 'SASL_PLAINTEXT with SCRAM-SHA-512', listener: 'saslPlaintext', user: 'scramSha512' },
      { name: 'SASL_SSL with PLAIN', listener: 'saslSsl', user: 'plain' },
      { name: 'SASL_SSL with SCRAM-SHA-256', listener: 'saslSsl', user: 'scramSha256' },
      { name: 'SASL_SSL with SCRAM-SHA-512', listener: 'saslSsl', user: 'scramSha512' },
    ] as const;
    type Case = (typeof right)[number];

    const connectAs = async (
      { listener, user }: Pick<Case, 'listener' | 'user'>,
      wrong: { password?: string; ca?: boolean } = {},
    ) => {
      const known = user === undefined ? undefined : kafka.users[user];
      const tls = listener === 'ssl' || listener === 'saslSsl';
      const client = kafkaClient(kafka.listeners[listener], {
        retry: { retries: 0 },
        ...(tls ? { ssl: wrong.ca ? true : { ca: [kafka.caPem] } } : {}),
        ...(known === undefined
          ? {}
          : {
              sasl: {
                mechanism: known.mechanism.toLowerCase() as 'plain',
                username: known.name,
                password: wrong.password ?? known.password,
              },
            }),
      });
      const admin = client.admin();
      try {
        await admin.connect();
        const { brokers } = await admin.describeCluster();
        return brokers.map(({ host, port }) => `${host}:${port}`).join(',');
      } finally {
        await admin.disconnect();
      }
    };

    it.each(right)('$name lets in, and names itself', async (one) => {
      expect(await connectAs(one)).toBe(kafka.listeners[one.listener]);
    });
    it.each(right.filter(({ user }) => user !== undefined))(
      '$name: wrong password',
      async (one) => {
        await expect(connectAs(one, { password: 'guess' })).rejects.toThrow(/auth/i);
      },
    );
    it('SSL: an authority nobody named is not trusted', async () => {
      await expect(connectAs({ listener: 'ssl', user: undefined }, { ca: true })).rejects.toThrow(
        /certificate/,
      );
    });
  });

  it('kill -9 and restart: the same addresses, the same data', async () => {
    const topic = 'survivor';
    await createTopic(kafka.bootstrap, topic);
    await produce(kafka.bootstrap, topic, [{ value: 'before' }]);
    const { bootstrap } = kafka;
    const [broker] = kafka.brokers;
    await kafka.kill();
    expect(kafka.brokers[0]?.pid).toBeUndefined();
    expect(() => process.kill(broker!.pid!, 0)).toThrow(/ESRCH/);
    await kafka.restart();
    expect(kafka.bootstrap).toBe(bootstrap);
    await produce(kafka.bootstrap, topic, [{ value: 'after' }]);
    expect(texts(await consume(kafka.bootstrap, topic, 2))).toEqual(['before', 'after']);
  });
});

describe('two brokers', () => {
  let kafka: KafkaHandle;
  beforeAll(async () => {
    kafka = await startKafka({ brokers: 2 });
  });
  afterAll(() => kafka?.stop());

  it('a leader moves when it is told to, and when its broker dies', async () => {
    const topic = 'moving';
    await createTopic(kafka.bootstrap, topic, 2);
    const [first] = await describeTopic(kafka.bootstrap, topic);
    expect(first?.replicas.toSorted()).toEqual([1, 2]);
    await produce(kafka.bootstrap, topic, [{ partition: 0, value: 'a' }]);

    await moveLeader(kafka.bootstrap, topic, 0, 2);
    expect((await describeTopic(kafka.bootstrap, topic))[0]).toMatchObject({ leader: 2 });
    await moveLeader(kafka.bootstrap, topic, 0, 1);
    expect((await describeTopic(kafka.bootstrap, topic))[0]).toEqual({
      ...{ partition: 0, leader: 1, replicas: [1, 2] },
      inSync: expect.toSatisfy((nodes: number[]) => nodes.length === 2),
    });
    await produce(kafka.bootstrap, topic, [{ partition: 0, value: 'b' }]);

    await kafka.kill(0);
    await waitFor(
      async () => (await describeTopic(kafka.bootstrap, topic)).every(({ leader }) => leader === 2),
      { what: 'other leader' },
    );
    const producer = await openProducer(kafka.bootstrap, { idempotent: true, retries: 20 });
    await producer.send(topic, [{ partition: 0, value: 'c' }]);
    await producer.close();
    expect(texts(await consume(kafka.bootstrap, topic, 3))).toEqual(['a', 'b', 'c']);

    await kafka.restart(0);
    await waitFor(
      async () =>
        (await describeTopic(kafka.bootstrap, topic)).every(({ inSync }) => inSync.length === 2),
      { what: 'copy in sync again' },
    );
  });
});

describe('nats', () => {
  let nats: NatsHandle;
  beforeAll(async () => {
    nats = await startNats();
  });
  afterAll(() => nats?.stop());

  it('kill -9 and restart: the same address, the same data', async () => {
    const { url } = nats;
    const client = await connect({ servers: url });
    const manager = await client.jetstreamManager();
    await manager.streams.add({ name: 'kept', subjects: ['kept.>'] });
    await client.jetstream().publish('kept.one', 'hello');
    await client.close();

    await nats.kill();
    expect(nats.pid).toBeUndefined();
    await expect(connect({ servers: url, reconnect: false })).rejects.toThrow();
    await nats.restart();
    expect(nats.url).toBe(url);

    const again = await connect({ servers: url });
    const stream = await again.jetstream().streams.get('kept');
    expect((await stream.getMessage({ seq: 1 })).string()).toBe('hello');
    await again.close();
  });
});

it('B1: a server and its directory go with a process that is killed by SIGKILL', async () => {
  const nats = join(import.meta.dirname, '..', '..', 'scripts', 'services', 'nats.ts');
  const script = `
    const { startNats } = await import(${JSON.stringify(nats)});
    const { pid, dir } = await startNats();
    console.log(JSON.stringify({ pid, dir }));
    setInterval(() => {}, 1000);`;
  const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface(holder.stdout), 'line')) as [string];
  const { pid, dir } = JSON.parse(line) as { pid: number; dir: string };
  process.kill(pid, 0);
  expect(existsSync(dir)).toBe(true);
  holder.kill('SIGKILL');
  await waitFor(() => !isAlive(pid) && !existsSync(dir), { what: 'end of the server' });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
