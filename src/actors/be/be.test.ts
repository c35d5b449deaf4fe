import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { waitFor } from '../../../test/kit/wait-for.ts';
import { type Clock, systemClock } from '../../base/clock.ts';
import { LoadError, toErrorData } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import { systemRandom } from '../../base/random.ts';
import type { TableSchema } from '../../base/table-schema.ts';
import { createDuckDbEngine } from '../../engine/duckdb-engine.ts';
import type { Engine } from '../../engine/engine.types.ts';
import { messages } from '../../formats/messages.fixture.ts';
import { createLocalHub, type LocalHub } from '../../protocol/local/local-bus.ts';
import { createPartHub } from '../../protocol/local/part-hub.ts';
import { connectPartStore } from '../../protocol/local/part-store.ts';
import type { FetchedPartition, KafkaClient, KafkaWatch } from '../../sources/kafka/kafka.types.ts';
import { createMemoryStore } from '../../storage/memory-store.ts';
import { openTabletStore } from '../../storage/tablet-store.ts';
import type { TabletStore } from '../../storage/tablet-store.types.ts';
import {
  beSubject,
  type FeStamp,
  type HelloReply,
  type Outcome,
  type RegisterRequest,
  type TaskRunReply,
  type TaskRunRequest,
} from '../messages.ts';
import { type BeOptions, type BeService, createBeService } from './be.ts';
import { openBeWork } from './be-work.ts';
import { runTask } from './task-run.ts';

/** Ten times as fast: the BE asks again after seconds. */
const fastClock: Clock = {
  ...systemClock,
  now: () => systemClock.now() * 10,
  setTimeout: (fn, delayMs) => systemClock.setTimeout(fn, delayMs / 10),
  setImmediate: (fn) => {
    turns += 1;
    systemClock.setImmediate?.(fn);
  },
};
/** How often a load left its thread to others. */
let turns: number;
const ports = { clock: systemClock, log: silentLog };
const fe: FeStamp = { epoch: 2, incarnation: 'fe-2', seq: 10 };
const BASE = 100n;
const schema: TableSchema = {
  tableId: 7,
  schemaId: 1,
  model: 'DUPLICATE',
  columns: [
    { id: 1, name: 'k', type: { name: 'INT' }, nullable: false, isKey: true },
    { id: 2, name: 'v', type: { name: 'VARCHAR', length: 20 }, nullable: true, isKey: false },
  ],
  bucketColumns: ['k'],
};

let root: string;
let engine: Engine;
let hub: LocalHub;
let store: TabletStore;
let service: BeService;
/** Messages by partition; their offsets begin at BASE. */
let log: Record<number, readonly (string | null)[]>;
/** Partitions whose fetch fails; with one of them, the others wait for rows that never come. */
let broken: Set<number>;
/** More comes whatever was read. */
let endless: boolean;
let commits: ReadonlyMap<number, bigint>[];
let loadWork: BeOptions['loadWork'];
/** What the little FE says and has heard. */
let hello: Partial<HelloReply>;
let outcome: Outcome;
/** Who answers `fe.ask` and `fe.register`. */
let answering: FeStamp;
let asked: number;
let hellos: number;
let registrations: RegisterRequest[];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'be-'));
  engine = await createDuckDbEngine({ tempDir: root, memoryLimitMb: 200, partDirs: [root] });
});

afterAll(async () => {
  await engine.close();
  await rm(root, { recursive: true, force: true });
});

beforeEach(async () => {
  log = {};
  commits = [];
  hello = {};
  loadWork = () => openBeWork;
  outcome = { kind: 'undecided' };
  answering = fe;
  asked = 0;
  broken = new Set();
  endless = false;
  turns = 0;
  hellos = 0;
  registrations = [];
  hub = createLocalHub(ports);
  const dir = await mkdtemp(join(root, 'store-'));
  store = await openTabletStore({
    ...ports,
    store: createMemoryStore(),
    dir,
    engine,
    random: systemRandom,
    freeBytesMin: 0,
  });
  answerAsFe();
  service = createBeService({
    log: silentLog,
    clock: fastClock,
    name: 'be-1',
    store,
    engine,
    bus: hub.bus('be-1'),
    parts: connectPartStore(createPartHub(ports), 'be-1', ports),
    kafka: {
      acquire: async () => ({ client: fakeKafka(), release: () => {} }),
      openWatch: async () => fakeWatch,
      close: async () => {},
    },
    loadWork: () => loadWork(),
    runTask,
    random: systemRandom,
  });
});

afterEach(async () => {
  await service.close();
  await store.close();
  await hub.close();
});

