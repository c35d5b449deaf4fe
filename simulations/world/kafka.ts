/**
 * A Kafka cluster at the level of fetch responses: the production client and record-batch decoder run over it. Logs hold
 * plain, transactional and control batches, some compressed; leaders move, brokers go silent.
 */
import { LoadError } from '../../src/base/errors.ts';
import type { KafkaTransport, OpenTransport } from '../../src/sources/kafka/kafka.types.ts';
import { writeBatch } from '../../src/sources/kafka/record-batch-writer.ts';
import type { Owner, VirtualClock } from './clock.ts';
import type { Points } from './points.ts';
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
  /** False: of a transaction that was aborted, or of bytes that no client can read. */
  committed: boolean;
  /** Retention took it, or the log was cut off before it; null: it is there. */
  gone: 'retained' | 'truncated' | null;
}

interface Partition {
  leader: number;
  readonly batches: LoggedBatch[];
  readonly messages: SimMessage[];
  /** The first offset that is kept. */
  start: bigint;
  end: bigint;
  /** Until then its leader may not know the log's end, and refuses offsets that are there. */
  newUntilMs: number;
  /** Where it was truncated last. */
  cutAt: bigint;
  /** First offsets of transactions that have not ended: nothing from there on is stable. */
  readonly open: Set<bigint>;
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

/** The marker that ends a transaction: version 0, then the type, as Kafka's control records have it. */
const marker = (kind: 'abort' | 'commit') => ({
  key: Uint8Array.of(0, 0, 0, kind === 'commit' ? 1 : 0),
  value: Uint8Array.of(0, 0, 0, 0, 0, 0),
});

export class SimKafka {
  readonly #clock: VirtualClock;
  readonly #random: SeededRandom;
  readonly #trace: Trace;
  readonly #points: Points;
  /** Processes by their present boot, for the names of moments. */
  readonly #names = new WeakMap<Owner, string>();
  readonly topic: string;
  readonly partitions: Partition[] = [];
  readonly #brokers: number;
  faults: KafkaFaults;
  /** Brokers that do not answer. */
  readonly dead = new Set<number>();
  #producerIds = 0n;
  /** Requests that wait for data: each looks whether it has to wait on. */
  readonly #waiting = new Set<() => void>();

  constructor(
    clock: VirtualClock,
    random: SeededRandom,
    trace: Trace,
    points: Points,
    options: { topic: string; partitions: number; brokers: number; faults: KafkaFaults },
  ) {
    this.#clock = clock;
    this.#random = random;
    this.#trace = trace;
    this.#points = points;
    this.topic = options.topic;
    this.#brokers = options.brokers;
    this.faults = options.faults;
    for (let i = 0; i < options.partitions; i++) this.addPartition();
  }

  addPartition(): void {
    const leader = this.#random.whole(1, this.#brokers);
    this.partitions.push({
      leader,
      batches: [],
      messages: [],
      start: 0n,
      end: 0n,
      cutAt: 0n,
      newUntilMs: 0,
      open: new Set(),
      aborted: [],
    });
  }

