import { describe, expect, it } from 'vitest';
import { LoadError } from '../base/errors.ts';
import type { LogLevel } from '../base/log.ts';
import { BusCore } from './bus-core.ts';
import { encodeAnswer, encodeEnvelope, openAnswer } from './bus-envelope.ts';
import type { BusWire, WireMessage } from './bus-wire.types.ts';

/** A wire by hand: what was sent is a list, what arrives is a call. */
function setUp(options: { answeringMax?: number } = {}) {
  const sent: { subject: string; bytes: Uint8Array; reply: string | undefined }[] = [];
  const handlers = new Map<string, (message: WireMessage) => void>();
  const forgotten: string[] = [];
  const logged: { level: LogLevel; message: string }[] = [];
  const timers = new Map<number, () => void>();
  let down: (reason: string) => void = () => {};
  let failure: LoadError | undefined;
  let ids = 0;
  const wire: BusWire = {
    send(subject, bytes, reply) {
      if (failure !== undefined) throw failure;
      sent.push({ subject, bytes, reply });
    },
    listen(pattern, handler) {
      handlers.set(pattern, handler);
      return { close: () => handlers.delete(pattern) };
    },
    forget: (reply) => forgotten.push(reply),
    onDown: (handler) => {
      down = handler;
    },
    flush: async () => {},
    status: () => ({ connected: true, since: 0 }),
    close: async () => {},
  };
  const clock = {
    now: () => 0,
    setTimeout: (fn: () => void) => {
      ids += 1;
      timers.set(ids, fn);
      return ids;
    },
    clearTimeout: (id: number) => timers.delete(id),
  };
  const log = {
    write: (level: LogLevel, message: string) => void logged.push({ level, message }),
  };
  const bus = new BusCore({ from: 'me', clock, log, wire, inbox: 'in', ...options });
  return {
    bus,
    sent,
    handlers,
    forgotten,
    logged,
    timers,
    down: (reason: string) => down(reason),
    fail: (error: LoadError | undefined) => {
      failure = error;
    },
    arrive: (pattern: string, message: WireMessage) => handlers.get(pattern)?.(message),
  };
}

const busyError = new LoadError('BUS_BUSY', 'busy', { transient: true });

describe('requests', () => {
  it('leave no timer, listener or record behind', async () => {
    const t = setUp();
    const asked = t.bus.request('x', 1, { timeoutMs: 5 });
    const reply = t.sent[0]?.reply ?? '';
    expect(t.timers.size).toBe(1);
    t.arrive('r.in.*', { subject: reply, bytes: encodeAnswer('you', 2) });
    expect(await asked).toBe(2);
    expect(t.timers.size).toBe(0);
    t.arrive('r.in.*', { subject: reply, bytes: encodeAnswer('you', 3) });
    expect(t.bus.counters().late).toBe(1);
  });

  it('that time out are forgotten by the wire', async () => {
    const t = setUp();
    const asked = t.bus.request('x', 1, { timeoutMs: 5 });
    for (const fire of [...t.timers.values()]) fire();
    await expect(asked).rejects.toMatchObject({ code: 'BUS_TIMEOUT' });
    expect(t.forgotten).toEqual([t.sent[0]?.reply]);
    expect(t.bus.counters().timeouts).toBe(1);
  });

  it('fail at once when the connection goes', async () => {
    const t = setUp();
    const asked = t.bus.request('x', 1, { timeoutMs: 5 });
    t.down('server gone');
    await expect(asked).rejects.toMatchObject({ code: 'BUS_DISCONNECTED', transient: true });
    expect(t.timers.size).toBe(0);
  });

  it('fail at once when they cannot be sent', async () => {
    const t = setUp();
    t.fail(busyError);
    await expect(t.bus.request('x', 1, { timeoutMs: 5 })).rejects.toBe(busyError);
    expect(t.timers.size).toBe(0);
    expect(t.bus.counters()).toMatchObject({ sent: 0, dropped: 1 });
  });

  it('B6: outlive a hostile answer', async () => {
    const t = setUp();
    const asked = t.bus.request('x', 1, { timeoutMs: 5 });
    const subject = t.sent[0]?.reply ?? '';
    t.arrive('r.in.*', { subject, bytes: Uint8Array.of(1, 2, 3) });
    t.arrive('r.in.*', { subject, bytes: encodeAnswer('you', 'true answer') });
    expect(await asked).toBe('true answer');
    expect(t.bus.counters().hostile).toBe(1);
  });
});

