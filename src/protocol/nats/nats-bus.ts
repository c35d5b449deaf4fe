/**
 * The bus over NATS. Every connection is a new one: the client's own reconnect would keep what is published
 * meanwhile in memory, and ends for good on a refused password.
 *
 *   N1. Connects for ever, with back-off, also when the server was never there.
 *   N2. While disconnected nothing is kept (B5): messages are lost and counted, requests fail at once.
 *   N3. What is subscribed is subscribed again on every connection, before it counts as connected.
 *   N4. Bytes sent and not yet acknowledged by the server are bounded.
 */
import { connect, type Msg, type NatsConnection } from 'nats';
import { assert } from '../../base/assert.ts';
import { type Clock, sleep } from '../../base/clock.ts';
import { LoadError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { type Random, randomHex, systemRandom } from '../../base/random.ts';
import { BusCore, busy, closedError, disconnected } from '../bus-core.ts';
import { messageBytesMax } from '../bus-envelope.ts';
import { isSubject } from '../bus-subjects.ts';
import type { BusWire, WireMessage } from '../bus-wire.types.ts';
import { type NatsAddress, natsAddress } from './nats-address.ts';

export interface NatsBusOptions {
  /** `nats://user:secret@host:port` or `nats://token@host:port`, both or neither; several with commas. */
  readonly url: string;
  readonly from: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Before every subject, answers too: `millrace.<cluster>.` */
  readonly prefix: string;
  readonly random?: Random;
  /**
   * The promise resolves once connected, or after so long without a connection: the bus then says why in
   * `status()` and goes on trying. Default 10,000; Infinity waits for ever.
   */
  readonly waitOnFirstConnectMs?: number;
  /** Default 250, doubled up to `backoffMsMax` (default 10,000). */
  readonly backoffMs?: number;
  readonly backoffMsMax?: number;
  /** Bytes sent and not yet known to have reached the server. Default 16 MiB. */
  readonly unflushedBytesMax?: number;
}

export async function connectNatsBus(options: NatsBusOptions): Promise<BusCore> {
  const { from, clock, log, random = systemRandom, waitOnFirstConnectMs = 10_000 } = options;
  assert(
    options.prefix.endsWith('.') && isSubject(options.prefix.slice(0, -1)),
    `not a subject prefix: ${options.prefix}`,
  );
  const wire = new NatsWire(options, natsAddress(options.url), random);
  // Longer than a word of chance needs: a second node with this inbox would read our answers.
  const bus = new BusCore({ from, clock, log, wire, inbox: randomHex(random, 12) });
  const waited = new AbortController();
  const limit = Number.isFinite(waitOnFirstConnectMs)
    ? [sleep(clock, waitOnFirstConnectMs, waited.signal)]
    : [];
  await Promise.race([wire.connected(), ...limit]);
  waited.abort();
  return bus;
}

interface Listener {
  readonly pattern: string;
  readonly handler: (message: WireMessage) => void;
  /** On the present connection. */
  stop: (() => void) | undefined;
}

class NatsWire implements BusWire {
  readonly #options: NatsBusOptions;
  readonly #address: NatsAddress;
  readonly #random: Random;
  readonly #listeners = new Set<Listener>();
  readonly #closing = new AbortController();
  readonly #unflushedBytesMax: number;
  readonly #running: Promise<void>;
  #down: (reason: string) => void = () => {};
  #connection: NatsConnection | undefined;
  #waiters: { resolve(): void; reject(error: Error): void }[] = [];
  #since: number;
  #reason = 'connecting';
  #unflushed = 0;
  #sinceFlush = 0;

  constructor(options: NatsBusOptions, address: NatsAddress, random: Random) {
    this.#options = options;
    this.#address = address;
    this.#random = random;
    this.#unflushedBytesMax = options.unflushedBytesMax ?? 16 << 20;
    this.#since = options.clock.now();
    this.#running = this.#run();
  }

  send(subject: string, bytes: Uint8Array, reply?: string): void {
    const connection = this.#connection;
    if (this.#closing.signal.aborted && connection === undefined) throw closedError();
    if (connection === undefined) throw disconnected(this.#reason);
    if (this.#unflushed + bytes.length > this.#unflushedBytesMax) {
      throw busy();
    }
    const { prefix } = this.#options;
    try {
      connection.publish(
        prefix + subject,
        bytes,
        reply === undefined ? {} : { reply: prefix + reply },
      );
    } catch (error) {
      throw sendError(error, bytes);
    }
    this.#sent(connection, bytes.length + prefix.length + subject.length + 32);
  }

  listen(pattern: string, handler: (message: WireMessage) => void): { close(): void } {
    const listener: Listener = { pattern, handler, stop: undefined };
    this.#listeners.add(listener);
    if (this.#connection !== undefined) this.#subscribe(this.#connection, listener);
    return {
      close: () => {
        this.#listeners.delete(listener);
        listener.stop?.();
      },
    };
  }

  onDown(handler: (reason: string) => void): void {
    this.#down = handler;
  }

  /** Resolves once connected. Rejects only when the bus is closed before. */
  connected(): Promise<void> {
    if (this.#connection !== undefined) return Promise.resolve();
    if (this.#closing.signal.aborted) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
    });
  }

  async flush(): Promise<void> {
    for (;;) {
      await this.connected();
      const connection = this.#connection;
      if (connection === undefined) continue;
      const lost = await connection.flush().then(
        () => false,
        () => true,
      );
      if (!lost) return;
      // The connection broke meanwhile; the next one begins with all subscriptions.
      await connection.closed();
      await Promise.resolve();
    }
  }

  status(): { readonly connected: boolean; readonly since: number; readonly reason?: string } {
    return this.#connection === undefined
      ? { connected: false, since: this.#since, reason: this.#reason }
      : { connected: true, since: this.#since };
  }

  /** Drains: what was published reaches the server, then the connection is closed. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#reason = 'closed';
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(closedError());
    const connection = this.#connection;
    if (connection !== undefined) {
      const drained = new AbortController();
      const drain = connection.drain().catch(() => {});
      await Promise.race([drain, sleep(this.#options.clock, 3_000, drained.signal)]);
      drained.abort();
      await connection.close();
    }
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, log, backoffMs = 250, backoffMsMax = 10_000 } = this.#options;
    const { signal } = this.#closing;
    let tries = 0;
    while (!signal.aborted) {
      const opened = await this.#open();
      if (opened !== undefined) {
        tries = 0;
        log.write('info', 'bus connected', { server: opened.getServer() });
        const bytesMax = opened.info?.max_payload ?? 0;
        if (bytesMax < messageBytesMax) {
          log.write('warn', 'NATS server takes smaller messages than we send', { bytesMax });
        }
        this.#lost(await opened.closed());
      } else if (tries === 0 && !signal.aborted) {
        log.write('warn', 'bus not connected', {
          servers: this.#address.servers,
          reason: this.#reason,
        });
      }
      if (signal.aborted) return;
      // Half of it by chance, so that nodes do not come back in step.
      const wait = Math.min(backoffMs * 2 ** Math.min(tries, 20), backoffMsMax);
      tries += 1;
      await sleep(clock, wait * (0.5 + this.#random.next() / 2), signal);
    }
  }

  async #open(): Promise<NatsConnection | undefined> {
    let connection: NatsConnection;
    try {
      connection = await connect({
        ...this.#address,
        name: this.#options.from,
        reconnect: false,
        timeout: 5_000,
        pingInterval: 10_000,
        maxPingOut: 2,
      });
    } catch (error) {
      this.#reason = reasonOf(error);
      return undefined;
    }
    if (this.#closing.signal.aborted) {
      await connection.close();
      return undefined;
    }
    // N3: the server reads these before anything that is published from here on.
    for (const listener of this.#listeners) this.#subscribe(connection, listener);
    this.#connection = connection;
    this.#since = this.#options.clock.now();
    this.#unflushed = 0;
    this.#sinceFlush = 0;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.resolve();
    void this.#watch(connection);
    return connection;
  }

  #lost(error: unknown): void {
    this.#connection = undefined;
    for (const listener of this.#listeners) listener.stop = undefined;
    this.#since = this.#options.clock.now();
    if (this.#closing.signal.aborted) return;
    this.#reason = error instanceof Error ? reasonOf(error) : 'connection lost';
    this.#options.log.write('warn', 'bus disconnected', { reason: this.#reason });
    this.#down(this.#reason);
  }

  /** Errors that end no connection, such as a subject the server does not allow. */
  async #watch(connection: NatsConnection): Promise<void> {
    for await (const { type, data } of connection.status()) {
      if (type === 'error') this.#options.log.write('warn', 'bus error', { reason: String(data) });
    }
  }

  #subscribe(connection: NatsConnection, listener: Listener): void {
    const { prefix, log } = this.#options;
    const subscription = connection.subscribe(prefix + listener.pattern, {
      // A callback, not an iterator: nothing queues up in the client. It never throws, as the client's reader
      // would not survive it.
      callback: (error, message) => {
        if (error !== null) {
          log.write('warn', 'bus subscription refused', {
            subject: listener.pattern,
            reason: reasonOf(error),
          });
          return;
        }
        const opened = openMessage(prefix, message);
        if (opened !== undefined) listener.handler(opened);
      },
    });
    listener.stop = () => {
      if (!subscription.isClosed()) subscription.unsubscribe();
    };
  }

  /** N4. A flush is a PING to the server; its PONG says that all before it was read. */
  #sent(connection: NatsConnection, bytes: number): void {
    this.#unflushed += bytes;
    this.#sinceFlush += bytes;
    if (this.#sinceFlush < this.#unflushedBytesMax / 16) return;
    const flushed = this.#sinceFlush;
    this.#sinceFlush = 0;
    connection.flush().then(
      () => {
        if (this.#connection === connection) this.#unflushed -= flushed;
      },
      () => {}, // The connection is lost, and the count with it.
    );
  }
}

/** Subjects without our prefix, or undefined: the server sends only what was subscribed, but B6. */
function openMessage(prefix: string, message: Msg): WireMessage | undefined {
  if (!message.subject.startsWith(prefix)) return undefined;
  const subject = message.subject.slice(prefix.length);
  const bytes = message.data;
  if (bytes.length === 0 && message.headers?.code === 503) {
    return { subject, bytes, unanswered: 'none' };
  }
  const reply = message.reply;
  // A reply subject outside the prefix stays as it is: the core refuses it, for it is no inbox of ours.
  if (reply === undefined || reply === '') return { subject, bytes };
  return {
    subject,
    bytes,
    reply: reply.startsWith(prefix) ? reply.slice(prefix.length) : 'foreign',
  };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? String(error.code) : '';
  return code === '' || error.message.includes(code) ? error.message : `${code}: ${error.message}`;
}

function sendError(error: unknown, bytes: Uint8Array): LoadError {
  if (error instanceof Error && 'code' in error && error.code === 'MAX_PAYLOAD_EXCEEDED') {
    return new LoadError('BUS_MESSAGE_TOO_LARGE', 'message is too large for the NATS server', {
      details: { bytes: bytes.length },
      hint: 'raise "max_payload" of the NATS server to 1 MB',
    });
  }
  return disconnected(reasonOf(error));
}
