/**
 * The Kafka client: leaders, errors and decoding over a transport. Nothing here knows sockets.
 *
 *   K1. An offset out of range is an error with the offsets that exist, never a reset.
 *   K2. Leaders are followed: bounded retries with fresh metadata, then an error that is transient.
 *   K3. Every wait goes by the clock; every call ends after bounded retries, or when its signal is aborted.
 */
import { type Clock, sleep } from '../../base/clock.ts';
import { LoadError } from '../../base/errors.ts';
import type {
  FetchedPartition,
  FetchPartition,
  KafkaClient,
  KafkaTransport,
  PartitionMetadata,
  RawFetchPartition,
} from './kafka.types.ts';
import { brokerAnswer, follows } from './kafka-errors.ts';
import { type DecodeLimits, decodeRecordSet } from './record-batch.ts';

export interface KafkaClientOptions {
  readonly clock: Clock;
  readonly readCommitted: boolean;
  readonly checkCrcs: boolean;
  /** Default 6: with the back-off below, about five seconds. */
  readonly triesMax?: number;
  /** Before the second try; doubles up to `backoffMsMax`. Default 100. */
  readonly backoffMs?: number;
  /** Default 2,000. */
  readonly backoffMsMax?: number;
  /** One batch may not become larger when decompressed. Default 256 MiB. */
  readonly batchBytesMax?: number;
  /** What one partition's fetch decodes to before the rest waits for the next. Default 64 MiB. */
  readonly plainBytesMax?: number;
}

export type FetchLimits = Parameters<KafkaClient['fetch']>[2];

/** While another leader may have data, one leader is waited for no longer than this. */
const sliceMs = 200;
/** Until the end of a log that seems too short is asked for once more. */
const END_AGAIN_MS = 1_000;

export function createKafkaClient(
  transport: KafkaTransport,
  options: KafkaClientOptions,
): KafkaClient {
  return new TransportClient(transport, options);
}

type Outcome = { readonly raw: RawFetchPartition } | { readonly error: LoadError };

class TransportClient implements KafkaClient {
  readonly #transport: KafkaTransport;
  readonly #clock: Clock;
  readonly #readCommitted: boolean;
  readonly #triesMax: number;
  readonly #backoffMs: number;
  readonly #backoffMsMax: number;
  readonly #decodeLimits: DecodeLimits;
  readonly #topics = new Map<string, Promise<ReadonlyMap<number, PartitionMetadata>>>();
  /** Topics whose last metadata led to the wrong leader. */
  readonly #doubted = new Set<string>();
  readonly #closing = new AbortController();
  #fetches = 0;

