/**
 * A Kafka cluster at the level of fetch responses: the production client and record-batch decoder run over it. Logs hold
 * plain, transactional and control batches, some compressed; leaders move, brokers go silent.
 */
import { LoadError } from '../../src/base/errors.ts';
import type { KafkaTransport, OpenTransport } from '../../src/sources/kafka/kafka.types.ts';
import { writeBatch } from '../../src/sources/kafka/record-batch-writer.ts';
import type { VirtualClock } from './clock.ts';
import type { SeededRandom } from './random.ts';
import type { Trace } from './trace.ts';

interface LoggedBatch {
  readonly base: bigint;
  readonly last: bigint;
  readonly bytes: Uint8Array;
}

export interface SimMessage {
  readonly offset: bigint;
  readonly value: string | null;
  /** False: of a transaction that was aborted. */
  readonly committed: boolean;
}

interface Partition {
  leader: number;
  readonly batches: LoggedBatch[];
  readonly messages: SimMessage[];
  end: bigint;
  readonly aborted: {
    readonly producerId: bigint;
    readonly firstOffset: bigint;
    readonly last: bigint;
  }[];
}

export interface KafkaFaults {
  /** An answer does not come. */
  readonly silence: number;
  readonly answerMsMax: number;
}

const NOT_LEADER = 6;
const OUT_OF_RANGE = 1;
const UNKNOWN = 3;

/** The marker that ends an aborted transaction: version 0, then the type, as Kafka's control records have it. */
const ABORT_KEY = Uint8Array.of(0, 0, 0, 0);
const ABORT_VALUE = Uint8Array.of(0, 0, 0, 0, 0, 0);

export class SimKafka {
  readonly #clock: VirtualClock;
  readonly #random: SeededRandom;
  readonly #trace: Trace;
  readonly topic: string;
  readonly partitions: Partition[] = [];
  readonly #brokers: number;
  faults: KafkaFaults;
  /** Brokers that do not answer. */
  readonly dead = new Set<number>();
  #producerIds = 0n;

  constructor(
    clock: VirtualClock,
    random: SeededRandom,
    trace: Trace,
    options: { topic: string; partitions: number; brokers: number; faults: KafkaFaults },
  ) {
    this.#clock = clock;
    this.#random = random;
    this.#trace = trace;
    this.topic = options.topic;
    this.#brokers = options.brokers;
    this.faults = options.faults;
    for (let i = 0; i < options.partitions; i++) this.addPartition();
  }

  addPartition(): void {
    const leader = this.#random.whole(1, this.#brokers);
    this.partitions.push({ leader, batches: [], messages: [], end: 0n, aborted: [] });
  }

