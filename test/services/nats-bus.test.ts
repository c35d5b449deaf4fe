import { connect } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NatsHandle, startNats } from '../../scripts/services/nats.ts';
import { freePorts } from '../../scripts/services/ports.ts';
import { systemClock } from '../../src/base/clock.ts';
import { type Log, silentLog } from '../../src/base/log.ts';
import type { Bus } from '../../src/protocol/bus.types.ts';
import { connectNatsBus, type NatsBusOptions } from '../../src/protocol/nats/nats-bus.ts';
import {
  type BusParties,
  busCloseSuite,
  busSuite,
  collect,
  failureOf,
} from '../compliance/bus.suite.ts';

const prefix = 'millrace.test.';
let server: NatsHandle;

beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server?.stop());

function open(from: string, options: Partial<NatsBusOptions> = {}) {
  return connectNatsBus({
    url: server.url,
    from,
    clock: systemClock,
    log: silentLog,
    prefix,
    backoffMs: 20,
    backoffMsMax: 100,
    ...options,
  });
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const end = systemClock.now() + 20_000;
  while (!condition()) {
    if (systemClock.now() > end) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function parties(): Promise<BusParties> {
  const [a, b, c] = await Promise.all([open('a'), open('b'), open('c')]);
  const raw = await connect({ servers: server.url });
  return {
    a,
    b,
    c,
    sendRaw: (subject, bytes, reply) =>
      raw.publish(prefix + subject, bytes, reply === undefined ? {} : { reply: prefix + reply }),
    close: async () => {
      await Promise.all([a.close(), b.close(), c.close()]);
      await raw.close();
    },
  };
}

busSuite('NATS bus', parties);
busCloseSuite('NATS bus', parties);

describe('NATS bus, a server that goes', () => {
  it('N1, N2, N3: goes on when the server is back', async () => {
    const [a, b] = await Promise.all([open('a'), open('b')]);
    try {
      const got = collect(b, 'again.x');
      b.respond('again.ask', () => 'answer');
      b.respond('again.never', () => new Promise(() => {}));
      await b.ready();
      a.publish('again.x', 'before');
      await got.count(1);
      const underWay = failureOf(a.request('again.never', 0, { timeoutMs: 60_000 }));
      await a.ready();

      await server.kill();
      expect(await underWay).toMatchObject({ code: 'BUS_DISCONNECTED', transient: true });
      await until(() => !b.status().connected, 'disconnected');
      expect(a.status()).toMatchObject({ connected: false, reason: expect.any(String) });
      a.publish('again.x', 'lost');
      const later = collect(b, 'again.later'); // made while disconnected
      const error = await failureOf(a.request('again.ask', 0, { timeoutMs: 60_000 }));
      expect(error).toMatchObject({ code: 'BUS_DISCONNECTED', transient: true });
      const ready = Promise.all([a.ready(), b.ready()]);

      await server.restart();
      await ready;
      expect(a.status().connected).toBe(true);
      a.publish('again.x', 'after');
      a.publish('again.later', 'new');
      expect((await got.count(2)).map(({ body }) => body)).toEqual(['before', 'after']);
      await later.count(1);
      expect(await a.request('again.ask', 0, { timeoutMs: 5_000 })).toBe('answer');
      expect(a.counters().dropped).toBe(2);
    } finally {
      await Promise.all([a.close(), b.close()]);
    }
  });

  it('N1: need not be there at the start', async () => {
    await server.kill();
    const lines: string[] = [];
    const log: Log = { write: (level, message) => void lines.push(`${level} ${message}`) };
    const first = await open('a', { waitOnFirstConnectMs: 50, log });
    const patient = open('b', { waitOnFirstConnectMs: Number.POSITIVE_INFINITY });
    let second: Bus | undefined;
    try {
      expect(first.status()).toMatchObject({ connected: false });
      expect(first.status().reason).toMatch(/CONNECTION_REFUSED/);
      const got = collect(first, 'first.x');
      await server.restart();
      second = await patient;
      expect(second.status().connected).toBe(true);
      await first.ready();
      second.publish('first.x', 1);
      await got.count(1);
      expect(lines).toEqual(['warn bus not connected', 'info bus connected']);
    } finally {
      await first.close();
      await second?.close();
    }
  });

  it('closes while it tries to connect', async () => {
    const [port] = await freePorts(1);
    const bus = await open('a', { url: `nats://127.0.0.1:${port}`, waitOnFirstConnectMs: 10 });
    const ready = failureOf(bus.ready());
    await bus.close();
    expect((await ready).code).toBe('BUS_CLOSED');
    expect(bus.status().connected).toBe(false);
  });
});

describe('NATS bus, alone', () => {
  it('N4: refuses more than the server takes, and goes on when it has', async () => {
    const bus = await open('a', { unflushedBytesMax: 1 << 20 });
    try {
      const body = 'x'.repeat(100_000);
      for (let i = 0; i < 50; i++) bus.publish('much.x', body);
      const dropped = bus.counters().dropped;
      expect(dropped).toBeGreaterThan(30);
      await bus.ready();
      const got = collect(bus, 'much.x');
      await bus.ready();
      bus.publish('much.x', 'one more');
      expect((await got.count(1))[0]?.body).toBe('one more');
      expect(bus.counters().dropped).toBe(dropped);
    } finally {
      await bus.close();
    }
  });

  it('close lets what was published go out', async () => {
    const [a, b] = await Promise.all([open('a'), open('b')]);
    try {
      const got = collect(b, 'drain.x');
      await b.ready();
      for (let i = 0; i < 1_000; i++) a.publish('drain.x', i);
      await a.close();
      expect(await got.count(1_000)).toHaveLength(1_000);
    } finally {
      await b.close();
    }
  });

  it('another prefix is another world', async () => {
    const [a, other] = await Promise.all([open('a'), open('o', { prefix: 'millrace.other.' })]);
    try {
      other.respond('world.x', () => 1);
      await other.ready();
      const error = await failureOf(a.request('world.x', 0, { timeoutMs: 60_000 }));
      expect(error.code).toBe('BUS_NO_RESPONDER');
    } finally {
      await Promise.all([a.close(), other.close()]);
    }
  });

  it('B6: a request is never answered outside the prefix', async () => {
    const bus = await open('b');
    const raw = await connect({ servers: server.url });
    try {
      let asked = 0;
      bus.respond('outside.x', () => {
        asked += 1;
      });
      await bus.ready();
      const bytes = new TextEncoder().encode('{"v":1,"from":"a","body":1}');
      raw.publish(`${prefix}q.outside.x`, bytes, { reply: 'somewhere.else' });
      await raw.flush();
      await until(() => bus.counters().hostile === 1, 'counted as hostile');
      expect(asked).toBe(0);
    } finally {
      await bus.close();
      await raw.close();
    }
  });
});
