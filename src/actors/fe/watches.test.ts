import { beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../base/clock.ts';
import { LoadError } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import type { KafkaConfig } from '../../sources/kafka/kafka.types.ts';
import type { KafkaWatchRequest } from '../messages.ts';
import type { BackendView } from './fe.types.ts';
import type { NodesChange } from './nodes.ts';
import { Watches } from './watches.ts';

/** Timers wait until a test lets them run. */
const timers: (() => void)[] = [];
const clock: Clock = {
  now: () => 0,
  setTimeout: (fn) => timers.push(fn),
  clearTimeout: () => {},
};
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
const pass = async () => {
  for (const run of timers.splice(0)) run();
  await settle();
};

const kafka = { brokers: ['x:1'], clientId: 'c' } as unknown as KafkaConfig;
const be = (beId: string, incarnation: string) => ({ beId, incarnation }) as BackendView;
const wanted = (offsets: Record<string, string>, topic = 't') => ({
  kafka,
  topic,
  known: 1,
  offsets,
});

let alive: BackendView[];
let change: (what: NodesChange) => void;
let told: { to: string; body: KafkaWatchRequest }[];
let fails: boolean;
let watches: Watches;

beforeEach(() => {
  timers.length = 0;
  alive = [be('a', 'a1')];
  told = [];
  fails = false;
  watches = new Watches({
    nodes: {
      alive: () => alive,
      onChange: (listener) => {
        change = listener;
        return () => {};
      },
      request: async <T>(
        to: { beId: string; incarnation: string },
        _verb: string,
        body: unknown,
      ) => {
        if (fails) throw new LoadError('BUS_TIMEOUT', 'lost', { transient: true });
        told.push({ to: to.incarnation, body: body as KafkaWatchRequest });
        return {} as T;
      },
    },
    stamp: () => ({ epoch: 1, incarnation: 'fe', seq: 1 }),
    clock,
    log: silentLog,
  });
});

const jobs = () => told.flatMap(({ to, body }) => body.jobs.map((job) => ({ to, ...job })));

describe('Watches', () => {
  it('what comes in one turn goes in one message; the same again goes in none', async () => {
    watches.set(1, wanted({ 0: '5' }));
    watches.set(2, wanted({ 0: '7' }));
    await pass();
    watches.set(1, wanted({ 0: '5' }));
    await pass();
    expect(told.length).toBe(1);
    expect(jobs()).toMatchObject([
      { to: 'a1', jobId: 1, topic: 't', offsets: { 0: '5' } },
      { to: 'a1', jobId: 2, topic: 't', offsets: { 0: '7' } },
    ]);
  });

  it('what was heard is watched no more: the same position is told again', async () => {
    watches.set(1, wanted({ 0: '5', 1: '6' }));
    await pass();
    watches.heard(1, ['0']);
    watches.set(1, wanted({ 1: '6' }));
    await pass();
    expect(told.length).toBe(1);
    watches.set(1, wanted({ 0: '5', 1: '6' }));
    await pass();
    expect(jobs().map(({ seq }) => seq)).toEqual([1, 2]);
  });

  it('W2: a BE that came back is told everything anew', async () => {
    watches.set(1, wanted({ 0: '5' }));
    await pass();
    alive = [];
    change('backends');
    await pass();
    alive = [be('a', 'a2')];
    change('backends');
    await pass();
    expect(jobs().map(({ to, jobId }) => [to, jobId])).toEqual([
      ['a1', 1],
      ['a2', 1],
    ]);
  });

  it('one that goes on watching is told nothing when others come', async () => {
    watches.set(1, wanted({ 0: '5' }));
    await pass();
    alive = [be('a', 'a1'), be('b', 'b1'), be('c', 'c1')];
    change('backends');
    change('slot');
    await pass();
    expect(told.length).toBe(1);
  });

  it('a message that was lost is sent again', async () => {
    fails = true;
    watches.set(1, wanted({ 0: '5' }));
    await pass();
    fails = false;
    await pass();
    expect(jobs()).toMatchObject([{ jobId: 1, offsets: { 0: '5' } }]);
  });

  it('a dropped job is dropped where it is watched, once', async () => {
    watches.set(1, wanted({ 0: '5' }));
    await pass();
    watches.drop(1);
    watches.drop(1);
    await pass();
    expect(watches.has(1)).toBe(false);
    expect(told.slice(1).map(({ body }) => [body.kafka, body.jobs, body.drop])).toEqual([
      [null, [], [{ jobId: 1, seq: 2 }]],
    ]);
    await pass();
    expect(told.length).toBe(2);
  });

  it('messages stay small', async () => {
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [i, '123456789']));
    for (let jobId = 1; jobId <= 60; jobId++) watches.set(jobId, wanted(many));
    await pass();
    expect(jobs().length).toBe(60);
    for (const { body } of told) expect(JSON.stringify(body).length).toBeLessThan(200 * 1024);
  });
});
