import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../base/clock.ts';
import { LoadError } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import type {
  KafkaConfig,
  KafkaWatch,
  TopicMetadata,
  WatchedEnd,
  WatchedPartition,
} from '../../sources/kafka/kafka.types.ts';
import type { KafkaHint } from '../messages.ts';
import { ClusterWatch } from './cluster-watch.ts';

/** Time passes when a test says so; what follows from a timer comes to rest before the next. */
class ManualClock implements Clock {
  #now = 0;
  readonly #timers = new Map<number, { at: number; fn: () => void }>();
  #next = 1;
  now = () => this.#now;
  setTimeout(fn: () => void, delayMs: number): number {
    const id = this.#next++;
    this.#timers.set(id, { at: this.#now + delayMs, fn });
    return id;
  }
  clearTimeout(id: number): void {
    this.#timers.delete(id);
  }
  async pass(ms: number): Promise<void> {
    const until = this.#now + ms;
    await turn();
    for (;;) {
      const first = [...this.#timers].sort((a, b) => a[1].at - b[1].at)[0];
      if (first === undefined || first[1].at > until) break;
      this.#timers.delete(first[0]);
      this.#now = first[1].at;
      first[1].fn();
      await turn();
    }
    this.#now = until;
  }
}
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Topics "a" and "b" of one or two partitions; a request waits until a test ends it or its time is over. */
class FakeBrokers implements KafkaWatch {
  readonly #clock: ManualClock;
  readonly ends = new Map<string, bigint>();
  readonly leaders = new Map<string, number[]>();
  readonly asked: string[] = [];
  readonly waiting: { leader: number; asked: readonly WatchedPartition[]; maxWaitMs: number }[] =
    [];
  readonly #wakes = new Set<() => void>();
  dead = new Set<number>();
  metadataFails = false;
  closed = 0;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  async metadataOf(topics: readonly string[]) {
    this.asked.push(`metadata ${topics.join(',')}`);
    if (this.metadataFails) throw new LoadError('KAFKA_UNREACHABLE', 'gone', { transient: true });
    return new Map(
      topics.map((topic): [string, TopicMetadata] => {
        const leaders = this.leaders.get(topic);
        const partitions = (leaders ?? []).map((leader, partition) => ({
          partition,
          leader,
          leaderEpoch: 0,
        }));
        return [topic, { errorCode: leaders === undefined ? 3 : 0, partitions }];
      }),
    );
  }

