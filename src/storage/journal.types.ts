/**
 * The journal (PROTOCOL.md D1, D2, D3, J1–J3): facts in order, chained by CRC, folded into state.
 * FE and BE use the same code over an ordered store; they differ in entry type and fold.
 */
import type { Log } from '../base/log.ts';
import type { StoreOp } from './ordered-store.types.ts';

/** One kind of fact store: its entries and its state. `S` is mutable and owned by the journal. */
export interface FoldSpec<E extends { readonly type: string }, S> {
  /** Format version written with every entry; an entry of a newer one stops the start (J1). */
  readonly version: number;
  /** The entry types that this program knows; another one stops the start with a sentence. */
  readonly types: readonly E['type'][];
  empty(): S;
  /** Uses the entry and the state alone (J2). Must not keep references into `entry` that it mutates. */
  apply(state: S, entry: E, seq: number): void;
  /** Brings an entry of an older format version to this one when it is read. */
  upcast?(entry: unknown, version: number): E;
  /** The whole state in sections, each a JSON-able value (bigint as `{"$bigint":"…"}`, bytes as `{"$bytes":"base64"}` by the codec). */
  save(state: S): Iterable<unknown>;
  /** The inverse: from the sections in order, as a program of format `version` saved them. */
  load(sections: Iterable<unknown>, version: number): S;
}

export interface Appended {
  readonly seq: number;
  /** Resolves once the entry is on disk. Rejects only when the journal has failed; then nothing is known (D3). */
  readonly durable: Promise<void>;
}

export interface Journal<E extends { readonly type: string }, S> {
  /** All queued entries applied: for validation. Never leaves the process. */
  readonly head: S;
  /** All entries on disk applied: for answers, SHOW, messages. */
  readonly durable: S;
  readonly headSeq: number;
  readonly durableSeq: number;
  /**
   * Applies the entry to the head fold in this turn and queues it. One write is in flight at a time; what waits
   * goes with the next, with one sync. `extra` operations (keys outside the journal's own) go in the same write.
   */
  append(entry: E, options?: { extra?: readonly StoreOp[] }): Appended;
  /** Called in order for each entry, right after it was applied to the durable fold. Returns how to stop. */
  onDurable(listener: (entry: E, seq: number) => void): () => void;
  /** Called in order for each entry, right after it was applied to the head fold, in the turn of `append`. */
  onHead(listener: (entry: E, seq: number) => void): () => void;
  /** Resolves when all that was appended before is on disk. Rejects when the journal has failed. */
  flush(): Promise<void>;
  /** Settled with the error once a write failed; the owner then ends its process (D3). */
  readonly failed: Promise<Error>;
  /** Writes what is queued, then closes the store: it belongs to the journal from its open on. */
  close(): Promise<void>;
}

export interface OpenJournalOptions {
  /** Checkpoint after so many entries (default 5,000) … */
  readonly checkpointEntries?: number;
  /** … or so many bytes (default 16 MiB). */
  readonly checkpointBytes?: number;
  /** Hears of a damaged checkpoint that was passed over for the one before. */
  readonly log?: Log;
}