function answerAsFe(): void {
  const bus = hub.bus('fe');
  const settled = (txnIds: readonly number[]) => txnIds.map((txnId) => ({ txnId, outcome }));
  bus.respond('fe.hello', () => {
    hellos += 1;
    return { fe, clusterId: 'c', knowsPromise: true, ...hello };
  });
  bus.respond('fe.*.register', (body) => {
    const request = body as RegisterRequest;
    registrations.push(request);
    const outcomes = settled(request.inDoubt.map(({ txnId }) => txnId));
    return { fe: answering, outcomes, drop: [], damaged: [], beatMs: 200 };
  });
  bus.respond('fe.*.beat', () => ({ fe, register: false, drop: [] }));
  bus.respond('fe.*.ask', (body) => {
    asked += 1;
    return { fe: answering, outcomes: settled((body as { txnIds: number[] }).txnIds) };
  });
}

/** Two messages a fetch, so that a task needs several. */
function fakeKafka(): KafkaClient {
  return {
    partitions: async () => Object.keys(log).map(Number),
    offsets: async (_topic, partitions, at) =>
      new Map(partitions.map((p) => [p, at === 'end' ? endOf(p) : BASE])),
    fetch: async (topic, partitions, _limits, signal) => {
      if (partitions.some(({ partition }) => broken.has(partition))) {
        throw new LoadError('KAFKA_CRC', 'damaged', { details: { topic, partition: 4 } });
      }
      if (broken.size > 0) await new Promise((gone) => signal?.addEventListener('abort', gone));
      if (endless) await new Promise(setImmediate);
      return partitions.map(({ partition, offset }): FetchedPartition => {
        const at = Number(offset - BASE);
        const found = endless ? ['1,a', '2,b'] : (log[partition] ?? []).slice(at, at + 2);
        const batch = { ...messages(...found), partition, offsetBase: offset };
        return {
          partition,
          batches: found.length === 0 ? [] : [batch],
          nextOffset: offset + BigInt(found.length),
          endOffset: endOf(partition),
          highWatermark: endOf(partition),
          bytes: batch.bytes.length,
        };
      });
    },
    commitGroup: async (_group, _topic, offsets) => {
      commits.push(offsets);
    },
    close: async () => {},
  };
}

/** Nobody is woken by it. */
const fakeWatch: KafkaWatch = {
  metadataOf: async () => new Map(),
  waitForData: () => new Promise(() => {}),
  close: async () => {},
};

const endOf = (partition: number): bigint =>
  BASE + (endless ? 1_000_000_000n : BigInt(log[partition]?.length ?? 0));

function task(change: Partial<TaskRunRequest> = {}): TaskRunRequest {
  const { beId, incarnation } = store;
  return {
    fe,
    txnId: 1,
    attempt: 0,
    label: 'l1',
    kafka: {
      brokers: ['b:1'],
      clientId: 'c',
      security: 'plaintext',
      readCommitted: true,
      checkCrcs: true,
    },
    topic: 't',
    groupId: 'g',
    ranges: Object.keys(log).map((p) => ({ partition: Number(p), from: String(BASE) })),
    limits: { bytesMax: 1_000_000, consumeMs: 10_000 },
    format: { kind: 'csv', columnSeparator: ',', rowDelimiter: '\n', trimSpace: false },
    fields: schema.columns.map(({ name, type, nullable }) => ({ name, type, nullable })),
    transform: {
      schema,
      sources: [
        { kind: 'field', field: 0 },
        { kind: 'field', field: 1 },
      ],
      strict: true,
      context: { timezone: 'UTC', nowMs: 0, seed: 's' },
    },
    target: {
      tableId: 7,
      buckets: 2,
      tablets: [0, 1].map((bucket) => ({ tabletId: 70 + bucket, bucket, beId, incarnation })),
    },
    rejectsMax: 50,
    ...change,
  };
}

function ask<T>(verb: string, body: unknown): Promise<T> {
  const subject = beSubject(store.beId, store.incarnation, verb);
  return hub.bus('asker').request<T>(subject, body, { timeoutMs: 5_000 });
}

const run = (change?: Partial<TaskRunRequest>) => ask<TaskRunReply>('task-run', task(change));

async function staged(change?: Partial<TaskRunRequest>) {
  const reply = await run(change);
  if (reply.kind !== 'staged') throw new Error('nothing was staged');
  return reply;
}

const codeOf = (asked: Promise<unknown>) =>
  asked.then(
    () => 'answered',
    (error: unknown) => toErrorData(error).code,
  );

