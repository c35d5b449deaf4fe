/**
 * The ordered store in memory, for unit tests, with a disk's bad habits on request: what was not synced is lost at
 * a crash, a write fails, a write takes its time, a bit flips. Every write is kept, so that a test can look at
 * the store as a crash between any two of them would leave it.
 */
import { assert } from '../base/assert.ts';
import { LoadError } from '../base/errors.ts';
import type { OrderedStore, StoreOp } from './ordered-store.types.ts';

export interface MemoryWrite {
  readonly ops: readonly StoreOp[];
  readonly sync: boolean;
}

export interface MemoryStore extends OrderedStore {
  /** All writes since the store was made, in order. */
  readonly writes: readonly MemoryWrite[];
  /** The next write fails; what it held is not stored, or is with `stored` (its outcome is unknown, D3). */
  failNextWrite(error: Error, options?: { stored: boolean }): void;
  /** Writes wait until the function that is returned gets called. */
  holdWrites(): () => void;
  /** The store after a crash: all up to the last sync, and `keepUnsynced` of the writes after it (default 0). */
  crash(options?: { keepUnsynced?: number }): MemoryStore;
  /** The store with the first `count` writes alone. */
  prefix(count: number): MemoryStore;
  /** The same bytes in a store that is open. */
  reopen(): MemoryStore;
  keys(): readonly Uint8Array[];
  /** The value now, in this turn. */
  peek(key: Uint8Array): Uint8Array | undefined;
  /** Changes a stored value behind everybody's back; `undefined` removes it. */
  tamper(key: Uint8Array, change: (value: Uint8Array) => Uint8Array | undefined): void;
}

export function createMemoryStore(writes: readonly MemoryWrite[] = []): MemoryStore {
  return new Memory(writes);
}

class Memory implements MemoryStore {
  readonly writes: MemoryWrite[] = [];
  readonly #values = new Map<string, Uint8Array>();
  /** Sorted; `undefined` after a change of the set of keys. */
  #sorted: string[] | undefined;
  #failing: { readonly error: Error; readonly stored: boolean } | undefined;
  #failure: Error | undefined;
  #held: Promise<void> | undefined;
  #closed = false;

  constructor(writes: readonly MemoryWrite[]) {
    for (const write of writes) this.#apply(write);
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    this.#check();
    const value = this.#values.get(nameOf(key));
    return value === undefined ? undefined : copyOf(value);
  }

  async *range(options: {
    from: Uint8Array;
    to: Uint8Array;
    limit?: number;
    reverse?: boolean;
  }): AsyncIterable<readonly [Uint8Array, Uint8Array]> {
    this.#check();
    const [from, to] = [nameOf(options.from), nameOf(options.to)];
    const names = this.#names().filter((name) => name >= from && name < to);
    if (options.reverse === true) names.reverse();
    for (const name of names.slice(0, options.limit)) {
      const value = this.#values.get(name);
      if (value !== undefined) yield [keyOf(name), copyOf(value)];
    }
  }

  async write(ops: readonly StoreOp[], options: { sync: boolean }): Promise<void> {
    this.#check();
    const copy = ops.map((op) =>
      op.type === 'put'
        ? { type: op.type, key: copyOf(op.key), value: copyOf(op.value) }
        : { type: op.type, key: copyOf(op.key) },
    );
    while (this.#held !== undefined) await this.#held;
    this.#check();
    const failing = this.#failing;
    this.#failing = undefined;
    if (failing === undefined || failing.stored) this.#apply({ ops: copy, sync: options.sync });
    if (failing === undefined) return;
    this.#failure = failing.error;
    throw failing.error;
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  failNextWrite(error: Error, options: { stored: boolean } = { stored: false }): void {
    this.#failing = { error, stored: options.stored };
  }

  holdWrites(): () => void {
    assert(this.#held === undefined, 'writes are held already');
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held = promise;
    return () => {
      this.#held = undefined;
      resolve();
    };
  }

  crash(options: { keepUnsynced?: number } = {}): MemoryStore {
    const synced = this.writes.findLastIndex((write) => write.sync) + 1;
    return this.prefix(synced + (options.keepUnsynced ?? 0));
  }

  prefix(count: number): MemoryStore {
    return new Memory(this.writes.slice(0, count));
  }

  reopen(): MemoryStore {
    const ops = this.#names().map((name) => ({
      type: 'put' as const,
      key: keyOf(name),
      value: this.#values.get(name)!,
    }));
    return new Memory([{ ops, sync: true }]);
  }

  keys(): readonly Uint8Array[] {
    return this.#names().map(keyOf);
  }

  peek(key: Uint8Array): Uint8Array | undefined {
    return this.#values.get(nameOf(key));
  }

  tamper(key: Uint8Array, change: (value: Uint8Array) => Uint8Array | undefined): void {
    const value = this.#values.get(nameOf(key));
    assert(value !== undefined, `no such key: ${nameOf(key)}`);
    const changed = change(copyOf(value));
    if (changed === undefined) this.#apply({ ops: [{ type: 'del', key }], sync: true });
    else this.#apply({ ops: [{ type: 'put', key, value: changed }], sync: true });
  }

  #apply(write: MemoryWrite): void {
    this.writes.push(write);
    this.#sorted = undefined;
    for (const op of write.ops) {
      if (op.type === 'put') this.#values.set(nameOf(op.key), op.value);
      else this.#values.delete(nameOf(op.key));
    }
  }

  #names(): string[] {
    this.#sorted ??= [...this.#values.keys()].sort();
    return this.#sorted.slice();
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closed) throw new LoadError('STORE_CLOSED', 'the store in memory was closed');
  }
}

/** `slice` of a Buffer would share its memory. */
const copyOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);
/** One character a byte: strings then compare as their bytes do. */
const nameOf = (key: Uint8Array): string => Buffer.from(key).toString('latin1');
const keyOf = (name: string): Uint8Array => Uint8Array.from(Buffer.from(name, 'latin1'));