  async waitForData(
    leader: number,
    asked: readonly WatchedPartition[],
    { maxWaitMs }: { maxWaitMs: number },
  ): Promise<readonly WatchedEnd[]> {
    const what = asked.map(({ topic, partition, offset }) => `${topic}${partition}@${offset}`);
    this.asked.push(`wait ${leader}: ${what.sort().join(' ')}`);
    if (this.dead.has(leader))
      throw new LoadError('KAFKA_UNREACHABLE', 'gone', { transient: true });
    const request = { leader, asked, maxWaitMs };
    this.waiting.push(request);
    const look = () =>
      asked.map(({ topic, partition, offset }): WatchedEnd => {
        const end = this.ends.get(`${topic}${partition}`) ?? 10n;
        const isLed = this.leaders.get(topic)?.[partition] === leader;
        const errorCode = !isLed ? 6 : offset > end ? 1 : 0;
        return { topic, partition, errorCode, end };
      });
    const isOver = () =>
      look().some(({ errorCode, end }, i) => errorCode !== 0 || end > asked[i]!.offset);
    if (!isOver()) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          if (!isOver()) return;
          this.#wakes.delete(wake);
          resolve();
        };
        this.#wakes.add(wake);
        this.#clock.setTimeout(resolve, maxWaitMs);
      });
    }
    this.waiting.splice(this.waiting.indexOf(request), 1);
    return look();
  }

  grow(place: string, end: bigint): void {
    this.ends.set(place, end);
    this.wake();
  }
  wake(): void {
    for (const wake of [...this.#wakes]) wake();
  }
  async close() {
    this.closed += 1;
  }
}

let clock: ManualClock;
let brokers: FakeBrokers;
let watch: ClusterWatch;
let heard: KafkaHint[];
let isDeaf: boolean;

beforeEach(() => {
  clock = new ManualClock();
  brokers = new FakeBrokers(clock);
  brokers.leaders.set('a', [1, 2]);
  brokers.leaders.set('b', [1]);
  heard = [];
  isDeaf = false;
  watch = new ClusterWatch({
    kafka: {
      acquire: () => Promise.reject(new Error('the pool is for tasks')),
      openWatch: async () => brokers,
      close: async () => {},
    },
    config: { brokers: ['x:1'], readCommitted: true } as unknown as KafkaConfig,
    clock,
    log: silentLog,
    report: async (hints) => {
      if (isDeaf) throw new LoadError('BUS_TIMEOUT', 'nobody', { transient: true });
      heard.push(...hints);
      return hints.filter(({ jobId }) => jobId === 99).map(({ jobId }) => jobId);
    },
  });
});

afterEach(async () => {
  await watch.close();
  expect(brokers.closed).toBe(1);
});

const job = (jobId: number, topic: string, offsets: Record<string, string>, known = 2) => ({
  jobId,
  seq: 1,
  topic,
  known,
  offsets,
});
const waits = () => brokers.waiting.map(({ leader, asked }) => `${leader}:${asked.length}`).sort();

describe('a cluster watch', () => {
  it('one request waits at each broker, over the partitions of all jobs', async () => {
    watch.set([job(1, 'a', { 0: '10', 1: '10' }), job(2, 'b', { 0: '10' }, 1)]);
    await clock.pass(0);
    expect(waits()).toEqual(['1:2', '2:1']);
    await clock.pass(5_000);
    expect(waits()).toEqual(['1:2', '2:1']);
    expect(heard).toEqual([]);
  });

  it('waits longer and longer while nothing comes', async () => {
    watch.set([job(2, 'b', { 0: '10' }, 1)]);
    await clock.pass(60_000);
    expect(brokers.asked.filter((one) => one.startsWith('wait')).length).toBeLessThan(12);
    expect(brokers.waiting[0]?.maxWaitMs).toBe(20_000);
  });

  it('data is told at once and once, to those who wait before it', async () => {
    watch.set([job(1, 'b', { 0: '10' }, 1), job(2, 'b', { 0: '12' }, 1)]);
    await clock.pass(1_000);
    brokers.grow('b0', 12n);
    await clock.pass(10);
    expect(heard).toEqual([{ jobId: 1, ends: { 0: '12' }, look: false }]);
    await clock.pass(1_000);
    brokers.grow('b0', 13n);
    await clock.pass(10);
    expect(heard.slice(1)).toEqual([{ jobId: 2, ends: { 0: '13' }, look: false }]);
  });

  it('what comes while the long request waits is asked for beside it', async () => {
    watch.set([job(1, 'a', { 0: '10' })]);
    await clock.pass(30_000);
    watch.set([job(2, 'b', { 0: '10' }, 1)]);
    await clock.pass(0);
    expect(waits()).toEqual(['1:1', '1:1']);
    brokers.grow('b0', 11n);
    await clock.pass(0);
    expect(heard).toEqual([{ jobId: 2, ends: { 0: '11' }, look: false }]);
  });

  it('W2: a hint that nobody heard is told again', async () => {
    isDeaf = true;
    watch.set([job(2, 'b', { 0: '10' }, 1)]);
    await clock.pass(0);
    brokers.grow('b0', 11n);
    await clock.pass(1_000);
    isDeaf = false;
    await clock.pass(5_000);
    expect(heard).toEqual([{ jobId: 2, ends: { 0: '11' }, look: false }]);
  });

  it('a leader that moved is followed', async () => {
    watch.set([job(2, 'b', { 0: '10' }, 1)]);
    await clock.pass(1_000);
    brokers.leaders.set('b', [2]);
    brokers.wake();
    await clock.pass(1_000);
    expect(waits()).toEqual(['2:1']);
    brokers.grow('b0', 11n);
    await clock.pass(10);
    expect(heard).toEqual([{ jobId: 2, ends: { 0: '11' }, look: false }]);
  });

  it('a leader that moved away from a broker that says nothing is followed all the same', async () => {
    watch.set([job(2, 'b', { 0: '10' }, 1)]);
    await clock.pass(1_000);
    // The request that waits there is never answered.
    brokers.leaders.set('b', [2]);
    await clock.pass(11_000);
    brokers.grow('b0', 11n);
    await clock.pass(10);
    expect(heard).toContainEqual({ jobId: 2, ends: { 0: '11' }, look: false });
  });

  it('W3: a broker that is gone is asked again, and its jobs told to look, then and when it is back', async () => {
    brokers.dead.add(1);
    watch.set([job(2, 'b', { 0: '10' }, 1)]);
    await clock.pass(10_000);
    expect(heard).toEqual([{ jobId: 2, ends: {}, look: true }]);
    brokers.dead.clear();
    await clock.pass(6_000);
    expect(heard.length).toBe(2);
    expect(waits()).toEqual(['1:1']);
  });

  it('no broker at all: the jobs are told to look, and all goes on by itself', async () => {
    brokers.metadataFails = true;
    watch.set([job(2, 'b', { 0: '10' }, 1)]);
    await clock.pass(5_000);
    expect(heard).toEqual([{ jobId: 2, ends: {}, look: true }]);
    brokers.metadataFails = false;
    await clock.pass(10_000);
    expect(waits()).toEqual(['1:1']);
  });

  it.each([
    { name: 'a topic that has more partitions', topic: 'a', offsets: { 0: '10' }, known: 1 },
    { name: 'a topic that is gone', topic: 'gone', offsets: { 0: '10' }, known: 1 },
    { name: 'a position beyond the end', topic: 'b', offsets: { 0: '50' }, known: 1 },
  ])('$name: the job is told to look', async ({ topic, offsets, known }) => {
    watch.set([job(7, topic, offsets, known)]);
    await clock.pass(12_000);
    expect(heard[0]).toEqual({ jobId: 7, ends: {}, look: true });
  });

  it('a job that the FE does not have is dropped', async () => {
    watch.set([job(99, 'b', { 0: '10' }, 1)]);
    await clock.pass(0);
    brokers.grow('b0', 11n);
    await clock.pass(10);
    expect(watch.size).toBe(0);
  });
});
