import { MessageChannel, markAsUntransferable } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LoadError } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import type { PartStore } from '../bus.types.ts';
import { createPartHub, type PartHub } from './part-hub.ts';
import { connectPartStore } from './part-store.ts';

/** Timers that fire when told. */
function handClock() {
  const timers = new Map<number, { at: number; fn: () => void }>();
  let now = 0;
  let ids = 0;
  return {
    now: () => now,
    setTimeout(fn: () => void, delayMs: number) {
      ids += 1;
      timers.set(ids, { at: now + delayMs, fn });
      return ids;
    },
    clearTimeout: (id: number) => timers.delete(id),
    pass(ms: number) {
      now += ms;
      for (const [id, { at, fn }] of [...timers]) {
        if (at > now) continue;
        timers.delete(id);
        fn();
      }
    },
    timers,
  };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no failure',
    (error) => (error instanceof LoadError ? error.code : String(error)),
  );
}

let clock: ReturnType<typeof handClock>;
let hub: PartHub;
let stores: PartStore[];
const open = (address: string, bytesMax?: number) => {
  const options = { clock, log: silentLog, ...(bytesMax === undefined ? {} : { bytesMax }) };
  const store = connectPartStore(hub, address, options);
  stores.push(store);
  return store;
};

beforeEach(() => {
  clock = handClock();
  hub = createPartHub({ clock, log: silentLog });
  stores = [];
});
afterEach(async () => {
  for (const store of stores) await store.close();
  await hub.close();
});

describe('P2: what is taken', () => {
  it.each([
    { name: 'its own buffer', make: () => Uint8Array.of(1, 2, 3), keeps: false },
    { name: 'a view', make: () => Uint8Array.of(0, 1, 2, 3, 4).subarray(1, 4), keeps: true },
    { name: 'a pooled Buffer', make: () => Buffer.from([1, 2, 3]), keeps: true },
    {
      name: 'shared memory',
      make: () => {
        const bytes = new Uint8Array(new SharedArrayBuffer(3));
        bytes.set([1, 2, 3]);
        return bytes;
      },
      keeps: true,
    },
    {
      name: 'memory that cannot be transferred',
      make: () => {
        const bytes = Uint8Array.of(1, 2, 3);
        markAsUntransferable(bytes.buffer);
        return bytes;
      },
      keeps: true,
    },
    { name: 'nothing', make: () => new Uint8Array(0), keeps: true },
  ])('$name', async ({ make, keeps }) => {
    const [a, b] = [open('a'), open('b')];
    const bytes = make();
    const expected = [...bytes];
    const ref = a.offer(bytes);
    expect(ref).toMatchObject({ owner: 'a', length: expected.length });
    if (keeps) expect([...bytes]).toEqual(expected);
    else expect(bytes.length).toBe(0);
    expect([...(await b.take(ref))]).toEqual(expected);
    expect(a.bytesKept()).toBe(0);
    expect(clock.timers.size).toBe(0);
  });

  it('is CRC32C in eight digits', () => {
    // The check value of CRC-32/ISCSI.
    expect(open('a').offer(new TextEncoder().encode('123456789')).digest).toBe('e3069283');
  });

  it('comes to its owner as well', async () => {
    const a = open('a');
    expect([...(await a.take(a.offer(Uint8Array.of(7))))]).toEqual([7]);
  });

  it('as often as was said, in memory of its own', async () => {
    const [a, b] = [open('a'), open('b')];
    const ref = a.offer(Uint8Array.of(1, 2, 3), { takes: 3 });
    const first = await b.take(ref);
    first.fill(9);
    expect([...(await b.take(ref))]).toEqual([1, 2, 3]);
    expect(a.bytesKept()).toBe(3);
    expect([...(await a.take(ref))]).toEqual([1, 2, 3]);
    expect(a.bytesKept()).toBe(0);
    expect(await codeOf(b.take(ref))).toBe('PART_GONE');
  });
});