describe('registration', () => {
  test('a promise, durable, before it registers', async () => {
    await service.start();
    expect(service.registered).toBe(true);
    expect(store.promise).toMatchObject({ epoch: 2, incarnation: 'fe-2' });
    expect(registrations[0]?.promise).toMatchObject({ epoch: 2, incarnation: 'fe-2' });
  });

  test.each<{ name: string; promisedSeq: number; hello: Partial<HelloReply> }>([
    { name: 'that never had the promise', promisedSeq: 5, hello: { knowsPromise: false } },
    { name: 'behind what was seen', promisedSeq: 11, hello: {} },
    { name: 'that refuses', promisedSeq: 5, hello: { refused: 'dropped' } },
  ])('an FE $name gets no registration and is asked again', async (row) => {
    await store.promiseTo(fe, row.promisedSeq);
    hello = row.hello;
    void service.start();
    await waitFor(() => hellos >= 2, { what: 'a second hello', timeoutMs: 4_500 });
    expect({ registered: service.registered, registrations }).toEqual({
      registered: false,
      registrations: [],
    });
  });

  test('before it, no load is taken', async () => {
    hello = { refused: 'not yet' };
    void service.start();
    log = { 0: ['1,a'] };
    expect(await codeOf(run())).toBe('NOT_REGISTERED');
    expect(store.inDoubt()).toEqual([]);
  });

  test.each<{ name: string; outcome: Outcome; version: number | undefined }>([
    {
      name: 'committed',
      outcome: { kind: 'committed', attempt: 0, versions: [{ tabletId: 70, version: 2 }] },
      version: 2,
    },
    { name: 'aborted', outcome: { kind: 'aborted' }, version: undefined },
  ])('a vote in doubt is asked about until it is $name', async (row) => {
    await service.start();
    log = { 0: ['1,a'] };
    const target = { ...task().target, buckets: 1, tablets: task().target.tablets.slice(0, 1) };
    await staged({ target });
    expect(store.inDoubt()).toEqual([{ txnId: 1, attempt: 0 }]);
    outcome = row.outcome;
    await waitFor(() => store.inDoubt().length === 0, { what: 'the decision', timeoutMs: 4_500 });
    const rows = store.tablets().find(({ tabletId }) => tabletId === 70)?.rows ?? 0;
    expect(rows).toBe(row.outcome.kind === 'committed' ? 1 : 0);
  });
});

describe('answers of an FE that this BE is not promised to', () => {
  const other: FeStamp = { epoch: 1, incarnation: 'fe-1', seq: 90 };

  test('decide no transaction in doubt', async () => {
    await service.start();
    log = { 0: ['1,a'] };
    await staged();
    outcome = { kind: 'aborted' };
    answering = other;
    await waitFor(() => asked >= 2, { what: 'a second question', timeoutMs: 4_500 });
    expect(store.inDoubt()).toEqual([{ txnId: 1, attempt: 0 }]);
  });

  test('are no registration', async () => {
    answering = other;
    void service.start();
    await waitFor(() => hellos >= 2, { what: 'a second hello', timeoutMs: 4_500 });
    expect(service.registered).toBe(false);
  });
});

