import { MessageChannel } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import type { Bus } from '../../src/protocol/bus.types.ts';
import {
  connectLocalBus,
  createLocalHub,
  type LocalHub,
} from '../../src/protocol/local/local-bus.ts';
import { createPartHub } from '../../src/protocol/local/part-hub.ts';
import { connectPartStore } from '../../src/protocol/local/part-store.ts';
import { linkWorker } from '../../src/protocol/local/worker-link.ts';
import { type BusParties, busCloseSuite, busSuite, collect, failureOf } from './bus.suite.ts';
import { RemoteBus } from './remote-bus.ts';

const ports = { clock: systemClock, log: silentLog };

function overPort(hub: LocalHub, from: string): Bus {
  const { port1, port2 } = new MessageChannel();
  hub.attach(port1, from);
  return connectLocalBus(port2, { from, ...ports });
}

/** A party that sends what it likes. */
function enemy(hub: LocalHub): BusParties['sendRaw'] {
  const { port1, port2 } = new MessageChannel();
  hub.attach(port1, 'enemy');
  return (subject, bytes, reply) =>
    port2.postMessage({
      op: 'send',
      message: reply === undefined ? { subject, bytes } : { subject, bytes, reply },
    });
}

async function inOneThread(): Promise<BusParties> {
  const hub = createLocalHub(ports);
  const [a, b, c] = [hub.bus('a'), hub.bus('b'), hub.bus('c')];
  return { a, b, c, sendRaw: enemy(hub), close: () => hub.close() };
}

async function overPorts(): Promise<BusParties> {
  const hub = createLocalHub(ports);
  const [a, b, c] = [overPort(hub, 'a'), overPort(hub, 'b'), hub.bus('c')];
  return { a, b, c, sendRaw: enemy(hub), close: () => hub.close() };
}

async function acrossThreads(): Promise<BusParties> {
  const hub = createLocalHub(ports);
  const parts = createPartHub(ports);
  const b = new RemoteBus(linkWorker({ bus: hub, parts }, 'b'));
  await b.ready();
  return {
    a: hub.bus('a'),
    b,
    c: overPort(hub, 'c'),
    sendRaw: enemy(hub),
    close: async () => {
      await hub.close();
      await parts.close();
      await b.stop();
    },
  };
}

for (const [name, connect] of Object.entries({ inOneThread, overPorts, acrossThreads })) {
  busSuite(`local bus, ${name}`, connect);
  busCloseSuite(`local bus, ${name}`, connect);
}

describe('a worker thread', () => {
  const closers: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });

  async function start() {
    const hub = createLocalHub(ports);
    const parts = createPartHub(ports);
    const worker = new RemoteBus(linkWorker({ bus: hub, parts }, 'be-1.1'));
    closers.push(
      () => hub.close(),
      () => parts.close(),
      () => worker.stop(),
    );
    await worker.ready();
    return { hub, parts, worker, bus: hub.bus('fe') };
  }

  it('asks the main thread', async () => {
    const { worker, bus } = await start();
    bus.respond('fe.sum', (body) => (body as number[]).reduce((x, y) => x + y, 0));
    expect(await worker.request('fe.sum', [1, 2, 3], { timeoutMs: 5_000 })).toBe(6);
    const error = await failureOf(worker.request('fe.none', 0, { timeoutMs: 60_000 }));
    expect(error.code).toBe('BUS_NO_RESPONDER');
  });

  it('L3: that dies fails requests to it at once, and is no responder after', async () => {
    const { hub, worker, bus } = await start();
    let called = () => {};
    const calls = new Promise<void>((resolve) => {
      called = resolve;
    });
    worker.respond('be.never', () => {
      called();
      return new Promise(() => {});
    });
    await worker.ready();
    const asked = failureOf(bus.request('be.never', 0, { timeoutMs: 60_000 }));
    await calls;
    void worker.order({ do: 'exit' });
    expect(await asked).toMatchObject({ code: 'BUS_NO_RESPONDER', transient: true });
    expect(hub.parties()).toEqual(['fe']);
    const error = await failureOf(bus.request('be.never', 0, { timeoutMs: 60_000 }));
    expect(error.code).toBe('BUS_NO_RESPONDER');
  });

  it('L3: a second responder may still answer when the first dies', async () => {
    const { hub, worker, bus } = await start();
    let called = () => {};
    const calls = new Promise<void>((resolve) => {
      called = resolve;
    });
    worker.respond('both', () => {
      called();
      return new Promise(() => {});
    });
    let answer: (value: string) => void = () => {};
    hub.bus('other').respond('both', () => new Promise((resolve) => (answer = resolve)));
    await worker.ready();
    const asked = bus.request('both', 0, { timeoutMs: 60_000 });
    await calls;
    const left = new Promise((resolve) => worker.worker.once('exit', resolve));
    void worker.order({ do: 'exit' });
    await left;
    answer('the other');
    expect(await asked).toBe('the other');
  });

  it('starts again under its name', async () => {
    const { hub, parts, worker, bus } = await start();
    await worker.stop();
    const again = new RemoteBus(linkWorker({ bus: hub, parts }, 'be-1.1'));
    closers.push(() => again.stop());
    const got = collect(again, 'be.hello');
    await again.ready();
    bus.publish('be.hello', 1);
    expect(await got.count(1)).toHaveLength(1);
  });

  it('gives and takes parts', async () => {
    const { parts, worker } = await start();
    const store = connectPartStore(parts, 'fe', ports);
    const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251);
    const expected = bytes.slice();
    const ref = store.offer(bytes);
    expect(bytes.length).toBe(0); // P1: it is the store's now
    const taken = await worker.take(ref);
    expect(Buffer.compare(taken, expected)).toBe(0);
    expect(store.bytesKept()).toBe(0);
    const back = await worker.offer(taken, { takes: 2 });
    expect(back).toEqual({ ...ref, owner: 'be-1.1', id: back.id });
    for (let i = 0; i < 2; i++) {
      expect(Buffer.compare(await store.take(back), expected)).toBe(0);
    }
    expect((await failureOf(store.take(back))).code).toBe('PART_GONE');
    expect((await failureOf(worker.take(ref))).code).toBe('PART_GONE');
  });

  it('P4: that dies takes its parts along', async () => {
    const { parts, worker } = await start();
    const store = connectPartStore(parts, 'fe', ports);
    const ref = await worker.offer(Uint8Array.of(1, 2, 3));
    const left = new Promise((resolve) => worker.worker.once('exit', resolve));
    void worker.order({ do: 'exit' });
    // Asked once it is gone: before, it may still answer.
    await left;
    const taken = failureOf(store.take(ref, { timeoutMs: 60_000 }));
    expect((await taken).code).toBe('PART_GONE');
  });
});
