/**
 * What all transports share: envelopes, requests and answers, errors, hostile bytes, counters.
 *
 * Subjects on the wire: `m.<subject>` messages, `q.<subject>` requests, `r.<inbox>.<id>` answers. Requests
 * have a space of their own, so that a mere subscriber never hides that nobody answers (B3).
 */
import { assert } from '../base/assert.ts';
import { type Clock, sleep } from '../base/clock.ts';
import { LoadError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Bus, BusMeta, Subscription } from './bus.types.ts';
import {
  decodeEnvelope,
  encodeAnswer,
  encodeEnvelope,
  encodeFailure,
  openAnswer,
} from './bus-envelope.ts';
import { isPattern, isSubject } from './bus-subjects.ts';
import type { BusWire, WireMessage } from './bus-wire.types.ts';

export interface BusCoreOptions {
  readonly from: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly wire: BusWire;
  /** One word, unlike that of any other bus on the same transport. */
  readonly inbox: string;
  /** Requests being answered at one time; more are refused with `BUS_BUSY`. Default 1,024. */
  readonly answeringMax?: number;
  /** How long `close` waits for answers being made. Default 2,000. */
  readonly drainMs?: number;
}

/** Since the start; for SHOW and tests. */
export interface BusCounters {
  readonly sent: number;
  readonly received: number;
  /** Not sent: disconnected, busy or closed. */
  readonly dropped: number;
  /** B6: what came in and was no message of ours. */
  readonly hostile: number;
  /** Answers after their request had ended. */
  readonly late: number;
  readonly handlerErrors: number;
  readonly noResponder: number;
  readonly timeouts: number;
}

interface PendingRequest {
  readonly subject: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: LoadError) => void;
  /** Stops the timer and the signal. */
  readonly release: () => void;
}

