/**
 * The journal (PROTOCOL.md D1–D3, J1–J3): facts in order, chained by CRC, folded into state.
 *
 *   L1. Numbers are dense from 1 on. A gap, a wrong checksum or a broken chain at open names the entry and stops.
 *   L2. One write is in flight; what is queued meanwhile goes with the next, in order, with one sync.
 *   L3. The durable fold never has what the disk may not have; its promise resolves after its fold and listeners.
 *   L4. After a failed write nothing is answered as durable, and the store is closed.
 *   L5. What is applied live is the entry as it was encoded and decoded: what replay will see.
 */
import { assert } from '../base/assert.ts';
import { removeCheckpoints, removeEntries, writeCheckpoint } from './checkpoint.ts';
import type { Appended, FoldSpec, Journal, OpenJournalOptions } from './journal.types.ts';
import { writeRecord } from './journal-record.ts';
import { recoverJournal } from './journal-recovery.ts';
import { decodeJson, encodeJson } from './json-codec.ts';
import { JournalKeys } from './keys.ts';
import type { OrderedStore, StoreOp } from './ordered-store.types.ts';

const BATCH_ENTRIES_MAX = 1_000;
const BATCH_BYTES_MAX = 8 * 1024 * 1024;
/** Entries that the checkpoint's fold catches up with in one turn. */
const CATCH_UP_ENTRIES = 200;

/** Reads the fold of what `store` holds under `prefix`. The store belongs to the journal from here on. */
export async function openJournal<E extends { readonly type: string }, S>(
  store: OrderedStore,
  prefix: string,
  spec: FoldSpec<E, S>,
  options: OpenJournalOptions = {},
): Promise<Journal<E, S>> {
  const keys = new JournalKeys(prefix);
  const journal = new StoreJournal(store, keys, spec, options);
  await journal.recover(prefix);
  return journal;
}