describe('answers', () => {
  it('are refused beyond the limit', async () => {
    const t = setUp({ answeringMax: 1 });
    let finish: (value: string) => void = () => {};
    t.bus.respond('x', () => new Promise((resolve) => (finish = resolve)));
    const ask = (n: number) =>
      t.arrive('q.x', { subject: 'q.x', bytes: encodeEnvelope('you', n), reply: `r.you.${n}` });
    ask(1);
    ask(2);
    expect(t.sent.map(({ subject }) => subject)).toEqual(['r.you.2']);
    finish('done');
    await new Promise((resolve) => setImmediate(resolve));
    expect(t.sent.map(({ subject }) => subject)).toEqual(['r.you.2', 'r.you.1']);
    const refusal = JSON.parse(new TextDecoder().decode(t.sent[0]?.bytes));
    expect(refusal.body.error).toMatchObject({ code: 'BUS_BUSY', transient: true });
    ask(3);
    expect(t.sent).toHaveLength(2);
  });

  it.each([
    { name: 'text', thrown: 'oops' },
    { name: 'nothing', thrown: undefined },
    { name: 'what cannot be text', thrown: Object.create(null) },
  ])('survive a handler that throws $name', async ({ thrown }) => {
    const t = setUp();
    t.bus.respond('x', () => {
      throw thrown;
    });
    t.arrive('q.x', { subject: 'q.x', bytes: encodeEnvelope('you', 1), reply: 'r.you.1' });
    await new Promise((resolve) => setImmediate(resolve));
    const answer = JSON.parse(new TextDecoder().decode(t.sent[0]?.bytes));
    expect(answer.body.error.code).toBe('INTERNAL');
    expect(t.bus.counters().handlerErrors).toBe(1);
    expect(t.logged).toEqual([{ level: 'error', message: 'bus handler failed' }]);
  });

  it('a result that is no JSON is a mistake, told to the asker', async () => {
    const t = setUp();
    t.bus.respond('x', () => 1n);
    t.arrive('q.x', { subject: 'q.x', bytes: encodeEnvelope('you', 1), reply: 'r.you.1' });
    await new Promise((resolve) => setImmediate(resolve));
    expect(JSON.parse(new TextDecoder().decode(t.sent[0]?.bytes)).body.error.code).toBe('INTERNAL');
  });
});

it('B2: a message that cannot be sent is lost and counted', () => {
  const t = setUp();
  t.fail(busyError);
  for (let i = 0; i < 5; i++) t.bus.publish('x', i);
  t.fail(undefined);
  t.bus.publish('x', 5);
  expect(t.sent).toHaveLength(1);
  expect(t.bus.counters()).toMatchObject({ sent: 1, dropped: 5 });
  expect(t.logged).toHaveLength(3); // the 1st, 2nd and 4th
});

it('close does not wait for ever for an answer', async () => {
  const t = setUp();
  t.bus.respond('x', () => new Promise(() => {}));
  t.arrive('q.x', { subject: 'q.x', bytes: encodeEnvelope('you', 1), reply: 'r.you.1' });
  const closed = t.bus.close();
  expect(t.handlers.has('q.x')).toBe(false);
  expect(t.timers.size).toBe(1);
  for (const fire of [...t.timers.values()]) fire();
  await closed;
  expect(t.handlers.size).toBe(0);
});

describe('B6: answers that are malformed', () => {
  it.each([
    { name: 'no object', body: 1 },
    { name: 'error is null', body: { error: null } },
    { name: 'error without code', body: { error: { message: 'x' } } },
    { name: 'code is no code', body: { error: { code: 'drop table', message: 'x' } } },
    { name: 'message is no text', body: { error: { code: 'X', message: {} } } },
  ])('$name', ({ body }) => {
    expect(() => openAnswer(body)).toThrow(
      expect.objectContaining({ code: 'BUS_BAD_MESSAGE', transient: true }),
    );
  });

  it('odd fields of an error are left out', () => {
    const error = { code: 'X', message: 'x', errno: 'a', sqlState: 1, hint: [], details: 'd' };
    expect(() => openAnswer({ error })).toThrow(
      expect.objectContaining({ code: 'X', errno: 1064, sqlState: 'HY000', details: {} }),
    );
  });
});