export class BusCore implements Bus {
  readonly #options: BusCoreOptions;
  readonly #wire: BusWire;
  readonly #pending = new Map<string, PendingRequest>();
  readonly #subscriptions = new Set<Subscription>();
  readonly #answering = new Set<Promise<void>>();
  readonly #inbox: { close(): void };
  readonly #count = {
    sent: 0,
    received: 0,
    dropped: 0,
    hostile: 0,
    late: 0,
    handlerErrors: 0,
    noResponder: 0,
    timeouts: 0,
  };
  #requests = 0;
  #closing: Promise<void> | undefined;

  constructor(options: BusCoreOptions) {
    assert(/^[A-Za-z0-9_-]+$/.test(options.inbox), 'the inbox is one word');
    this.#options = options;
    this.#wire = options.wire;
    this.#inbox = this.#wire.listen(`r.${options.inbox}.*`, (message) => this.#answered(message));
    this.#wire.onDown((reason) => this.#failPending(disconnected(reason)));
  }

  counters(): BusCounters {
    return { ...this.#count };
  }

  publish(subject: string, body: unknown): void {
    assert(isSubject(subject), `not a subject: ${subject}`);
    const bytes = encodeEnvelope(this.#options.from, body);
    this.#send(`m.${subject}`, bytes);
  }

  request<T = unknown>(
    subject: string,
    body: unknown,
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<T> {
    assert(isSubject(subject), `not a subject: ${subject}`);
    return new Promise<unknown>((resolve, reject) => {
      this.#ask(subject, body, options, resolve, reject);
    }) as Promise<T>;
  }

  #ask(
    subject: string,
    body: unknown,
    { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal },
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
  ): void {
    if (this.#closing !== undefined || signal?.aborted) {
      reject(this.#closing !== undefined ? closedError() : aborted(subject, signal));
      return;
    }
    this.#requests += 1;
    const reply = `r.${this.#options.inbox}.${this.#requests.toString(36)}`;
    const fail = (error: LoadError) => {
      this.#wire.forget?.(reply);
      this.#take(reply)?.reject(error);
    };
    const onAbort = () => fail(aborted(subject, signal));
    const timer = this.#options.clock.setTimeout(() => {
      this.#count.timeouts += 1;
      fail(
        new LoadError('BUS_TIMEOUT', `no answer on "${subject}" in ${timeoutMs} ms`, {
          transient: true,
          details: { subject, timeoutMs },
        }),
      );
    }, timeoutMs);
    signal?.addEventListener('abort', onAbort, { once: true });
    const release = () => {
      this.#options.clock.clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
    this.#pending.set(reply, { subject, resolve, reject, release });
    try {
      this.#wire.send(`q.${subject}`, encodeEnvelope(this.#options.from, body), reply);
      this.#count.sent += 1;
    } catch (error) {
      if (error instanceof LoadError && error.transient) this.#count.dropped += 1;
      this.#take(reply);
      reject(error);
    }
  }

  subscribe(subject: string, handler: (body: unknown, meta: BusMeta) => void): Subscription {
    return this.#listen('m.', subject, (message) => {
      const opened = this.#open(message);
      if (opened === undefined) return;
      try {
        // A handler of type void may be an async function: its rejection must not end the process either.
        const result: unknown = handler(opened.body, opened.meta);
        if (result instanceof Promise) result.catch((error) => this.#handlerFailed(error, message));
      } catch (error) {
        this.#handlerFailed(error, message);
      }
    });
  }

  respond(
    subject: string,
    handler: (body: unknown, meta: BusMeta) => Promise<unknown> | unknown,
  ): Subscription {
    return this.#listen('q.', subject, (message) => {
      const { reply } = message;
      // The reply subject comes from outside: only an inbox is answered (B6).
      if (reply === undefined || !/^r\.[A-Za-z0-9_-]+\.[a-z0-9]+$/.test(reply)) {
        this.#hostile(message, 'no inbox to answer to');
        return;
      }
      const opened = this.#open(message);
      if (opened === undefined) return;
      if (this.#answering.size >= (this.#options.answeringMax ?? 1024)) {
        this.#send(reply, encodeFailure(this.#options.from, busy()));
        return;
      }
      const answer = this.#answer(message, reply, () => handler(opened.body, opened.meta));
      this.#answering.add(answer);
      void answer.then(() => this.#answering.delete(answer));
    });
  }

  /** Never rejects. */
  async #answer(message: WireMessage, reply: string, make: () => unknown): Promise<void> {
    let bytes: Uint8Array;
    try {
      bytes = encodeAnswer(this.#options.from, await make());
    } catch (error) {
      // A LoadError is an answer like any other; the rest is a mistake of ours that the log should show.
      if (!(error instanceof LoadError)) this.#handlerFailed(error, message);
      bytes = encodeFailure(this.#options.from, error);
    }
    try {
      this.#send(reply, bytes);
    } catch (error) {
      // The transport takes less than we do: the asker is to learn that rather than to wait.
      this.#send(reply, encodeFailure(this.#options.from, error));
    }
  }

  ready(): Promise<void> {
    return this.#closing === undefined ? this.#wire.flush() : Promise.reject(closedError());
  }

  status(): { readonly connected: boolean; readonly since: number; readonly reason?: string } {
    return this.#wire.status();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Nothing new comes in, what is being answered is answered, then the transport goes. */
  async #close(): Promise<void> {
    for (const subscription of this.#subscriptions) subscription.close();
    this.#failPending(closedError());
    if (this.#answering.size > 0) {
      const waited = new AbortController();
      const limit = sleep(this.#options.clock, this.#options.drainMs ?? 2_000, waited.signal);
      await Promise.race([Promise.allSettled(this.#answering), limit]);
      waited.abort();
    }
    this.#inbox.close();
    await this.#wire.close();
  }

  #listen(space: string, subject: string, handler: (message: WireMessage) => void): Subscription {
    assert(isPattern(subject), `not a subject pattern: ${subject}`);
    assert(this.#closing === undefined, 'subscribed on a closed bus');
    let open = true;
    const listener = this.#wire.listen(`${space}${subject}`, (message) => {
      if (open) handler(message);
    });
    const subscription: Subscription = {
      close: () => {
        if (!open) return;
        open = false;
        this.#subscriptions.delete(subscription);
        listener.close();
      },
    };
    this.#subscriptions.add(subscription);
    return subscription;
  }

  /** B2: what cannot be sent is lost, and counted. */
  #send(subject: string, bytes: Uint8Array): void {
    try {
      this.#wire.send(subject, bytes);
      this.#count.sent += 1;
    } catch (error) {
      if (error instanceof LoadError && !error.transient && error.code !== 'BUS_CLOSED')
        throw error;
      this.#count.dropped += 1;
      if (isPowerOfTwo(this.#count.dropped)) {
        this.#options.log.write('warn', 'bus message dropped', {
          subject,
          dropped: this.#count.dropped,
          error: String(error),
        });
      }
    }
  }

  #open(message: WireMessage): { body: unknown; meta: BusMeta } | undefined {
    const subject = message.subject.slice(2);
    try {
      const { from, body } = decodeEnvelope(message.bytes);
      this.#count.received += 1;
      return { body, meta: { subject, from } };
    } catch (error) {
      this.#hostile(message, error instanceof LoadError ? error.details.reason : String(error));
      return undefined;
    }
  }

  #answered(message: WireMessage): void {
    const pending = this.#pending.get(message.subject);
    if (pending === undefined) {
      this.#count.late += 1;
      return;
    }
    if (message.unanswered !== undefined) {
      this.#count.noResponder += 1;
      this.#take(message.subject)?.reject(noResponder(pending.subject, message.unanswered));
      return;
    }
    // Hostile bytes end no request: the true answer may follow.
    const opened = this.#open(message);
    if (opened === undefined) return;
    this.#take(message.subject);
    try {
      pending.resolve(openAnswer(opened.body));
    } catch (error) {
      pending.reject(error as LoadError);
    }
  }

  #take(reply: string): PendingRequest | undefined {
    const pending = this.#pending.get(reply);
    this.#pending.delete(reply);
    pending?.release();
    return pending;
  }

  #failPending(error: LoadError): void {
    for (const reply of [...this.#pending.keys()]) {
      this.#wire.forget?.(reply);
      this.#take(reply)?.reject(error);
    }
  }

  #hostile(message: WireMessage, reason: unknown): void {
    this.#count.hostile += 1;
    // Whoever sends garbage must not fill the log with it: the 1st, 2nd, 4th, 8th, … are written.
    if (!isPowerOfTwo(this.#count.hostile)) return;
    this.#options.log.write('warn', 'bus bytes dropped', {
      subject: message.subject,
      bytes: message.bytes.length,
      reason,
      hostile: this.#count.hostile,
    });
  }

  #handlerFailed(error: unknown, message: WireMessage): void {
    this.#count.handlerErrors += 1;
    this.#options.log.write('error', 'bus handler failed', {
      subject: message.subject.slice(2),
      error: error instanceof Error ? (error.stack ?? error.message) : typeof error,
    });
  }
}

function isPowerOfTwo(n: number): boolean {
  return n > 0 && (n & (n - 1)) === 0;
}

export function disconnected(reason: string): LoadError {
  return new LoadError('BUS_DISCONNECTED', `bus is disconnected: ${reason}`, { transient: true });
}

export function closedError(): LoadError {
  return new LoadError('BUS_CLOSED', 'bus is closed');
}

export function busy(): LoadError {
  return new LoadError('BUS_BUSY', 'too much is under way on the bus', { transient: true });
}

function noResponder(subject: string, why: 'none' | 'gone'): LoadError {
  const message = why === 'none' ? 'nobody answers on' : 'whoever was to answer went away on';
  return new LoadError('BUS_NO_RESPONDER', `${message} "${subject}"`, {
    transient: true,
    details: { subject },
  });
}

function aborted(subject: string, signal: AbortSignal | undefined): LoadError {
  return new LoadError('BUS_ABORTED', `request on "${subject}" was given up`, {
    transient: true,
    cause: signal?.reason,
  });
}