  /** One batch; with `abort` a transaction that ends in an abort marker. */
  produce(partition: number, values: readonly (string | null)[], abort = false): void {
    const log = this.partitions[partition] as Partition;
    const base = log.end;
    const timestampMs = Math.floor(this.#clock.now());
    const codec = this.#random.pick(['none', 'none', 'gzip', 'snappy', 'lz4', 'zstd'] as const);
    const messages = values.map((value) => ({ value }));
    let producerId: bigint | undefined;
    if (abort) {
      this.#producerIds += 1n;
      producerId = this.#producerIds;
    }
    const last = base + BigInt(values.length) - 1n;
    const bytes = writeBatch({
      baseOffset: base,
      messages,
      codec,
      timestampMs,
      ...(producerId === undefined ? {} : { producerId, transactional: true }),
    });
    log.batches.push({ base, last, bytes });
    values.forEach((value, i) => {
      log.messages.push({ offset: base + BigInt(i), value, committed: !abort });
    });
    log.end = last + 1n;
    if (producerId === undefined) return;
    const marker = writeBatch({
      baseOffset: log.end,
      messages: [{ key: ABORT_KEY, value: ABORT_VALUE }],
      timestampMs,
      producerId,
      transactional: true,
      control: true,
    });
    log.batches.push({ base: log.end, last: log.end, bytes: marker });
    log.aborted.push({ producerId, firstOffset: base, last: log.end });
    log.end += 1n;
    this.#trace.reach('kafka.aborted-transaction');
  }

  moveLeader(partition: number): void {
    const log = this.partitions[partition] as Partition;
    log.leader = (log.leader % this.#brokers) + 1;
    this.#trace.reach('kafka.leader-moved');
  }

  /** Transports of one process. */
  open(isAlive: () => boolean): OpenTransport {
    const answer = async <T>(broker: number | null, make: () => T): Promise<T> => {
      await new Promise<void>((resolve) =>
        this.#clock.at(0.2 + this.#random.next() * this.faults.answerMsMax, resolve),
      );
      if (!isAlive()) await new Promise<never>(() => {});
      const isSilent =
        (broker !== null && this.dead.has(broker)) ||
        (this.faults.silence > 0 && this.#random.chance(this.faults.silence));
      if (isSilent) {
        this.#trace.reach('kafka.unreachable');
        throw new LoadError('KAFKA_UNREACHABLE', `broker ${broker} cannot be reached`, {
          transient: true,
        });
      }
      return make();
    };
    const transport: KafkaTransport = {
      metadata: (topic) =>
        answer(null, () => ({
          errorCode: topic === this.topic ? 0 : UNKNOWN,
          partitions: this.partitions.map(({ leader }, partition) => ({
            partition,
            leader,
            leaderEpoch: 0,
          })),
        })),
      listOffsets: (leader, _topic, partitions, at) =>
        answer(leader, () =>
          partitions.map((partition) => {
            const log = this.partitions[partition];
            if (log === undefined) return { partition, errorCode: UNKNOWN, offset: -1n };
            if (log.leader !== leader) return { partition, errorCode: NOT_LEADER, offset: -1n };
            return { partition, errorCode: 0, offset: at === -2n ? 0n : log.end };
          }),
        ),
      fetch: async (leader, _topic, asked, limits) => {
        const isThere = asked.some(({ partition, offset }) => {
          const log = this.partitions[partition];
          return log === undefined || log.leader !== leader || log.end > offset;
        });
        if (!isThere) {
          await new Promise<void>((resolve) => this.#clock.at(limits.maxWaitMs, resolve));
        }
        return answer(leader, () => asked.map((one) => this.#read(leader, one)));
      },
      commitGroup: () => answer(null, () => undefined),
      close: async () => {},
    };
    return async () => transport;
  }

  #read(leader: number, asked: { partition: number; offset: bigint; maxBytes: number }) {
    const log = this.partitions[asked.partition];
    const end = log?.end ?? 0n;
    const empty = {
      partition: asked.partition,
      highWatermark: end,
      lastStableOffset: end,
      abortedTransactions: [],
      records: new Uint8Array(0),
    };
    if (log === undefined) return { ...empty, errorCode: UNKNOWN };
    if (log.leader !== leader) return { ...empty, errorCode: NOT_LEADER };
    if (asked.offset < 0n || asked.offset > end) return { ...empty, errorCode: OUT_OF_RANGE };
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    // The one that holds the offset comes whole, and so does the first; a later one may be cut off.
    for (const batch of log.batches) {
      if (batch.last < asked.offset) continue;
      if (bytes > 0 && bytes + batch.bytes.length > asked.maxBytes) {
        pieces.push(batch.bytes.subarray(0, this.#random.whole(0, batch.bytes.length - 1)));
        break;
      }
      pieces.push(batch.bytes);
      bytes += batch.bytes.length;
      // Small answers now and then, so that a task needs several.
      if (this.#random.chance(0.3)) break;
    }
    const abortedTransactions = log.aborted
      .filter(({ last }) => last >= asked.offset)
      .map(({ producerId, firstOffset }) => ({ producerId, firstOffset }));
    return { ...empty, errorCode: 0, abortedTransactions, records: Buffer.concat(pieces) };
  }
}
