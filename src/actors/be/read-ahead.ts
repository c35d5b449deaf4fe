/**
 * The fetches of one partition within a task: while a range is accepted, the next one is fetched already.
 *
 *   A1. At most one range is ahead of the one that is accepted, and all bytes come out of the BE's budget.
 *       Of what is compressed less is asked for, so that it is as much when it is plain.
 *   A2. A range that was fetched ahead and is not asked for is dropped: nothing remembers it.
 */
import { LoadError } from '../../base/errors.ts';
import type { FetchedPartition, KafkaClient } from '../../sources/kafka/kafka.types.ts';
import type { BytesBudget, BytesGrant } from './bytes-budget.ts';

const FETCH_BYTES_MAX = 4 * 1024 * 1024;
/** Smaller ones would cost more for the call than for the bytes. */
const FETCH_BYTES_MIN = 256 * 1024;
/** A task runs where data is known of; the watcher waits, and not the others' data for an empty partition. */
const FETCH_WAIT_MS = 0;
/** A fetch is not made smaller than by this. */
const GROWTH_MAX = 16;

export interface ReadAheadOptions {
  readonly client: KafkaClient;
  readonly budget: BytesBudget;
  readonly topic: string;
  readonly partition: number;
  /** That share the budget within the task. */
  readonly partitions: number;
  /** What the task may still read. */
  readonly bytesLeft: () => number;
}

interface Range {
  readonly fetched: FetchedPartition;
  readonly grant: BytesGrant;
}

export class ReadAhead {
  readonly #options: ReadAheadOptions;
  readonly #closing = new AbortController();
  #ahead: { readonly from: bigint; readonly range: Promise<Range> } | undefined;
  /** The range that is accepted. */
  #held: Range | undefined;
  /** How many bytes the last range took in memory for one that was sent: compressed ones grow. */
  #growth = 1;

  constructor(options: ReadAheadOptions) {
    this.#options = options;
  }

  /** The range from this offset on; the one before has been accepted. After `signal` nothing more is asked of it. */
  async next(from: bigint, signal: AbortSignal): Promise<FetchedPartition> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    const { bytesLeft } = this.#options;
    const close = () => this.close();
    signal.addEventListener('abort', close, { once: true });
    try {
      const known = ahead?.from === from ? ahead.range : undefined;
      if (known === undefined) drop(ahead?.range);
      this.#held = await (known ?? this.#fetch(from, bytesLeft()));
    } finally {
      signal.removeEventListener('abort', close);
    }
    const { fetched } = this.#held;
    this.#growth = growthOf(fetched);
    const isMore = fetched.nextOffset > from && fetched.nextOffset < fetched.endOffset;
    const left = bytesLeft() - fetched.bytes;
    if (isMore && left > 0) {
      this.#ahead = { from: fetched.nextOffset, range: this.#fetch(fetched.nextOffset, left) };
      // Whoever asks for it is told.
      this.#ahead.range.catch(() => {});
    }
    return fetched;
  }

  /** The bytes of the range are columns now. */
  accepted(): void {
    this.#held?.fetched.release?.();
    this.#held?.grant.free();
    this.#held = undefined;
  }

  /** Nothing is fetched any more, and what is under way is dropped when it comes (A2). */
  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new LoadError('KAFKA_CLOSED', 'the fetch was cancelled'));
    this.#held?.grant.free();
    drop(this.#ahead?.range);
  }

  async #fetch(from: bigint, left: number): Promise<Range> {
    const { client, budget, topic, partition, partitions } = this.#options;
    const { signal } = this.#closing;
    const share = Math.floor(budget.max / (2 * partitions));
    const bytes = Math.max(FETCH_BYTES_MIN, Math.min(FETCH_BYTES_MAX, share));
    const grant = await budget.take(bytes, signal);
    try {
      const maxBytes = Math.max(1, Math.min(Math.ceil(bytes / this.#growth), left));
      const results = await client.fetch(
        topic,
        [{ partition, offset: from, maxBytes }],
        { maxWaitMs: FETCH_WAIT_MS, minBytes: 1, maxBytes },
        signal,
      );
      const fetched = results.find((one) => one.partition === partition);
      if (fetched !== undefined) return { fetched, grant };
      throw new LoadError(
        'KAFKA_LEADER',
        `partition ${partition} of "${topic}" has no leader now`,
        { transient: true, details: { topic, partition, offset: String(from) } },
      );
    } catch (error) {
      grant.free();
      throw error;
    }
  }
}

function growthOf({ batches, bytes }: FetchedPartition): number {
  let plain = 0;
  let last: Uint8Array | undefined;
  for (const batch of batches) {
    // What was not compressed lies in the answer, all of it in one piece.
    if (batch.bytes !== last) plain += batch.bytes.length;
    last = batch.bytes;
  }
  return bytes === 0 ? 1 : Math.min(GROWTH_MAX, Math.max(1, plain / bytes));
}

/** It is nobody's when it comes (A2). */
function drop(range: Promise<Range> | undefined): void {
  range?.then(
    ({ grant }) => grant.free(),
    () => {},
  );
}
