/**
 * The part store between threads of one process (PROTOCOL.md T2): bytes move by transfer of their buffers over
 * MessagePorts, routed by the main thread. Users in the main thread have a port to their own hub.
 *
 *   P1. What is offered belongs to the store: a caller that touches the bytes later finds an empty buffer, or
 *       its taker finds damage. Bytes that are a view of a larger buffer are copied at the offer.
 *   P2. The last take hands over the buffer itself; earlier takes get copies. Nobody shares memory.
 *   P3. Length and CRC32C are checked by the taker, never trusted.
 *   P4. An owner that goes away fails the takes that wait for it, at once.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { crc32c } from '@node-rs/crc32';
import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import { LoadError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { PartRef, PartStore } from '../bus.types.ts';
import type { PartHub } from './part-hub.ts';
import type { PartOp } from './part-ops.types.ts';

export interface PartStoreOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Bytes kept by this owner in all. Default 512 MiB. */
  readonly bytesMax?: number;
}

interface Kept {
  readonly bytes: Uint8Array<ArrayBuffer>;
  takesLeft: number;
  readonly timer: unknown;
}

interface Waiting {
  readonly ref: PartRef;
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: LoadError) => void;
  readonly release: () => void;
}

const defaults = { bytesMax: 512 << 20, ttlMs: 120_000, timeoutMs: 60_000 };

/** `address` is unlike that of any other store on the hub, as of `fe` or `be-1.3`: the node and its incarnation. */
export function connectPartStore(
  portOrHub: MessagePort | PartHub,
  address: string,
  options: PartStoreOptions,
): PartStore & { bytesKept(): number } {
  if (!('attach' in portOrHub)) return new LocalPartStore(portOrHub, address, options);
  const { port1, port2 } = new MessageChannel();
  portOrHub.attach(port1, address);
  return new LocalPartStore(port2, address, options);
}

class LocalPartStore implements PartStore {
  readonly #port: MessagePort;
  readonly #address: string;
  readonly #options: PartStoreOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #waiting = new Map<number, Waiting>();
  readonly #closed: Promise<void>;
  #bytesKept = 0;
  #offers = 0;
  #takes = 0;
  #open = true;