interface Queued<E> {
  readonly entry: E;
  readonly seq: number;
  readonly crc: number;
  readonly ops: readonly StoreOp[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

class StoreJournal<E extends { readonly type: string }, S> implements Journal<E, S> {
  head: S;
  durable: S;
  headSeq = 0;
  durableSeq = 0;
  readonly failed: Promise<Error>;

  readonly #store: OrderedStore;
  readonly #keys: JournalKeys;
  readonly #spec: FoldSpec<E, S>;
  readonly #options: OpenJournalOptions;

  readonly #queue: Queued<E>[] = [];
  #pumping: Promise<void> | undefined;
  /** Of the entry appended last. */
  #latest: Promise<void> = Promise.resolve();
  #lastCrc = 0;
  #failure: Error | undefined;
  #fail: (error: Error) => void;
  #closed: Promise<void> | undefined;

  readonly #durableListeners = new Set<(entry: E, seq: number) => void>();
  readonly #headListeners = new Set<(entry: E, seq: number) => void>();
  readonly #headNews: { entry: E; seq: number }[] = [];

  /**
   * A third fold, that checkpoints are taken of: it stands still while its sections are written, turn by turn,
   * and then catches up. The durable fold could not stand still without holding up answers.
   */
  #still: S;
  #stillSeq = 0;
  #stillCrc = 0;
  readonly #stillBehind: Queued<E>[] = [];
  #standing = false;
  #checkpointing: Promise<void> | undefined;
  #entriesSince = 0;
  #bytesSince = 0;
  #newest = 0;
  #before = 0;
  #oldestEntry = 1;

  constructor(
    store: OrderedStore,
    keys: JournalKeys,
    spec: FoldSpec<E, S>,
    options: OpenJournalOptions,
  ) {
    this.#store = store;
    this.#keys = keys;
    this.#spec = spec;
    this.#options = options;
    this.head = spec.empty();
    this.durable = spec.empty();
    this.#still = spec.empty();
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.failed = promise;
    this.#fail = resolve;
  }

  async recover(prefix: string): Promise<void> {
    const folds = [this.head, this.durable, this.#still];
    const found = await recoverJournal<E, S>({
      store: this.#store,
      keys: this.#keys,
      spec: this.#spec,
      journal: prefix.slice(0, -1),
      folds,
      ...(this.#options.log === undefined ? {} : { log: this.#options.log }),
    });
    [this.head, this.durable, this.#still] = found.folds as [S, S, S];
    this.headSeq = found.seq;
    this.durableSeq = found.seq;
    this.#stillSeq = found.seq;
    this.#lastCrc = found.crc;
    this.#stillCrc = found.crc;
    this.#newest = found.checkpoint;
    this.#before = found.checkpoint;
    this.#oldestEntry = found.oldestEntry;
    this.#entriesSince = found.seq - found.checkpoint;
    this.#bytesSince = found.bytesSince;
  }

  append(entry: E, options: { extra?: readonly StoreOp[] } = {}): Appended {
    assert(this.#closed === undefined, 'append to a journal that was closed');
    assert(this.#spec.types.includes(entry.type), `unknown entry type "${entry.type}"`);
    const seq = this.headSeq + 1;
    if (this.#failure !== undefined) return { seq, durable: rejected(this.#failure) };

    const json = encodeJson(entry);
    const { version } = this.#spec;
    const record = writeRecord({ seq, previous: this.#lastCrc, version, type: entry.type, json });
    const decoded = decodeJson(json) as E; // L5
    const extra = options.extra ?? [];
    assert(!extra.some((op) => this.#keys.owns(op.key)), 'an extra operation on a key of ours');
    this.#applyTo(this.head, decoded, seq);
    this.headSeq = seq;
    this.#lastCrc = record.crc;

    const { promise: durable, resolve, reject } = Promise.withResolvers<void>();
    durable.catch(() => {}); // `failed` tells of it too: not everybody waits for each entry.
    this.#latest = durable;
    this.#queue.push({
      entry: decoded,
      seq,
      crc: record.crc,
      ops: [{ type: 'put', key: this.#keys.entry(seq), value: record.bytes }, ...extra],
      bytes: extra.reduce((sum, op) => sum + sizeOf(op), record.bytes.length),
      resolve,
      reject,
    });
    this.#pumping ??= this.#pump();
    this.#tellHead(decoded, seq);
    return { seq, durable };
  }

  onDurable(listener: (entry: E, seq: number) => void): () => void {
    this.#durableListeners.add(listener);
    return () => this.#durableListeners.delete(listener);
  }

  onHead(listener: (entry: E, seq: number) => void): () => void {
    this.#headListeners.add(listener);
    return () => this.#headListeners.delete(listener);
  }

  async flush(): Promise<void> {
    await this.#latest; // Not until the queue is empty, which under load it may never be.
    if (this.#failure !== undefined) throw this.#failure;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    while (this.#pumping !== undefined) await this.#pumping;
    await this.#checkpointing;
    await this.#store.close();
  }

  /** A listener may append: the others then hear of the entries in order all the same. */
  #tellHead(entry: E, seq: number): void {
    this.#headNews.push({ entry, seq });
    if (this.#headNews.length > 1) return;
    try {
      for (let next = this.#headNews[0]; next !== undefined; next = this.#headNews[0]) {
        for (const listener of [...this.#headListeners]) listener(next.entry, next.seq);
        this.#headNews.shift();
      }
    } finally {
      this.#headNews.length = 0;
    }
  }

  async #pump(): Promise<void> {
    try {
      await Promise.resolve(); // What the same turn appends goes with the first write.
      while (this.#queue.length > 0 && this.#failure === undefined) {
        const batch = this.#takeBatch();
        try {
          await this.#store.write(
            batch.flatMap((queued) => queued.ops),
            { sync: true },
          );
          for (const queued of batch) this.#becomeDurable(queued);
        } catch (error) {
          this.#queue.unshift(...batch.filter((queued) => queued.seq > this.durableSeq));
          this.#breakDown(error);
        }
        this.#checkpointing ??= this.#startCheckpoint();
      }
    } finally {
      this.#pumping = undefined;
    }
  }

  #takeBatch(): Queued<E>[] {
    let count = 0;
    let bytes = 0;
    while (count < this.#queue.length && count < BATCH_ENTRIES_MAX && bytes < BATCH_BYTES_MAX) {
      bytes += this.#queue[count]!.bytes;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  #becomeDurable(queued: Queued<E>): void {
    const { entry, seq } = queued;
    this.#applyTo(this.durable, entry, seq);
    this.durableSeq = seq;
    this.#entriesSince += 1;
    this.#bytesSince += queued.bytes;
    if (!this.#standing) this.#advanceStill(queued);
    else this.#stillBehind.push(queued);
    for (const listener of [...this.#durableListeners]) listener(entry, seq);
    queued.resolve(); // L3
  }

  #advanceStill(queued: Queued<E>): void {
    this.#applyTo(this.#still, queued.entry, queued.seq);
    this.#stillSeq = queued.seq;
    this.#stillCrc = queued.crc;
  }

  #applyTo(state: S, entry: E, seq: number): void {
    try {
      this.#spec.apply(state, entry, seq);
    } catch (error) {
      // A fold that is half applied is no state: nothing may be answered from it.
      this.#breakDown(error);
      throw error;
    }
  }

  /** L4 */
  #breakDown(cause: unknown): void {
    if (this.#failure !== undefined) return;
    const error = cause instanceof Error ? cause : new Error(String(cause));
    this.#failure = error;
    for (const queued of this.#queue.splice(0)) queued.reject(error);
    this.#fail(error);
    this.#store.close().catch(() => {});
  }

  #startCheckpoint(): Promise<void> | undefined {
    const { checkpointEntries = 5_000, checkpointBytes = 16 * 1024 * 1024 } = this.#options;
    if (this.#failure !== undefined) return undefined;
    if (this.#entriesSince < checkpointEntries && this.#bytesSince < checkpointBytes) {
      return undefined;
    }
    this.#entriesSince = 0;
    this.#bytesSince = 0;
    return this.#checkpoint()
      .catch((error) => this.#breakDown(error))
      .finally(() => {
        this.#checkpointing = undefined;
      });
  }

  async #checkpoint(): Promise<void> {
    this.#standing = true;
    const [seq, crc] = [this.#stillSeq, this.#stillCrc];
    const { version } = this.#spec;
    const saved = this.#spec.save(this.#still);
    await writeCheckpoint(this.#store, this.#keys, { seq, crc, version }, saved);
    // K3: the one that was the newest is now the one before; what only an older one needs may go.
    this.#before = this.#newest;
    this.#newest = seq;
    await removeCheckpoints(this.#store, this.#keys, 0, this.#before);
    await removeCheckpoints(this.#store, this.#keys, this.#before + 1, seq);
    await removeEntries(this.#store, this.#keys, this.#oldestEntry, this.#before + 1);
    this.#oldestEntry = Math.max(this.#oldestEntry, this.#before + 1);
    while (this.#stillBehind.length > 0) {
      if (this.#failure !== undefined) throw this.#failure;
      for (const queued of this.#stillBehind.splice(0, CATCH_UP_ENTRIES)) {
        this.#advanceStill(queued);
      }
      await this.#store.get(this.#keys.header(seq)); // Ends the turn.
    }
    this.#standing = false; // In the turn that found nothing left behind.
  }
}

function rejected(error: Error): Promise<void> {
  const promise = Promise.reject(error);
  promise.catch(() => {});
  return promise;
}

function sizeOf(op: StoreOp): number {
  return op.key.length + (op.type === 'put' ? op.value.length : 0);
}