  constructor(transport: KafkaTransport, options: KafkaClientOptions) {
    this.#transport = transport;
    this.#clock = options.clock;
    this.#readCommitted = options.readCommitted;
    this.#triesMax = options.triesMax ?? 6;
    this.#backoffMs = options.backoffMs ?? 100;
    this.#backoffMsMax = options.backoffMsMax ?? 2_000;
    this.#decodeLimits = {
      checkCrcs: options.checkCrcs,
      batchBytesMax: options.batchBytesMax ?? 256 * 1024 * 1024,
      plainBytesMax: options.plainBytesMax ?? 64 * 1024 * 1024,
    };
  }

  async partitions(topic: string): Promise<readonly number[]> {
    // Asked to find new ones, so never from the cache.
    this.#topics.delete(topic);
    const known = await this.#retried(() => this.#leaders(topic));
    return [...known.keys()].sort((a, b) => a - b);
  }

  async offsets(
    topic: string,
    partitions: readonly number[],
    at: 'beginning' | 'end',
  ): Promise<ReadonlyMap<number, bigint>> {
    const found = new Map<number, bigint>();
    await this.#retried(async () => {
      const missing = partitions.filter((partition) => !found.has(partition));
      const answers = await Promise.all(
        (await this.#byLeader(topic, missing, (partition) => partition)).map(
          async ([leader, asked]) =>
            this.#transport.listOffsets(
              leader,
              topic,
              asked,
              at === 'beginning' ? -2n : -1n,
              this.#readCommitted,
            ),
        ),
      );
      for (const { partition, errorCode, offset } of answers.flat()) {
        if (errorCode === 0) found.set(partition, offset);
        else throw brokerAnswer(errorCode, { topic, partition });
      }
    }, topic);
    const lost = partitions.find((partition) => !found.has(partition));
    if (lost !== undefined) throw brokerAnswer(-1, { topic, partition: lost });
    return found;
  }

  async fetch(
    topic: string,
    partitions: readonly FetchPartition[],
    limits: FetchLimits,
    signal?: AbortSignal,
  ): Promise<readonly FetchedPartition[]> {
    const until = this.#clock.now() + limits.maxWaitMs;
    const done = new Map<number, FetchedPartition>();
    let wanted = this.#rotated(partitions);
    let last: LoadError | undefined;
    let { maxBytes } = limits;

    for (let tries = 1; wanted.length > 0; ) {
      const leftMs = Math.min(limits.maxWaitMs, until - this.#clock.now());
      const waitMs = hasData(done) ? 0 : Math.max(0, leftMs);
      const round = await this.#abortable(
        this.#round(topic, wanted, { ...limits, maxBytes, maxWaitMs: waitMs }),
        signal,
      );
      last = undefined;
      const again: FetchPartition[] = [];
      for (const asked of wanted) {
        const outcome = round.get(asked.partition) ?? {
          error: brokerAnswer(-1, { topic, partition: asked.partition }),
        };
        const error = 'error' in outcome ? outcome.error : answerError(topic, asked, outcome.raw);
        if (error === null) {
          const { raw } = outcome as { raw: RawFetchPartition };
          const fetched = this.#decoded(topic, asked, raw);
          if (typeof fetched === 'number') {
            again.push({ ...asked, maxBytes: fetched });
            maxBytes = Math.max(maxBytes, fetched);
          } else done.set(asked.partition, fetched);
          continue;
        }
        if (error.code === 'KAFKA_OFFSET_OUT_OF_RANGE') {
          const refusal = await this.#abortable(this.#outOfRange(topic, asked), signal);
          if (!refusal.transient) throw refusal;
          last = refusal;
          again.push(asked);
          continue;
        }
        if (!follows(error, tries)) throw error;
        last = error;
        again.push(asked);
      }
      wanted = again;
      if (last === undefined) continue; // Only those that need more bytes.
      this.#doubt(topic);
      // K2: a partition without a leader does not hold up the others' data; it is missing, and asked for again.
      if (tries >= this.#triesMax || hasData(done)) break;
      await this.#abortable(this.#backoff(tries, signal), signal);
      tries++;
    }
    if (last !== undefined && !hasData(done)) throw last;
    return partitions.flatMap(({ partition }) => done.get(partition) ?? []);
  }

  async commitGroup(
    groupId: string,
    topic: string,
    offsets: ReadonlyMap<number, bigint>,
  ): Promise<void> {
    if (offsets.size === 0) return;
    await this.#retried(() => this.#transport.commitGroup(groupId, topic, offsets));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#transport.close();
  }

  /**
   * One answer of every leader. With several leaders none is waited for while another has data: first all are
   * asked without waiting, then for slices of time.
   */
  async #round(
    topic: string,
    wanted: readonly FetchPartition[],
    limits: FetchLimits,
  ): Promise<ReadonlyMap<number, Outcome>> {
    let leaders: readonly (readonly [number, readonly FetchPartition[]])[];
    try {
      leaders = await this.#byLeader(topic, wanted, ({ partition }) => partition);
    } catch (error) {
      if (!(error instanceof LoadError)) throw error;
      return new Map(wanted.map(({ partition }) => [partition, { error }]));
    }
    const until = this.#clock.now() + limits.maxWaitMs;
    // Counted down too, as a broker may answer at once whatever it was asked to wait (K3).
    let leftMs = limits.maxWaitMs;
    for (let waitMs = leaders.length === 1 ? limits.maxWaitMs : 0; ; ) {
      const round = new Map<number, Outcome>();
      await Promise.all(
        leaders.map(async ([leader, asked]) => {
          for (const [partition, outcome] of await this.#ofLeader(leader, topic, asked, {
            ...limits,
            maxWaitMs: waitMs,
          })) {
            round.set(partition, outcome);
          }
        }),
      );
      leftMs = Math.min(leftMs - waitMs, until - this.#clock.now());
      const settled = [...round.values()].some(
        (outcome) =>
          'error' in outcome || outcome.raw.errorCode !== 0 || outcome.raw.records.length > 0,
      );
      if (settled || leftMs <= 0 || leaders.length === 1 || this.#closing.signal.aborted) {
        return round;
      }
      waitMs = Math.min(sliceMs, leftMs);
    }
  }

  async #ofLeader(
    leader: number,
    topic: string,
    asked: readonly FetchPartition[],
    limits: FetchLimits,
  ): Promise<readonly (readonly [number, Outcome])[]> {
    try {
      const answer = await this.#transport.fetch(leader, topic, asked, {
        ...limits,
        readCommitted: this.#readCommitted,
      });
      return answer.map((raw) => [raw.partition, { raw }]);
    } catch (error) {
      if (!(error instanceof LoadError)) throw error;
      return asked.map(({ partition }) => [partition, { error }]);
    }
  }

  /** A number: the next batch alone is larger than what was asked for, and needs so many bytes. */
  #decoded(
    topic: string,
    asked: FetchPartition,
    raw: RawFetchPartition,
  ): FetchedPartition | number {
    const { nextOffset, batches, partialBytes } = decodeRecordSet(
      {
        topic,
        partition: asked.partition,
        records: raw.records,
        fromOffset: asked.offset,
        endOffset: raw.highWatermark,
        aborted: this.#readCommitted ? raw.abortedTransactions : null,
      },
      this.#decodeLimits,
    );
    if (nextOffset === asked.offset && partialBytes > asked.maxBytes) {
      if (partialBytes <= this.#decodeLimits.batchBytesMax) return partialBytes;
      throw new LoadError(
        'KAFKA_BAD_BATCH',
        `the batch of topic "${topic}" partition ${asked.partition} at offset ${asked.offset} says that it has ${partialBytes} bytes`,
        { details: { topic, partition: asked.partition, offset: String(asked.offset) } },
      );
    }
    // The broker notes the end before it reads, so messages may already lie behind it.
    const end = this.#readCommitted ? raw.lastStableOffset : raw.highWatermark;
    return {
      partition: asked.partition,
      batches,
      nextOffset,
      endOffset: end > nextOffset ? end : nextOffset,
      highWatermark: raw.highWatermark > nextOffset ? raw.highWatermark : nextOffset,
      bytes: raw.records.length,
      ...(raw.release === undefined ? {} : { release: raw.release }),
    };
  }

  /** K1: with what there is, so that the user can choose; transient where the offset is there after all. */
  async #outOfRange(topic: string, asked: FetchPartition): Promise<LoadError> {
    const { partition, offset } = asked;
    const look = async (at: 'beginning' | 'end') => {
      try {
        return String((await this.offsets(topic, [partition], at)).get(partition));
      } catch (error) {
        if (error instanceof LoadError) return null; // The offset is out of range all the same.
        throw error;
      }
    };
    let [beginning, end] = await Promise.all([look('beginning'), look('end')]);
    if (end !== null && offset > BigInt(end)) {
      // Committed records are below every later end, but a new leader may be behind for a moment.
      await sleep(this.#clock, END_AGAIN_MS, this.#closing.signal);
      end = await look('end');
    }
    // A broker that has just become the leader may not know its own log's end yet: the offset is there, and stays the next.
    if (
      beginning !== null &&
      end !== null &&
      offset >= BigInt(beginning) &&
      offset <= BigInt(end)
    ) {
      return new LoadError(
        'KAFKA_LEADER',
        `the broker refused offset ${offset} of topic "${topic}" partition ${partition}, which has ${beginning} to ${end}: its leader moves`,
        { transient: true, details: { topic, partition, offset: String(offset) } },
      );
    }
    return new LoadError(
      'KAFKA_OFFSET_OUT_OF_RANGE',
      `offset ${offset} of topic "${topic}" partition ${partition} is out of range: the partition has ${beginning ?? 'unknown'} to ${end ?? 'unknown'}`,
      {
        details: { topic, partition, offset: String(offset), beginning, end },
        hint: 'choose where to go on with ALTER ROUTINE LOAD … FROM KAFKA ("kafka_partitions" = …, "kafka_offsets" = …), then RESUME',
      },
    );
  }

  /** Fetches begin with another partition each time, as a broker fills the answer in the order asked. */
  #rotated(partitions: readonly FetchPartition[]): readonly FetchPartition[] {
    const first = this.#fetches++ % Math.max(1, partitions.length);
    return [...partitions.slice(first), ...partitions.slice(0, first)];
  }

  async #byLeader<T>(
    topic: string,
    items: readonly T[],
    partitionOf: (item: T) => number,
  ): Promise<readonly (readonly [number, readonly T[]])[]> {
    const known = await this.#leaders(topic);
    const groups = new Map<number, T[]>();
    for (const item of items) {
      const partition = partitionOf(item);
      const metadata = known.get(partition);
      if (metadata === undefined) {
        throw new LoadError(
          'KAFKA_UNKNOWN_PARTITION',
          `topic "${topic}" has no partition ${partition}`,
          { details: { topic, partition, partitions: [...known.keys()] } },
        );
      }
      if (metadata.leader < 0) throw brokerAnswer(5, { topic, partition });
      const group = groups.get(metadata.leader);
      if (group === undefined) groups.set(metadata.leader, [item]);
      else group.push(item);
    }
    return [...groups];
  }

  /** One request for all that ask at the same time; a failed one is forgotten. */
  #leaders(topic: string): Promise<ReadonlyMap<number, PartitionMetadata>> {
    const known = this.#topics.get(topic);
    if (known !== undefined) return known;
    const elsewhere = this.#doubted.delete(topic);
    const asking = this.#transport.metadata(topic, elsewhere).then(({ errorCode, partitions }) => {
      if (errorCode !== 0) throw brokerAnswer(errorCode, { topic });
      return new Map(partitions.map((metadata) => [metadata.partition, metadata]));
    });
    this.#topics.set(topic, asking);
    asking.catch(() => {
      if (this.#topics.get(topic) === asking) this.#topics.delete(topic);
    });
    return asking;
  }

  #doubt(topic: string): void {
    this.#topics.delete(topic);
    this.#doubted.add(topic);
  }

  async #retried<T>(work: () => Promise<T>, topic?: string): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        this.#failIfClosed();
        return await work();
      } catch (error) {
        if (!(error instanceof LoadError) || !follows(error, tries)) throw error;
        if (tries >= this.#triesMax) throw error;
        if (topic !== undefined) this.#doubt(topic);
      }
      await this.#backoff(tries);
    }
  }

  #backoff(tries: number, signal?: AbortSignal): Promise<void> {
    const delayMs = Math.min(this.#backoffMs * 2 ** (tries - 1), this.#backoffMsMax);
    const signals = signal === undefined ? [] : [signal];
    return sleep(this.#clock, delayMs, this.#closing.signal, ...signals);
  }

  /** The request goes on behind the scenes and its answer is dropped. */
  async #abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    work.catch(() => {});
    this.#failIfClosed();
    if (signal === undefined) return work;
    if (signal.aborted) throw cancelled();
    let abort: () => void = () => {};
    const aborted = new Promise<never>((_, reject) => {
      abort = () => reject(cancelled());
      signal.addEventListener('abort', abort, { once: true });
    });
    try {
      return await Promise.race([work, aborted]);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  #failIfClosed(): void {
    if (!this.#closing.signal.aborted) return;
    throw new LoadError('KAFKA_CLOSED', 'the connection to kafka was closed');
  }
}

function hasData(done: ReadonlyMap<number, FetchedPartition>): boolean {
  for (const { bytes } of done.values()) if (bytes > 0) return true;
  return false;
}

function cancelled(): LoadError {
  return new LoadError('KAFKA_CLOSED', 'the fetch was cancelled');
}

function answerError(
  topic: string,
  asked: FetchPartition,
  raw: RawFetchPartition,
): LoadError | null {
  if (raw.errorCode === 0) return null;
  const { partition, offset } = asked;
  return brokerAnswer(raw.errorCode, { topic, partition, offset: String(offset) });
}