  /**
   * One batch. As a transaction it ends in its marker, after `openMs`; until then nothing behind it is stable. `crc`: its
   * bytes are damaged.
   */
  produce(
    partition: number,
    values: readonly (string | null)[],
    how: { txn?: 'abort' | 'commit'; openMs?: number; crc?: boolean } = {},
  ): void {
    const log = this.partitions[partition] as Partition;
    const base = log.end;
    const codec = this.#random.chance(0.2)
      ? this.#random.pick(['gzip', 'snappy', 'lz4', 'zstd'] as const)
      : 'none';
    let producerId: bigint | undefined;
    if (how.txn !== undefined) {
      this.#producerIds += 1n;
      producerId = this.#producerIds;
      log.open.add(base);
    }
    const last = base + BigInt(values.length) - 1n;
    const bytes = writeBatch({
      baseOffset: base,
      messages: values.map((value) => ({ value })),
      codec,
      timestampMs: Math.floor(this.#clock.now()),
      ...(producerId === undefined ? {} : { producerId, transactional: true }),
    });
    if (how.crc === true) {
      const at = bytes.length - 1;
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      this.#trace.reach('kafka.crc');
    }
    log.batches.push({ base, last, bytes });
    const messages = values.map(
      (value, i): SimMessage => ({
        offset: base + BigInt(i),
        value,
        committed: how.txn === undefined && how.crc !== true,
        gone: null,
      }),
    );
    log.messages.push(...messages);
    log.end = last + 1n;
    this.#wake();
    if (producerId === undefined || how.txn === undefined) return;
    const { txn } = how;
    const finish = () => {
      this.#finish(log, base, producerId, txn);
      for (const message of messages) message.committed = txn === 'commit';
    };
    if (how.openMs === undefined) finish();
    else {
      this.#trace.reach('kafka.lso');
      this.#clock.at(how.openMs, finish);
    }
  }

  #finish(log: Partition, base: bigint, producerId: bigint, txn: 'abort' | 'commit'): void {
    const bytes = writeBatch({
      baseOffset: log.end,
      messages: [marker(txn)],
      timestampMs: Math.floor(this.#clock.now()),
      producerId,
      transactional: true,
      control: true,
    });
    log.batches.push({ base: log.end, last: log.end, bytes });
    if (txn === 'abort') log.aborted.push({ producerId, firstOffset: base, last: log.end });
    log.open.delete(base);
    log.end += 1n;
    this.#wake();
    this.#trace.reach(txn === 'abort' ? 'kafka.aborted' : 'kafka.committed');
  }

  /** Retention: what stands before the offset is gone. */
  retain(partition: number, from: bigint): void {
    const log = this.partitions[partition] as Partition;
    log.start = from > log.end ? log.end : from;
    for (const message of log.messages) {
      if (message.offset < log.start) message.gone ??= 'retained';
    }
    this.#trace.reach('kafka.tooold');
  }

  /** The log ends at the offset: what stood there is gone, and never was. */
  truncate(partition: number, end: bigint): void {
    const log = this.partitions[partition] as Partition;
    if (end >= log.end) return;
    const keep = log.batches.filter(({ last }) => last < end);
    log.batches.splice(0, log.batches.length, ...keep);
    log.end = (keep.at(-1)?.last ?? -1n) + 1n;
    log.cutAt = log.end;
    for (const message of log.messages) {
      if (message.offset >= log.end) message.gone ??= 'truncated';
    }
    this.#trace.reach('kafka.truncated');
  }

  /** The first offset behind the batch that holds `offset`. */
  after(partition: number, offset: bigint): bigint {
    const { batches, end } = this.partitions[partition] as Partition;
    const found = batches.find(({ base, last }) => base <= offset && offset <= last);
    return found === undefined ? end : found.last + 1n;
  }

  /** What stands in the log in [from, to), or stood there until retention took it. */
  records(partition: number, from = 0n, to?: bigint): SimMessage[] {
    const { messages, end } = this.partitions[partition] as Partition;
    return messages.filter(
      ({ offset, gone }) => gone !== 'truncated' && offset >= from && offset < (to ?? end),
    );
  }

  /** The first offset that is not stable: what a reader of committed transactions sees as the end. */
  stable(partition: number): bigint {
    const log = this.partitions[partition] as Partition;
    return [...log.open].reduce((least, base) => (base < least ? base : least), log.end);
  }

  moveLeader(partition: number): void {
    const log = this.partitions[partition] as Partition;
    log.newUntilMs = this.#clock.now() + this.#random.whole(0, 400);
    log.leader = (log.leader % this.#brokers) + 1;
    this.#wake();
    this.#trace.reach('kafka.leader');
  }

  #nameOf(owner: Owner): string {
    return this.#names.get(owner) ?? '';
  }

  #wake(): void {
    for (const look of [...this.#waiting]) look();
  }

  /** Transports of one process. */
  open(name: string, owner: Owner): OpenTransport {
    this.#names.set(owner, name);
    const answer = async <T>(broker: number | null, make: () => T): Promise<T> => {
      await this.#clock.wait(0.2 + this.#random.next() * this.faults.answerMsMax, owner);
      const isSilent =
        (broker !== null && this.dead.has(broker)) ||
        (this.faults.silence > 0 && this.#random.chance(this.faults.silence));
      if (isSilent) {
        this.#trace.reach('kafka.down');
        throw new LoadError('KAFKA_UNREACHABLE', `broker ${broker} cannot be reached`, {
          transient: true,
        });
      }
      return make();
    };
    const metadata = (topic: string) => ({
      errorCode: topic === this.topic ? 0 : UNKNOWN,
      partitions: this.partitions.map(({ leader }, partition) => ({
        partition,
        leader,
        leaderEpoch: 0,
      })),
    });
    const transport: KafkaTransport = {
      metadata: (topic) => answer(null, () => metadata(topic)),
      metadataOf: (topics) =>
        answer(null, () => new Map(topics.map((topic) => [topic, metadata(topic)]))),
      waitForData: async (leader, asked, { maxWaitMs, readCommitted }) => {
        const look = () =>
          asked.map(({ topic, partition, offset }) => {
            const read = this.#read(leader, { partition, offset, maxBytes: 0 });
            const end = readCommitted ? read.lastStableOffset : read.highWatermark;
            return { topic, partition, errorCode: read.errorCode, end };
          });
        const isOver = () =>
          look().some(({ errorCode, end }, i) => errorCode !== 0 || end > asked[i]!.offset);
        if (!isOver()) {
          this.#trace.reach('kafka.waited');
          await new Promise<void>((resolve) => {
            const end = () => {
              this.#waiting.delete(check);
              this.#clock.cancel(timer);
              resolve();
            };
            const check = () => {
              if (isOver()) end();
            };
            this.#waiting.add(check);
            const timer = this.#clock.at(maxWaitMs, end, owner);
          });
        }
        return answer(leader, look);
      },
      listOffsets: (leader, _topic, partitions, at, committed) =>
        answer(leader, () =>
          partitions.map((partition) => {
            const log = this.partitions[partition];
            if (log === undefined) return { partition, errorCode: UNKNOWN, offset: -1n };
            if (log.leader !== leader) return { partition, errorCode: NOT_LEADER, offset: -1n };
            const end = committed ? this.stable(partition) : log.end;
            return { partition, errorCode: 0, offset: at === -2n ? log.start : end };
          }),
        ),
      fetch: async (leader, _topic, asked, limits) => {
        const isThere = asked.some(({ partition, offset }) => {
          const log = this.partitions[partition];
          return log === undefined || log.leader !== leader || this.stable(partition) > offset;
        });
        if (!isThere) await this.#clock.wait(limits.maxWaitMs, owner);
        return answer(leader, () => {
          this.#points.hit('fetch answered', this.#nameOf(owner));
          return asked.map((one) => this.#read(leader, one));
        });
      },
      commitGroup: () =>
        answer(null, () => {
          this.#points.hit('group offsets', this.#nameOf(owner));
        }),
      close: async () => {},
    };
    return async () => transport;
  }

  /** `maxBytes` 0: no records, and no chance is drawn. */
  #read(leader: number, asked: { partition: number; offset: bigint; maxBytes: number }) {
    const log = this.partitions[asked.partition];
    const end = log === undefined ? 0n : this.stable(asked.partition);
    const empty = {
      partition: asked.partition,
      highWatermark: log?.end ?? 0n,
      lastStableOffset: end,
      abortedTransactions: [],
      records: new Uint8Array(0),
    };
    if (log === undefined) return { ...empty, errorCode: UNKNOWN };
    if (log.leader !== leader) return { ...empty, errorCode: NOT_LEADER };
    if (asked.offset < log.start || asked.offset > log.end)
      return { ...empty, errorCode: OUT_OF_RANGE };
    if (asked.maxBytes === 0) return { ...empty, errorCode: 0 };
    if (this.#clock.now() < log.newUntilMs && this.#random.chance(0.5)) {
      this.#trace.reach('kafka.leader refuses');
      return { ...empty, errorCode: OUT_OF_RANGE };
    }
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    // The one that holds the offset comes whole, and so does the first; a later one may be cut off.
    for (const batch of log.batches) {
      if (batch.last < asked.offset) continue;
      if (batch.base >= end) break;
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
