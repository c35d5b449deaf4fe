/** The Kafka source against a real Kafka: what is produced is read exactly, and what goes wrong says so. */
import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaHandle, startKafka } from '../../scripts/services/kafka.ts';
import { kafkaClient } from '../../scripts/services/kafka-client.ts';
import { freePorts } from '../../scripts/services/ports.ts';
import { systemClock } from '../../src/base/clock.ts';
import { LoadError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import type { KafkaClient, KafkaConfig, KafkaPort } from '../../src/sources/kafka/kafka.types.ts';
import { createKafkaPort } from '../../src/sources/kafka/kafka-port.ts';
import { readKafkaProperties } from '../../src/sources/kafka/kafka-properties.ts';
import { kafkajsTransport } from '../../src/sources/kafka/kafkajs-transport.ts';
import { produce } from '../kit/kafka-messages.ts';
import { addPartitions, createTopic, deleteRecords, moveLeader } from '../kit/kafka-topics.ts';
import { waitFor } from '../kit/wait-for.ts';

const limits = { maxWaitMs: 300, minBytes: 1, maxBytes: 8 << 20 };
let port: KafkaPort;
let releases: (() => void)[] = [];

beforeAll(() => {
  port = createKafkaPort({
    open: kafkajsTransport({ connectTimeoutMs: 2_000 }),
    clock: systemClock,
    log: silentLog,
  });
});
afterAll(async () => {
  for (const release of releases) release();
  releases = [];
  await port.close();
});

async function client(
  brokers: string,
  properties: Record<string, string> = {},
  files: Record<string, string> = {},
): Promise<KafkaClient> {
  const config: KafkaConfig = readKafkaProperties(
    brokers,
    new Map(Object.entries(properties)),
    (name) => files[name] ?? '',
  );
  const { client: found, release } = await port.acquire(config);
  releases.push(release);
  return found;
}

/** Everything of one partition from an offset to the end, as `offset:value`. */
async function readAll(source: KafkaClient, topic: string, partition = 0, from = 0n) {
  const rows: string[] = [];
  const end = (await source.offsets(topic, [partition], 'end')).get(partition) ?? 0n;
  let offset = from;
  while (offset < end) {
    const [fetched] = await source.fetch(topic, [{ partition, offset, maxBytes: 1 << 20 }], limits);
    for (const batch of fetched?.batches ?? []) {
      for (let i = 0; i < batch.count; i++) {
        const start = batch.start[i] as number;
        const length = batch.length[i] as number;
        const value = Buffer.from(batch.bytes.subarray(start, start + length)).toString();
        const at = batch.offsetBase + BigInt(batch.offsetDelta[i] as number);
        rows.push(`${at}:${length < 0 ? 'null' : value}`);
      }
    }
    offset = fetched?.nextOffset ?? offset;
  }
  return { rows, nextOffset: offset };
}

/** A broker answers the end of a transaction before its marker is in the log. */
async function markersWritten(source: KafkaClient, topic: string, end: bigint): Promise<void> {
  await waitFor(async () => (await source.offsets(topic, [0], 'end')).get(0) === end, {
    what: `end ${end} of ${topic}`,
  });
}

async function errorOf(work: Promise<unknown>): Promise<LoadError> {
  const error = await work.then(
    () => new Error('nothing was thrown'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(LoadError);
  return error as LoadError;
}

describe('one broker with four listeners', () => {
  let kafka: KafkaHandle;
  beforeAll(async () => {
    kafka = await startKafka({ listeners: 'all' });
  });
  afterAll(async () => {
    await kafka?.stop();
  });

  it.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)('reads %s', async (compression) => {
    const topic = `source-${compression}`;
    await createTopic(kafka.bootstrap, topic, 1);
    const long = 'x'.repeat(200_000);
    const values = ['one', null, '', 'zwölf', long];
    const messages = values.map((value) => ({
      partition: 0,
      key: 'k',
      value,
      headers: { h: '1' },
    }));
    for (let i = 0; i < 3; i++) await produce(kafka.bootstrap, topic, messages, { compression });

    const { rows, nextOffset } = await readAll(await client(kafka.bootstrap), topic);
    const expected = [...values, ...values, ...values].map((value, i) => `${i}:${value}`);
    expect(rows).toEqual(expected);
    expect(nextOffset).toBe(15n);
    // From within a batch.
    expect((await readAll(await client(kafka.bootstrap), topic, 0, 7n)).rows).toEqual(
      expected.slice(7),
    );
  });

  it('read_committed: a producer that aborts again and again within one response', async () => {
    const topic = 'aborts';
    await createTopic(kafka.bootstrap, topic, 1);
    const producer = kafkaClient(kafka.bootstrap).producer({
      transactionalId: 'aborts',
      idempotent: true,
      maxInFlightRequests: 1,
    });
    await producer.connect();
    const expected: string[] = [];
    let offset = 0;
    for (let i = 0; i < 9; i++) {
      const commit = i % 3 === 1;
      const transaction = await producer.transaction();
      const messages = [{ value: `${i}a` }, { value: `${i}b` }];
      await transaction.send({ topic, messages });
      await (commit ? transaction.commit() : transaction.abort());
      if (commit) expected.push(`${offset}:${i}a`, `${offset + 1}:${i}b`);
      offset += 3;
    }
    await producer.disconnect();

    const reader = await client(kafka.bootstrap);
    await markersWritten(reader, topic, 27n);
    const committed = await readAll(reader, topic);
    expect(committed).toEqual({ rows: expected, nextOffset: 27n });
    const all = await client(kafka.bootstrap, { 'isolation.level': 'read_uncommitted' });
    expect((await readAll(all, topic)).rows).toHaveLength(18);
  });

  it('read_committed stops before a transaction that is open', async () => {
    const topic = 'open-transaction';
    await createTopic(kafka.bootstrap, topic, 1);
    await produce(kafka.bootstrap, topic, [{ value: 'plain' }]);
    const producer = kafkaClient(kafka.bootstrap).producer({
      transactionalId: 'open-transaction',
      idempotent: true,
      maxInFlightRequests: 1,
    });
    await producer.connect();
    const transaction = await producer.transaction();
    await transaction.send({ topic, messages: [{ value: 'open' }] });

    const source = await client(kafka.bootstrap);
    expect(await source.offsets(topic, [0], 'end')).toEqual(new Map([[0, 1n]]));
    const [fetched] = await source.fetch(
      topic,
      [{ partition: 0, offset: 0n, maxBytes: 1 << 20 }],
      limits,
    );
    expect(fetched).toMatchObject({ nextOffset: 1n, endOffset: 1n, highWatermark: 2n });

    await transaction.commit();
    await producer.disconnect();
    await markersWritten(source, topic, 3n);
    expect((await readAll(source, topic)).rows).toEqual(['0:plain', '1:open']);
  });

  it('an offset out of range is an error that says what there is, and is never reset', async () => {
    const topic = 'out-of-range';
    await createTopic(kafka.bootstrap, topic, 1);
    const messages = Array.from({ length: 10 }, (_, i) => ({ partition: 0, value: `${i}` }));
    await produce(kafka.bootstrap, topic, messages);
    await deleteRecords(kafka.bootstrap, topic, { 0: 4n });
    const source = await client(kafka.bootstrap);
    for (const offset of [3n, 11n, 2n ** 40n]) {
      const error = await errorOf(
        source.fetch(topic, [{ partition: 0, offset, maxBytes: 1000 }], limits),
      );
      expect(error.code).toBe('KAFKA_OFFSET_OUT_OF_RANGE');
      const found = { topic, partition: 0, offset: `${offset}`, beginning: '4', end: '10' };
      expect(error.details).toEqual(found);
    }
    expect(await source.offsets(topic, [0], 'beginning')).toEqual(new Map([[0, 4n]]));
    expect((await readAll(source, topic, 0, 4n)).rows).toHaveLength(6);
  });

  it('unknown topic, unknown partition, new partitions', async () => {
    const source = await client(kafka.bootstrap);
    expect(await errorOf(source.partitions('no-such-topic'))).toMatchObject({
      code: 'KAFKA_UNKNOWN_TOPIC',
      details: { topic: 'no-such-topic' },
    });
    await createTopic(kafka.bootstrap, 'grows', 2);
    expect(await source.partitions('grows')).toEqual([0, 1]);
    expect((await errorOf(source.offsets('grows', [2], 'end'))).code).toBe(
      'KAFKA_UNKNOWN_PARTITION',
    );
    await addPartitions(kafka.bootstrap, 'grows', 4);
    expect((await source.offsets('grows', [3], 'end')).get(3)).toBe(0n);
    expect(await source.partitions('grows')).toEqual([0, 1, 2, 3]);
  });

  it('a waiting fetch does not hold up metadata or another fetch, and ends when cancelled', async () => {
    const topic = 'waits';
    await createTopic(kafka.bootstrap, topic, 1);
    const source = await client(kafka.bootstrap);
    const asked = [{ partition: 0, offset: 0n, maxBytes: 1000 }];
    const abort = new AbortController();
    const waiting = source.fetch(
      topic,
      asked,
      { ...limits, maxWaitMs: 10_000, minBytes: 1000 },
      abort.signal,
    );
    const other = source.fetch(topic, asked, { ...limits, maxWaitMs: 100 });
    const first = await Promise.race([
      waiting.then(() => 'waiting'),
      Promise.all([source.partitions(topic), other]).then(() => 'others'),
    ]);
    expect(first).toBe('others');
    abort.abort();
    expect((await errorOf(waiting)).code).toBe('KAFKA_CLOSED');
  });

  it('notes group offsets for monitoring', async () => {
    const topic = 'groups';
    await createTopic(kafka.bootstrap, topic, 2);
    const source = await client(kafka.bootstrap);
    const noted = new Map([
      [0, 7n],
      [1, 2n ** 60n],
    ]);
    await source.commitGroup('watched', topic, noted);
    const admin = kafkaClient(kafka.bootstrap).admin();
    await admin.connect();
    const [found] = await admin.fetchOffsets({ groupId: 'watched', topics: [topic] });
    await admin.disconnect();
    expect(found?.partitions.map(({ offset }) => offset)).toEqual(['7', `${2n ** 60n}`]);
  });

  const sasl = (user: 'plain' | 'scramSha256' | 'scramSha512') => ({
    'sasl.mechanism': kafka.users[user].mechanism,
    'sasl.username': kafka.users[user].name,
    'sasl.password': kafka.users[user].password,
  });
  const files = () => ({ 'ca.pem': kafka.caPem });
  const ca = { 'ssl.ca.location': 'FILE:ca.pem' };

  it.each(['plain', 'scramSha256', 'scramSha512'] as const)('SASL, %s', async (user) => {
    const topic = `sasl-${user.toLowerCase()}`;
    await createTopic(kafka.bootstrap, topic, 1);
    await produce(kafka.bootstrap, topic, [{ value: 'a' }]);
    for (const listener of ['saslPlaintext', 'saslSsl'] as const) {
      const security = listener === 'saslSsl' ? 'SASL_SSL' : 'SASL_PLAINTEXT';
      const properties = { 'security.protocol': security, ...ca, ...sasl(user) };
      const source = await client(kafka.listeners[listener], properties, files());
      expect((await readAll(source, topic)).rows).toEqual(['0:a']);

      const wrong = { ...properties, 'sasl.password': 'wrong' };
      const refused = await client(kafka.listeners[listener], wrong, files());
      const error = await errorOf(refused.partitions(topic));
      expect([error.code, error.transient]).toEqual(['KAFKA_AUTH', false]);
      expect(JSON.stringify(error.details)).not.toContain('wrong');
    }
  });

  it('SSL: the authority and the host name are checked', async () => {
    await createTopic(kafka.bootstrap, 'tls', 1);
    const properties = { 'security.protocol': 'ssl', ...ca };
    const source = await client(kafka.listeners.ssl, properties, files());
    expect(await source.partitions('tls')).toEqual([0]);

    const unknown = await client(kafka.listeners.ssl, { 'security.protocol': 'ssl' });
    expect((await errorOf(unknown.partitions('tls'))).code).toBe('KAFKA_TLS');

    const otherName = kafka.listeners.ssl.replace('127.0.0.1', '[::ffff:127.0.0.1]');
    const mismatch = await errorOf(
      (await client(otherName, properties, files())).partitions('tls'),
    );
    expect(mismatch.code).toBe('KAFKA_TLS');
    expect(mismatch.hint).toContain('ssl.endpoint.identification.algorithm');
    const unchecked = { ...properties, 'ssl.endpoint.identification.algorithm': 'none' };
    expect(await (await client(otherName, unchecked, files())).partitions('tls')).toEqual([0]);
  });

  it.each([
    { protocol: 'ssl', listener: 'plaintext' },
    { protocol: 'plaintext', listener: 'ssl' },
    { protocol: 'plaintext', listener: 'saslPlaintext' },
  ] as const)('$protocol to a listener for $listener fails and says so', async (wrong) => {
    const properties = { 'security.protocol': wrong.protocol };
    const config = readKafkaProperties(
      kafka.listeners[wrong.listener],
      new Map(Object.entries(properties)),
      () => '',
    );
    const transport = await kafkajsTransport({ connectTimeoutMs: 2_000, requestTimeoutMs: 2_000 })(
      config,
    );
    const error = await errorOf(transport.metadata('tls'));
    expect(error.code).toMatch(/^KAFKA_(UNREACHABLE|TLS|TIMEOUT)$/);
    expect(error.hint).toContain('property.security.protocol');
    await transport.close();
  });

  it('brokers of the list that are dead or silent are passed over', async () => {
    const [dead = 0] = await freePorts(1);
    const silent = await silentServer();
    const topic = 'dead-first';
    await createTopic(kafka.bootstrap, topic, 1);
    const list = `127.0.0.1:${dead},127.0.0.1:${silent.port},${kafka.bootstrap}`;
    const config = readKafkaProperties(list, new Map(), () => '');
    const transport = await kafkajsTransport({ requestTimeoutMs: 500 })(config);
    expect(await transport.metadata(topic)).toMatchObject({ errorCode: 0 });
    await transport.close();
    await silent.untilGone();

    const none = readKafkaProperties(`127.0.0.1:${dead}`, new Map(), () => '');
    const unreachable = await kafkajsTransport()(none);
    const error = await errorOf(unreachable.metadata(topic));
    expect([error.code, error.transient]).toEqual(['KAFKA_UNREACHABLE', true]);
    await unreachable.close();
    silent.server.close();
  });

  it('closing rejects what waits and leaves no socket', async () => {
    const topic = 'closes';
    await createTopic(kafka.bootstrap, topic, 1);
    const config = readKafkaProperties(
      kafka.bootstrap,
      new Map([['client.id', 'closes']]),
      () => '',
    );
    const transport = await kafkajsTransport()(config);
    const before = sockets();
    const { partitions } = await transport.metadata(topic);
    const asked = [{ partition: 0, offset: 0n, maxBytes: 1000 }];
    const waiting = errorOf(
      transport.fetch(partitions[0]?.leader ?? -1, topic, asked, {
        maxWaitMs: 20_000,
        minBytes: 1,
        maxBytes: 1000,
        readCommitted: true,
      }),
    );
    await transport.listOffsets(partitions[0]?.leader ?? -1, topic, [0], -1n, true);
    await transport.close();
    expect((await waiting).code).toBe('KAFKA_CLOSED');
    expect((await errorOf(transport.metadata(topic))).code).toBe('KAFKA_CLOSED');
    await expect.poll(sockets).toBeLessThanOrEqual(before);
  });
});

describe('two brokers', () => {
  let kafka: KafkaHandle;
  beforeAll(async () => {
    kafka = await startKafka({ brokers: 2 });
  });
  afterAll(async () => {
    await kafka?.stop();
  });

  it('a leader that moves, and one that dies', async () => {
    const topic = 'moves';
    await createTopic(kafka.bootstrap, topic, 2, { 'min.insync.replicas': '1' });
    await moveLeader(kafka.bootstrap, topic, 0, 1);
    await moveLeader(kafka.bootstrap, topic, 1, 2);
    const both = [0, 1].map((partition) => ({ partition, value: `${partition}-a` }));
    await produce(kafka.bootstrap, topic, both);
    const source = await client(kafka.bootstrap);
    const asked = [0, 1].map((partition) => ({ partition, offset: 0n, maxBytes: 1 << 20 }));
    const fetched = await source.fetch(topic, asked, limits);
    expect(fetched.map(({ nextOffset }) => nextOffset)).toEqual([1n, 1n]);

    await moveLeader(kafka.bootstrap, topic, 0, 2);
    await produce(kafka.bootstrap, topic, [{ partition: 0, value: '0-b' }]);
    expect((await readAll(source, topic, 0)).rows).toEqual(['0:0-a', '1:0-b']);

    await moveLeader(kafka.bootstrap, topic, 1, 1);
    await kafka.kill(1);
    await expect
      .poll(() => readAll(source, topic, 1).catch((error: LoadError) => error.code), {
        timeout: 60_000,
        interval: 200,
      })
      .toEqual({ rows: ['0:1-a'], nextOffset: 1n });
  });
});

function sockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
}

/** Accepts and never answers, as a stopped process does. */
async function silentServer(): Promise<{
  server: Server;
  port: number;
  untilGone(): Promise<void>;
}> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    server,
    port: typeof address === 'object' && address !== null ? address.port : 0,
    untilGone: () => expect.poll(() => open.size).toBe(0),
  };
}