  constructor(port: MessagePort, address: string, options: PartStoreOptions) {
    this.#port = port;
    this.#address = address;
    this.#options = options;
    port.on('message', (op: PartOp) => this.#op(op));
    this.#closed = new Promise((resolve) => {
      port.on('close', () => {
        this.#leave();
        resolve();
      });
    });
    port.unref(); // Only a take that waits keeps the thread alive.
  }

  offer(bytes: Uint8Array, options: { takes?: number; ttlMs?: number } = {}): PartRef {
    const { takes = 1, ttlMs = defaults.ttlMs } = options;
    assert(takes >= 1 && Number.isInteger(takes), 'a part is taken once at least');
    if (!this.#open) throw gone('part store is closed');
    const bytesMax = this.#options.bytesMax ?? defaults.bytesMax;
    if (this.#bytesKept + bytes.length > bytesMax) {
      throw new LoadError('PART_STORE_FULL', 'part store is full', {
        transient: true,
        details: { bytes: bytes.length, bytesKept: this.#bytesKept, bytesMax },
        hint: 'load less at a time, or raise the limit of the part store',
      });
    }
    this.#offers += 1;
    const id = this.#offers.toString(36);
    const ref: PartRef = {
      owner: this.#address,
      id,
      length: bytes.length,
      digest: digestOf(bytes),
    };
    const timer = this.#options.clock.setTimeout(() => {
      this.#options.log.write('warn', 'part was never taken', { id, bytes: ref.length });
      this.#drop(id);
    }, ttlMs);
    this.#kept.set(id, { bytes: owned(bytes), takesLeft: takes, timer });
    this.#bytesKept += ref.length;
    return ref;
  }

  /** Bytes offered and not yet taken for the last time, nor expired. */
  bytesKept(): number {
    return this.#bytesKept;
  }

  take(
    ref: PartRef,
    options: { timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<Uint8Array> {
    const { timeoutMs = defaults.timeoutMs, signal } = options;
    return new Promise((resolve, reject) => {
      if (!this.#open || signal?.aborted) {
        reject(this.#open ? timedOut('take was given up', ref) : gone('part store is closed', ref));
        return;
      }
      this.#takes += 1;
      const n = this.#takes;
      const fail = (error: LoadError) => this.#end(n)?.reject(error);
      const timer = this.#options.clock.setTimeout(
        () => fail(timedOut(`part did not arrive in ${timeoutMs} ms`, ref)),
        timeoutMs,
      );
      const onAbort = () => fail(timedOut('take was given up', ref));
      signal?.addEventListener('abort', onAbort, { once: true });
      const release = () => {
        this.#options.clock.clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      };
      this.#waiting.set(n, { ref, resolve, reject, release });
      this.#port.ref();
      this.#port.postMessage({ op: 'take', owner: ref.owner, id: ref.id, n } satisfies PartOp);
    });
  }

  close(): Promise<void> {
    if (this.#open) this.#port.close();
    return this.#closed;
  }

  #op(op: PartOp): void {
    if (op.op === 'give') this.#give(op);
    else if (op.op === 'part') this.#arrived(op.n, op.bytes);
    else if (op.op === 'gone') {
      const waiting = this.#end(op.n);
      waiting?.reject(gone(op.reason, waiting.ref));
    }
  }

  #give({ id, ticket }: Extract<PartOp, { op: 'give' }>): void {
    const kept = this.#kept.get(id);
    if (kept === undefined) {
      this.#port.postMessage({ op: 'ungiven', ticket } satisfies PartOp);
      return;
    }
    kept.takesLeft -= 1;
    const bytes = kept.takesLeft > 0 ? kept.bytes.slice() : kept.bytes;
    if (kept.takesLeft === 0) this.#drop(id);
    this.#port.postMessage({ op: 'given', ticket, bytes } satisfies PartOp, [bytes.buffer]);
  }

  #arrived(n: number, bytes: Uint8Array): void {
    const waiting = this.#end(n);
    if (waiting === undefined) return; // Too late: the taker has given up, and asks its owner anew.
    const { ref } = waiting;
    if (bytes.length === ref.length && digestOf(bytes) === ref.digest) {
      waiting.resolve(bytes);
      return;
    }
    waiting.reject(
      new LoadError('PART_DAMAGED', 'part is not what was offered', {
        transient: true,
        details: { ...detailsOf(ref), arrived: { length: bytes.length, digest: digestOf(bytes) } },
      }),
    );
  }

  #end(n: number): Waiting | undefined {
    const waiting = this.#waiting.get(n);
    if (waiting === undefined) return undefined;
    this.#waiting.delete(n);
    waiting.release();
    if (this.#waiting.size === 0) this.#port.unref();
    return waiting;
  }

  #drop(id: string): void {
    const kept = this.#kept.get(id);
    if (kept === undefined) return;
    this.#kept.delete(id);
    this.#bytesKept -= kept.bytes.length;
    this.#options.clock.clearTimeout(kept.timer);
  }

  #leave(): void {
    this.#open = false;
    for (const id of [...this.#kept.keys()]) this.#drop(id);
    for (const [n, { ref }] of [...this.#waiting]) {
      this.#end(n)?.reject(gone('part store is closed', ref));
    }
  }
}

/** The bytes in a buffer of their own that can be transferred. */
function owned(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer } = bytes;
  const whole = buffer instanceof ArrayBuffer && bytes.length === buffer.byteLength;
  // An empty buffer is left alone: callers keep one as a constant.
  if (!whole || bytes.length === 0) return new Uint8Array(bytes);
  try {
    // Detached from what the caller holds (P1); a subclass such as Buffer becomes plain bytes.
    return new Uint8Array(structuredClone(buffer, { transfer: [buffer] }));
  } catch {
    return new Uint8Array(bytes); // Memory of a native library, which cannot be transferred.
  }
}

function digestOf(bytes: Uint8Array): string {
  return crc32c(bytes).toString(16).padStart(8, '0');
}

function detailsOf(ref: PartRef | undefined): Record<string, unknown> {
  return ref === undefined ? {} : { owner: ref.owner, id: ref.id, length: ref.length };
}

function gone(reason: string, ref?: PartRef): LoadError {
  return new LoadError('PART_GONE', reason, { transient: true, details: detailsOf(ref) });
}

function timedOut(reason: string, ref: PartRef): LoadError {
  return new LoadError('PART_TIMEOUT', reason, { transient: true, details: detailsOf(ref) });
}
