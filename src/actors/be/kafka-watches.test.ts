import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import type { Bus } from '../../protocol/bus.types.ts';
import type { KafkaConfig, WatchedPartition } from '../../sources/kafka/kafka.types.ts';
import type { KafkaWatchRequest } from '../messages.ts';
import { KafkaWatches } from './kafka-watches.ts';

const plain = { brokers: ['x:1'], security: 'plaintext', readCommitted: true };
const tls = { ...plain, security: 'ssl' };

/** By security: what is asked for at the broker, the last request last. */
let asked: { security: string; positions: string[] }[];
let closed: string[];
let watches: KafkaWatches;

beforeEach(() => {
  asked = [];
  closed = [];
  watches = new KafkaWatches({
    beId: 'be',
    clock: systemClock,
    log: silentLog,
    bus: {} as Bus,
    kafka: {
      acquire: () => Promise.reject(new Error('the pool is for tasks')),
      close: async () => {},
      openWatch: async ({ security }) => ({
        metadataOf: async (topics) =>
          new Map(
            topics.map((topic) => [
              topic,
              { errorCode: 0, partitions: [{ partition: 0, leader: 1, leaderEpoch: 0 }] },
            ]),
          ),
        waitForData: (_leader: number, of: readonly WatchedPartition[]) => {
          asked.push({ security, positions: of.map((one) => `${one.topic}@${one.offset}`).sort() });
          return new Promise(() => {});
        },
        close: async () => {
          closed.push(security);
        },
      }),
    },
  });
});
afterEach(() => watches.close());

const settle = async () => {
  for (let i = 0; i < 5; i++) await new Promise<void>((resolve) => setImmediate(resolve));
};
const job = (jobId: number, seq: number, offset: string) => ({
  jobId,
  seq,
  topic: `t${jobId}`,
  known: 1,
  offsets: { 0: offset },
});
const message = (
  of: Partial<Omit<KafkaWatchRequest, 'kafka'>> & { kafka?: object; incarnation?: string },
): KafkaWatchRequest => ({
  fe: { epoch: 1, incarnation: of.incarnation ?? 'fe-1', seq: 1 },
  kafka: (of.kafka ?? plain) as KafkaConfig,
  jobs: of.jobs ?? [],
  drop: of.drop ?? [],
});

it('security that differs is another watcher', async () => {
  watches.set(message({ jobs: [job(1, 1, '5')] }));
  watches.set(message({ jobs: [job(2, 2, '6')], kafka: tls }));
  await settle();
  expect(asked).toEqual([
    { security: 'plaintext', positions: ['t1@5'] },
    { security: 'ssl', positions: ['t2@6'] },
  ]);
});

it('W2: an older message that comes later changes nothing', async () => {
  watches.set(message({ jobs: [job(1, 7, '50')] }));
  watches.set(message({ jobs: [job(1, 6, '40')], drop: [{ jobId: 1, seq: 5 }] }));
  await settle();
  expect(asked).toEqual([{ security: 'plaintext', positions: ['t1@50'] }]);
  expect(closed).toEqual([]);
});

it('W2: a drop that overtook what it drops still holds', async () => {
  watches.set(message({ drop: [{ jobId: 1, seq: 2 }] }));
  watches.set(message({ jobs: [job(1, 1, '5')] }));
  await settle();
  expect(asked).toEqual([]);
});

it('the last job of a configuration takes its connections with it', async () => {
  watches.set(message({ jobs: [job(1, 1, '5'), job(2, 2, '6')] }));
  await settle();
  watches.set(message({ drop: [{ jobId: 1, seq: 3 }] }));
  await settle();
  expect(closed).toEqual([]);
  watches.set(message({ drop: [{ jobId: 2, seq: 4 }] }));
  await settle();
  expect(closed).toEqual(['plaintext']);
});

it('a job whose configuration changed is watched by the new one alone', async () => {
  watches.set(message({ jobs: [job(1, 1, '5')] }));
  await settle();
  watches.set(message({ jobs: [job(1, 2, '5')], kafka: tls }));
  await settle();
  expect(closed).toEqual(['plaintext']);
  expect(asked.at(-1)).toEqual({ security: 'ssl', positions: ['t1@5'] });
});

it('W1: what an FE wanted ends with it', async () => {
  watches.set(message({ jobs: [job(1, 9, '5')] }));
  await settle();
  watches.set(message({ jobs: [job(2, 1, '6')], incarnation: 'fe-2' }));
  await settle();
  expect(closed).toEqual(['plaintext']);
  expect(asked.at(-1)?.positions).toEqual(['t2@6']);
});
