/**
 * The rules of the bus (src/protocol/bus.types.ts), for every transport. `a` and `b` may be in different
 * threads or processes; `c` looks on.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { DamageError, LoadError } from '../../src/base/errors.ts';
import type { Bus, BusMeta } from '../../src/protocol/bus.types.ts';

export interface BusParties {
  /** Sends as `a`, and so on. */
  readonly a: Bus;
  readonly b: Bus;
  readonly c: Bus;
  /** Bytes as an enemy would send them, to `m.<subject>` (messages) or `q.<subject>` (requests). */
  sendRaw(wireSubject: string, bytes: Uint8Array, reply?: string): void;
  close(): Promise<void>;
}

interface Received {
  readonly body: unknown;
  readonly meta: BusMeta;
}

/** What arrived, and a promise for the next that arrive. */
export function collect(bus: Bus, subject: string) {
  const all: Received[] = [];
  const waiters: (() => void)[] = [];
  const subscription = bus.subscribe(subject, (body, meta) => {
    all.push({ body, meta });
    for (const wake of waiters.splice(0)) wake();
  });
  return {
    all,
    subscription,
    async count(n: number): Promise<readonly Received[]> {
      while (all.length < n) await new Promise<void>((resolve) => waiters.push(resolve));
      return all;
    },
  };
}

export async function failureOf(promise: Promise<unknown>): Promise<LoadError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof LoadError) return error;
    throw error;
  }
  throw new Error('expected a failure');
}

const second = { timeoutMs: 5_000 };