describe('PART_GONE', () => {
  it('after its time', async () => {
    const [a, b] = [open('a'), open('b')];
    const ref = a.offer(Uint8Array.of(1), { ttlMs: 100 });
    clock.pass(99);
    expect(a.bytesKept()).toBe(1);
    clock.pass(1);
    expect(a.bytesKept()).toBe(0);
    expect(await codeOf(b.take(ref))).toBe('PART_GONE');
  });

  it('without its owner', async () => {
    const [a, b] = [open('a'), open('b')];
    const ref = a.offer(Uint8Array.of(1));
    await a.close();
    expect(await codeOf(b.take(ref))).toBe('PART_GONE');
    expect(await codeOf(b.take({ ...ref, owner: 'nobody' }))).toBe('PART_GONE');
  });

  it('P4: when the owner leaves without a word', async () => {
    const { port1, port2 } = new MessageChannel();
    hub.attach(port1, 'silent');
    const asked = new Promise((resolve) => port2.once('message', resolve));
    const ref = { owner: 'silent', id: '1', length: 1, digest: '00000000' };
    const taken = codeOf(open('b').take(ref));
    await asked;
    port2.close();
    expect(await taken).toBe('PART_GONE');
  });

  it('when the taker closes', async () => {
    const { port1, port2 } = new MessageChannel();
    hub.attach(port1, 'silent');
    const b = open('b');
    const taken = codeOf(b.take({ owner: 'silent', id: '1', length: 1, digest: '00000000' }));
    await b.close();
    expect(await taken).toBe('PART_GONE');
    expect(() => b.offer(Uint8Array.of(1))).toThrow(expect.objectContaining({ code: 'PART_GONE' }));
    port2.close();
  });
});

describe('P3: PART_DAMAGED', () => {
  it.each([
    { name: 'other bytes', change: { digest: '00000000' } },
    { name: 'other length', change: { length: 4 } },
  ])('$name', async ({ change }) => {
    const [a, b] = [open('a'), open('b')];
    const ref = a.offer(Uint8Array.of(1, 2, 3));
    expect(await codeOf(b.take({ ...ref, ...change }))).toBe('PART_DAMAGED');
  });
});

describe('PART_TIMEOUT', () => {
  it.each([
    { name: 'in time', end: () => clock.pass(50) },
    { name: 'by signal', end: (stop: AbortController) => stop.abort() },
  ])('$name', async ({ end }) => {
    const { port1, port2 } = new MessageChannel();
    hub.attach(port1, 'silent');
    const b = open('b');
    const stop = new AbortController();
    const ref = { owner: 'silent', id: '1', length: 1, digest: '00000000' };
    const taken = codeOf(b.take(ref, { timeoutMs: 50, signal: stop.signal }));
    end(stop);
    expect(await taken).toBe('PART_TIMEOUT');
    expect(clock.timers.size).toBe(0);
    expect(await codeOf(b.take(ref, { signal: AbortSignal.abort() }))).toBe('PART_TIMEOUT');
    port2.close();
  });
});

it('PART_STORE_FULL beyond the limit, until something is taken', async () => {
  const [a, b] = [open('a', 10), open('b')];
  const ref = a.offer(new Uint8Array(6));
  a.offer(new Uint8Array(4));
  const more = new Uint8Array(1);
  expect(() => a.offer(more)).toThrow(
    expect.objectContaining({ code: 'PART_STORE_FULL', transient: true }),
  );
  expect(more.length).toBe(1); // refused bytes stay the caller's
  await b.take(ref);
  a.offer(more);
  expect(a.bytesKept()).toBe(5);
});

it('a forged answer reaches nobody', async () => {
  const { port1, port2 } = new MessageChannel();
  hub.attach(port1, 'enemy');
  const silent = new MessageChannel();
  hub.attach(silent.port1, 'silent');
  const asked = new Promise<{ ticket: number }>((resolve) => silent.port2.once('message', resolve));
  const b = open('b');
  const ref = { owner: 'silent', id: '1', length: 1, digest: '00000000' };
  const taken = codeOf(b.take(ref, { timeoutMs: 50 }));
  const { ticket } = await asked;
  port2.postMessage({ op: 'ungiven', ticket });
  // The hub's refusal comes after whatever it made of the forgery.
  const refused = new Promise((resolve) => port2.once('message', resolve));
  port2.postMessage({ op: 'take', owner: 'nobody', id: '1', n: 1 });
  await refused;
  clock.pass(50);
  expect(await taken).toBe('PART_TIMEOUT');
  port2.close();
  silent.port2.close();
});