describe('task-run', () => {
  beforeEach(() => service.start());

  test('two partitions to two tablets, positions and ends', async () => {
    log = { 0: ['1,a', '2,b', '3,c'], 4: ['4,d', null] };
    const reply = await staged();
    expect(reply.progress).toEqual({
      0: { from: '100', to: '103' },
      4: { from: '100', to: '102' },
    });
    expect(reply.ends).toEqual({ 0: '103', 4: '102' });
    expect(reply.counts).toMatchObject({ loaded: 4, filtered: 0, unselected: 0, empty: 1 });
    const [vote, ...more] = reply.votes;
    expect(more).toEqual([]);
    expect(vote?.tablets.reduce((sum, { rows }) => sum + rows, 0)).toBe(4);
    expect(store.inDoubt()).toEqual([{ txnId: 1, attempt: 0 }]);
  });

  test('nothing new is empty and stages nothing', async () => {
    log = { 0: [] };
    expect(await run()).toEqual({ kind: 'empty' });
    expect(store.inDoubt()).toEqual([]);
  });

  test('rejects of the reader and of the sink keep their offsets; the kept are bounded', async () => {
    log = { 0: ['1,a', 'x,b', '2,this text is longer than twenty bytes', '3,c,d'] };
    const reply = await staged();
    expect(reply.counts).toMatchObject({ loaded: 1, filtered: 3 });
    const { rejects } = await ask<{ rejects: { partition: number; offset: string }[] }>('rejects', {
      txnId: 1,
    });
    expect(rejects.map(({ partition, offset }) => `${partition}@${offset}`).sort()).toEqual([
      '0@101',
      '0@102',
      '0@103',
    ]);
    const bounded = await staged({ txnId: 2, label: 'l2', rejectsMax: 1 });
    expect(bounded.counts.filtered).toBe(3);
    expect(bounded.rejects).toEqual({ beId: store.beId, count: 1 });
  });

  test('messages without a row move the position without a vote', async () => {
    log = { 0: [null, null] };
    const reply = await staged();
    expect({ votes: reply.votes, progress: reply.progress }).toEqual({
      votes: [],
      progress: { 0: { from: '100', to: '102' } },
    });
  });

  test('between pieces of large messages other work of the thread has its turn', async () => {
    const long = Array.from({ length: 12 }, (_, i) => `${i},${'x'.repeat(64 * 1024)}`);
    log = { 0: long, 1: ['1,a'] };
    await service.start();
    const reply = await staged({ transform: { ...task().transform, strict: false } });
    expect(reply.progress).toMatchObject({ 0: { to: String(BASE + 12n) } });
    // 12 of 64 KiB: after each 256 KiB.
    expect(turns).toBe(3);
  });

  test('the byte limit ends it behind what was taken', async () => {
    log = { 0: ['1,a', '2,b', '3,c', '4,d'] };
    const limits = { bytesMax: 1, consumeMs: 10_000 };
    expect((await staged({ limits })).progress).toEqual({ 0: { from: '100', to: '102' } });
  });

  test('its time ends it, wherever its partitions are and however much is to come', async () => {
    log = { 0: [], 1: [], 2: [] };
    endless = true;
    const reply = await staged({ limits: { bytesMax: 1_000_000_000, consumeMs: 300 } });
    const read = Object.values(reply.progress).map(({ from, to }) => Number(to) - Number(from));
    expect(read.reduce((sum, rows) => sum + rows, 0)).toBe(reply.counts.loaded);
  });

  test.each([
    { name: 'an older epoch', stamp: { ...fe, epoch: 1 } },
    { name: 'another FE of the same epoch', stamp: { ...fe, incarnation: 'twin' } },
  ])('$name is refused', async ({ stamp }) => {
    log = { 0: ['1,a'] };
    expect(await codeOf(run({ fe: stamp }))).toBe('EPOCH_STALE');
    expect(store.inDoubt()).toEqual([]);
  });

  test('what comes before the work is loaded waits for it, and it is loaded once', async () => {
    log = { 0: ['1,a'] };
    const loaded = Promise.withResolvers<typeof openBeWork>();
    const asked = Promise.withResolvers<void>();
    let loads = 0;
    loadWork = () => {
      loads += 1;
      asked.resolve();
      return loaded.promise;
    };
    const both = [staged(), staged({ txnId: 2 })];
    await asked.promise;
    loaded.resolve(openBeWork);
    for (const reply of await Promise.all(both)) expect(reply.counts.loaded).toBe(1);
    expect(loads).toBe(1);
  });

  test('I5: a message that has become stale while the work was loaded is refused', async () => {
    log = { 0: ['1,a'] };
    const loaded = Promise.withResolvers<typeof openBeWork>();
    const asked = Promise.withResolvers<void>();
    loadWork = () => {
      asked.resolve();
      return loaded.promise;
    };
    const code = codeOf(run());
    await asked.promise;
    await store.promiseTo({ epoch: 3, incarnation: 'fe-3' }, 1);
    loaded.resolve(openBeWork);
    expect(await code).toBe('EPOCH_STALE');
    expect(store.inDoubt()).toEqual([]);
  });

  test('the error of one partition ends the others and leaves nothing', async () => {
    log = { 0: ['1,a'], 4: ['2,b'] };
    broken = new Set([4]);
    const limits = { bytesMax: 1_000_000, consumeMs: 1_000_000 };
    expect(await codeOf(run({ limits }))).toBe('KAFKA_CRC');
    expect(store.inDoubt()).toEqual([]);
  });

  test('group offsets go out with the publish, not before', async () => {
    log = { 0: ['1,a'] };
    const reply = await staged();
    expect(commits).toEqual([]);
    const versions = (reply.votes[0]?.tablets ?? []).map(({ tabletId }) => ({
      tabletId,
      version: 2,
    }));
    await ask('publish', { fe, txnId: 1, attempt: 0, versions });
    await waitFor(() => commits.length > 0, { what: 'the group offsets', timeoutMs: 4_500 });
    expect(commits).toEqual([new Map([[0, 101n]])]);
  });

  test('an aborted transaction leaves nothing and sends no offsets', async () => {
    log = { 0: ['1,a'] };
    await staged();
    await ask('abort', { fe, txnId: 1, attempt: 0 });
    expect({ doubt: store.inDoubt(), commits }).toEqual({ doubt: [], commits: [] });
  });
});