export function busSuite(name: string, connect: () => Promise<BusParties>): void {
  describe(name, () => {
    let p: BusParties;
    let subjects = 0;
    /** A subject of its own for each test. */
    const fresh = () => `suite.s${++subjects}`;

    beforeAll(async () => {
      p = await connect();
    });
    afterAll(() => p?.close());

    describe('messages', () => {
      it.each([
        { name: 'text', body: 'päivää 😀' },
        { name: 'null', body: null },
        { name: 'number', body: 1.5 },
        { name: 'nested', body: { list: [1, { two: 'zwei' }], none: null, no: false } },
      ])('carries $name with subject and sender', async ({ body }) => {
        const subject = fresh();
        const got = collect(p.b, subject);
        await p.b.ready();
        p.a.publish(subject, body);
        expect(await got.count(1)).toEqual([{ body, meta: { subject, from: 'a' } }]);
      });

      it.each([
        { pattern: 'one.*', hits: ['one.x'], misses: ['one', 'one.x.y', 'two.x'] },
        { pattern: 'one.>', hits: ['one.x', 'one.x.y'], misses: ['one', 'two.x'] },
        { pattern: '*.x', hits: ['one.x', 'two.x'], misses: ['one', 'one.x.y'] },
        { pattern: '*.x.>', hits: ['one.x.y'], misses: ['one.x', 'two.x'] },
      ])('pattern $pattern', async ({ pattern, hits, misses }) => {
        const base = fresh();
        const got = collect(p.b, `${base}.${pattern}`);
        const end = collect(p.b, `${base}-end`);
        await p.b.ready();
        for (const word of [...misses, ...hits]) p.a.publish(`${base}.${word}`, word);
        p.a.publish(`${base}-end`, 0);
        await end.count(1);
        expect((await got.count(hits.length)).map(({ body }) => body)).toEqual(hits);
      });

      it('reaches every subscriber, the sender too, and each subscription once', async () => {
        const subject = fresh();
        const got = [p.a, p.b, p.b, p.c].map((bus) => collect(bus, subject));
        await Promise.all([p.a.ready(), p.b.ready(), p.c.ready()]);
        p.a.publish(subject, 1);
        p.a.publish(subject, 2);
        for (const each of got) {
          expect((await each.count(2)).map(({ body }) => body)).toEqual([1, 2]);
        }
      });

      it('is never delivered within publish', async () => {
        const subject = fresh();
        const got = collect(p.a, subject);
        await p.a.ready();
        p.a.publish(subject, 1);
        expect(got.all).toEqual([]);
        await got.count(1);
      });

      it('ends with the subscription', async () => {
        const subject = fresh();
        const ended = collect(p.b, subject);
        const other = collect(p.b, subject);
        await p.b.ready();
        p.a.publish(subject, 1);
        await other.count(1);
        await ended.count(1);
        ended.subscription.close();
        ended.subscription.close();
        await p.b.ready();
        p.a.publish(subject, 2);
        await other.count(2);
        expect(ended.all.length).toBe(1);
      });

      it('T2: nobody shares memory', async () => {
        const subject = fresh();
        const got = collect(p.b, subject);
        const mine = collect(p.a, subject);
        await Promise.all([p.a.ready(), p.b.ready()]);
        const body = { n: 1 };
        p.a.publish(subject, body);
        body.n = 2;
        expect((await got.count(1))[0]?.body).toEqual({ n: 1 });
        expect((await mine.count(1))[0]?.body).toEqual({ n: 1 });
      });
    });

    describe('B1: size', () => {
      const fits = 'x'.repeat(256 * 1024 - 100);
      const tooLarge = 'x'.repeat(256 * 1024);

      it('carries what fits', async () => {
        const subject = fresh();
        const got = collect(p.b, subject);
        p.b.respond(subject, (body) => body);
        await p.b.ready();
        p.a.publish(subject, fits);
        expect((await got.count(1))[0]?.body).toBe(fits);
        expect(await p.a.request(subject, fits, second)).toBe(fits);
      });

      it.each([
        { name: 'ASCII', body: tooLarge },
        { name: 'measured in bytes, not characters', body: 'ä'.repeat(140 * 1024) },
      ])('refuses a larger message at the sender: $name', async ({ body }) => {
        expect(() => p.a.publish(fresh(), body)).toThrow(
          expect.objectContaining({ code: 'BUS_MESSAGE_TOO_LARGE', transient: false }),
        );
        const error = await failureOf(p.a.request(fresh(), body, second));
        expect(error.code).toBe('BUS_MESSAGE_TOO_LARGE');
      });

      it('tells the asker of an answer that is too large', async () => {
        const subject = fresh();
        p.b.respond(subject, () => tooLarge);
        await p.b.ready();
        const error = await failureOf(p.a.request(subject, 0, second));
        expect(error.code).toBe('BUS_MESSAGE_TOO_LARGE');
      });
    });

    describe('B3: requests', () => {
      it('are answered, with who asked', async () => {
        const subject = fresh();
        p.b.respond(`${subject}.*`, async (body, meta) => ({ body, meta }));
        await p.b.ready();
        expect(await p.a.request(`${subject}.x`, { q: 1 }, second)).toEqual({
          body: { q: 1 },
          meta: { subject: `${subject}.x`, from: 'a' },
        });
      });

      it('many at a time find their own answers', async () => {
        const subject = fresh();
        p.b.respond(subject, async (body) => {
          // Answers come in another order than the requests.
          if (Number(body) % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
          return Number(body) * 2;
        });
        await p.b.ready();
        const numbers = Array.from({ length: 200 }, (_, i) => i);
        const answers = await Promise.all(numbers.map((n) => p.a.request(subject, n, second)));
        expect(answers).toEqual(numbers.map((n) => n * 2));
      });

      it('fail at once without anybody to answer', async () => {
        const started = systemClock.now();
        const error = await failureOf(p.a.request(fresh(), 0, { timeoutMs: 60_000 }));
        expect(error).toMatchObject({ code: 'BUS_NO_RESPONDER', transient: true });
        expect(systemClock.now() - started).toBeLessThan(10_000);
      });

      it('a mere subscriber is nobody to answer, and gets no requests', async () => {
        const subject = fresh();
        const got = collect(p.b, subject);
        await p.b.ready();
        const error = await failureOf(p.a.request(subject, 0, { timeoutMs: 60_000 }));
        expect(error.code).toBe('BUS_NO_RESPONDER');
        p.a.publish(subject, 'after');
        expect((await got.count(1)).map(({ body }) => body)).toEqual(['after']);
      });

      it('fail at once after the responder has closed', async () => {
        const subject = fresh();
        const subscription = p.b.respond(subject, () => 1);
        await p.b.ready();
        expect(await p.a.request(subject, 0, second)).toBe(1);
        subscription.close();
        await p.b.ready();
        const error = await failureOf(p.a.request(subject, 0, { timeoutMs: 60_000 }));
        expect(error.code).toBe('BUS_NO_RESPONDER');
      });

      it('time out; the late answer is dropped', async () => {
        const subject = fresh();
        let answer: (value: string) => void = () => {};
        p.b.respond(subject, (body) =>
          body === 'slow'
            ? new Promise((resolve) => {
                answer = resolve;
              })
            : 'fast',
        );
        await p.b.ready();
        const error = await failureOf(p.a.request(subject, 'slow', { timeoutMs: 100 }));
        expect(error).toMatchObject({ code: 'BUS_TIMEOUT', transient: true });
        answer('late');
        expect(await p.a.request(subject, 'quick', second)).toBe('fast');
      });

      it.each([
        { name: 'before', abortFirst: true },
        { name: 'meanwhile', abortFirst: false },
      ])('end when given up $name', async ({ abortFirst }) => {
        const subject = fresh();
        p.b.respond(subject, () => new Promise(() => {}));
        await p.b.ready();
        const stop = new AbortController();
        if (abortFirst) stop.abort();
        const asked = p.a.request(subject, 0, { timeoutMs: 60_000, signal: stop.signal });
        if (!abortFirst) setImmediate(() => stop.abort());
        expect((await failureOf(asked)).code).toBe('BUS_ABORTED');
      });

      it.each([
        {
          name: 'LoadError',
          thrown: new LoadError('LABEL_TAKEN', 'label "x" is taken', {
            errno: 1062,
            sqlState: '23000',
            hint: 'use another label',
            details: { label: 'x' },
            transient: true,
          }),
        },
        { name: 'DamageError', thrown: new DamageError('VOTE_LOST', { txnId: 7 }) },
        {
          name: 'bigint details',
          thrown: new LoadError('LAG', 'lag', { details: { offset: 9n } }),
        },
      ])('carry $name back', async ({ thrown }) => {
        const subject = fresh();
        p.b.respond(subject, () => {
          throw thrown;
        });
        await p.b.ready();
        const error = await failureOf(p.a.request(subject, 0, second));
        expect(error.constructor).toBe(thrown.constructor);
        const { code, message, errno, sqlState, hint, transient } = thrown;
        expect(error).toMatchObject({ code, message, errno, sqlState, hint, transient });
        const details = Object.entries(thrown.details).map(([key, value]) => [
          key,
          typeof value === 'bigint' ? String(value) : value,
        ]);
        expect(error.details).toEqual(Object.fromEntries(details));
      });

      it('carry an error that is too large without its details', async () => {
        const subject = fresh();
        p.b.respond(subject, async () => {
          throw new LoadError('BAD_ROW', 'bad row', { details: { row: 'x'.repeat(300_000) } });
        });
        await p.b.ready();
        const error = await failureOf(p.a.request(subject, 0, second));
        expect(error).toMatchObject({ code: 'BAD_ROW', message: 'bad row', details: {} });
      });

      it('a mistake in a handler is INTERNAL for the asker, and the responder goes on', async () => {
        const subject = fresh();
        p.b.respond(subject, (body) => {
          if (body === 'bad') throw new TypeError('x is not a function');
          return 'good';
        });
        await p.b.ready();
        const error = await failureOf(p.a.request(subject, 'bad', second));
        expect(error).toMatchObject({ code: 'INTERNAL', message: 'x is not a function' });
        expect(await p.a.request(subject, 'fine', second)).toBe('good');
      });

      it('answer of nothing', async () => {
        const subject = fresh();
        p.b.respond(subject, () => undefined);
        await p.b.ready();
        expect(await p.a.request(subject, undefined, second)).toBeUndefined();
      });
    });

    it('a failing subscriber hides nothing from the others', async () => {
      const subject = fresh();
      p.b.subscribe(subject, () => {
        throw new TypeError('a mistake');
      });
      p.b.subscribe(subject, (async () => {
        throw new TypeError('a later mistake');
      }) as () => void);
      const got = collect(p.b, subject);
      await p.b.ready();
      p.a.publish(subject, 1);
      p.a.publish(subject, 2);
      expect((await got.count(2)).map(({ body }) => body)).toEqual([1, 2]);
    });

    it('B4: messages of one sender on one subject keep their order', async () => {
      const subject = fresh();
      const got = [collect(p.b, subject), collect(p.c, 'suite.>')];
      await Promise.all([p.b.ready(), p.c.ready()]);
      const numbers = Array.from({ length: 3_000 }, (_, i) => i);
      for (const n of numbers) p.a.publish(subject, n);
      for (const each of got) {
        expect((await each.count(3_000)).map(({ body }) => body)).toEqual(numbers);
        each.subscription.close();
      }
    });

    it('B5: what was sent before the subscription is gone', async () => {
      const subject = fresh();
      const witness = collect(p.c, subject);
      await p.c.ready();
      p.a.publish(subject, 'before');
      await witness.count(1);
      const got = collect(p.b, subject);
      await p.b.ready();
      p.a.publish(subject, 'after');
      expect((await got.count(1)).map(({ body }) => body)).toEqual(['after']);
    });

    describe('B6: hostile bytes', () => {
      const utf8 = (text: string) => new TextEncoder().encode(text);
      it.each([
        { name: 'nothing', bytes: utf8('') },
        { name: 'no UTF-8', bytes: Uint8Array.of(0xff, 0xfe, 0x00, 0x80) },
        { name: 'no JSON', bytes: utf8('{"v":1,') },
        { name: 'no object', bytes: utf8('[1]') },
        { name: 'null', bytes: utf8('null') },
        { name: 'other version', bytes: utf8('{"v":2,"from":"a","body":1}') },
        { name: 'no sender', bytes: utf8('{"v":1,"body":1}') },
        { name: 'sender no text', bytes: utf8('{"v":1,"from":{},"body":1}') },
        { name: 'no body', bytes: utf8('{"v":1,"from":"a"}') },
        { name: 'deep', bytes: utf8('['.repeat(200_000)) },
        { name: 'too large', bytes: utf8(`{"v":1,"from":"a","body":"${'x'.repeat(300_000)}"}`) },
      ])('$name', async ({ bytes }) => {
        const subject = fresh();
        const got = collect(p.b, subject);
        let asked = 0;
        p.b.respond(subject, () => {
          asked += 1;
          return 'still here';
        });
        await p.b.ready();
        p.sendRaw(`m.${subject}`, bytes);
        p.sendRaw(`q.${subject}`, bytes, 'r.inbox.1');
        p.sendRaw(`q.${subject}`, utf8('{"v":1,"from":"a","body":1}'), `m.${subject}`);
        p.sendRaw(`q.${subject}`, utf8('{"v":1,"from":"a","body":1}'));
        p.sendRaw(`m.${subject}`, utf8('{"v":1,"from":"enemy","body":"end"}'));
        // The end was sent after the garbage by the same sender, so all of it has been seen.
        expect(await got.count(1)).toEqual([{ body: 'end', meta: { subject, from: 'enemy' } }]);
        expect(await p.a.request(subject, 0, second)).toBe('still here');
        expect(asked).toBe(1);
      });
    });

    it('says that it is connected', async () => {
      await p.b.ready();
      expect(p.a.status()).toEqual({ connected: true, since: expect.any(Number) });
      expect(p.b.status()).toEqual({ connected: true, since: expect.any(Number) });
    });
  });
}

/** What closing does; a suite of its own, as it needs buses of its own for each test. */
export function busCloseSuite(name: string, connect: () => Promise<BusParties>): void {
  describe(`${name}: close`, () => {
    it('answers what is being answered, then nothing; others learn at once', async () => {
      const p = await connect();
      try {
        const { promise: called, resolve: markCalled } = withResolvers<void>();
        const { promise: answer, resolve: finish } = withResolvers<string>();
        p.b.respond('close.slow', () => {
          markCalled();
          return answer;
        });
        await p.b.ready();
        const asked = p.a.request('close.slow', 0, second);
        await called;
        const closed = p.b.close();
        finish('last words');
        expect(await asked).toBe('last words');
        await closed;
        const error = await failureOf(p.a.request('close.slow', 0, { timeoutMs: 60_000 }));
        expect(error.code).toBe('BUS_NO_RESPONDER');
      } finally {
        await p.close();
      }
    });

    it('fails what it asked, and refuses to ask', async () => {
      const p = await connect();
      try {
        p.b.respond('close.never', () => new Promise(() => {}));
        await p.b.ready();
        const asked = failureOf(p.a.request('close.never', 0, { timeoutMs: 60_000 }));
        const closed = p.a.close();
        expect((await asked).code).toBe('BUS_CLOSED');
        await closed;
        expect((await failureOf(p.a.request('close.never', 0, second))).code).toBe('BUS_CLOSED');
        expect(() => p.a.publish('close.never', 0)).not.toThrow();
        expect(p.a.status()).toMatchObject({ connected: false, reason: expect.any(String) });
        await p.a.close();
      } finally {
        await p.close();
      }
    });
  });
}

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
