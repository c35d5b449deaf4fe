/**
 * Answers of brokers, from bytes: nothing is interpreted, record sets stay as sent. Every read is checked
 * against the end, and no count takes memory before its bytes are there.
 */
import type { RawFetchPartition, WatchedEnd } from './kafka.types.ts';
import type { Answer } from './kafkajs-connection.ts';

class AnswerReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#take(2));
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#take(4));
  }

  int64(): bigint {
    return this.#bytes.readBigInt64BE(this.#take(8));
  }

  boolean(): boolean {
    return this.#bytes.readInt8(this.#take(1)) !== 0;
  }

  string(): string | null {
    const length = this.int16();
    if (length < 0) return null;
    const at = this.#take(length);
    return this.#bytes.toString('utf8', at, at + length);
  }

  /** A view: the answer's buffer lives as long as it does. */
  bytes(): Uint8Array {
    const length = this.int32();
    if (length <= 0) return this.#bytes.subarray(0, 0);
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  array<T>(item: () => T): T[] {
    const items: T[] = [];
    for (let left = this.int32(); left > 0; left--) items.push(item());
    return items;
  }

  #take(length: number): number {
    const at = this.#at;
    if (length > this.#bytes.length - at) throw new Error('an answer is cut off');
    this.#at = at + length;
    return at;
  }
}

/** Fetch 4–11: throttle, [7: error, session], [topic, [partition, error, high watermark, LSO, [5: log start], [aborted], [11: replica], records]] */
export function readFetch(
  payload: Buffer,
  version: number,
): Answer<{ errorCode: number; partitions: readonly RawFetchPartition[] }> {
  const reader = new AnswerReader(payload);
  const throttleMs = reader.int32();
  const errorCode = version >= 7 ? reader.int16() : 0;
  if (version >= 7) reader.int32();
  const partitions = reader.array(() => {
    reader.string();
    return reader.array((): RawFetchPartition => {
      const partition = reader.int32();
      const error = reader.int16();
      const highWatermark = reader.int64();
      const lastStableOffset = reader.int64();
      if (version >= 5) reader.int64();
      const abortedTransactions = reader.array(() => ({
        producerId: reader.int64(),
        firstOffset: reader.int64(),
      }));
      if (version >= 11) reader.int32();
      return {
        partition,
        errorCode: error,
        highWatermark,
        lastStableOffset,
        abortedTransactions,
        records: reader.bytes(),
      };
    });
  });
  return { throttleMs, value: { errorCode, partitions: partitions.flat() } };
}

/** The same answer for who asks for ends alone: by topic, and the records are passed over. */
export function readFetchEnds(
  payload: Buffer,
  version: number,
  readCommitted: boolean,
): Answer<{ errorCode: number; ends: readonly WatchedEnd[] }> {
  const reader = new AnswerReader(payload);
  const throttleMs = reader.int32();
  const errorCode = version >= 7 ? reader.int16() : 0;
  if (version >= 7) reader.int32();
  const ends = reader.array(() => {
    const topic = reader.string() ?? '';
    return reader.array((): WatchedEnd => {
      const partition = reader.int32();
      const error = reader.int16();
      const highWatermark = reader.int64();
      const lastStableOffset = reader.int64();
      if (version >= 5) reader.int64();
      reader.array(() => [reader.int64(), reader.int64()]);
      if (version >= 11) reader.int32();
      reader.bytes();
      const end = readCommitted ? lastStableOffset : highWatermark;
      return { topic, partition, errorCode: error, end };
    });
  });
  return { throttleMs, value: { errorCode, ends: ends.flat() } };
}

export interface ClusterMetadata {
  readonly brokers: readonly { nodeId: number; host: string; port: number }[];
  readonly topics: readonly {
    errorCode: number;
    name: string;
    partitions: readonly { partition: number; leader: number; leaderEpoch: number }[];
  }[];
}

/** Metadata 5–6: throttle, [broker], cluster id, controller, [error, topic, internal, [error, partition, leader, replicas, isr, offline]] */
export function readMetadata(payload: Buffer): Answer<ClusterMetadata> {
  const reader = new AnswerReader(payload);
  const throttleMs = reader.int32();
  const brokers = reader.array(() => {
    const broker = { nodeId: reader.int32(), host: reader.string() ?? '', port: reader.int32() };
    reader.string();
    return broker;
  });
  reader.string();
  reader.int32();
  const topics = reader.array(() => {
    const errorCode = reader.int16();
    const name = reader.string() ?? '';
    reader.boolean();
    const partitions = reader.array(() => {
      reader.int16();
      const partition = reader.int32();
      const leader = reader.int32();
      for (let lists = 0; lists < 3; lists++) reader.array(() => reader.int32());
      return { partition, leader, leaderEpoch: -1 };
    });
    return { errorCode, name, partitions };
  });
  return { throttleMs, value: { brokers, topics } };
}

/** ListOffsets 2–3: throttle, [topic, [partition, error, time, offset]] */
export function readListOffsets(
  payload: Buffer,
): Answer<readonly { partition: number; errorCode: number; offset: bigint }[]> {
  const reader = new AnswerReader(payload);
  const throttleMs = reader.int32();
  const topics = reader.array(() => {
    reader.string();
    return reader.array(() => {
      const partition = reader.int32();
      const errorCode = reader.int16();
      reader.int64();
      return { partition, errorCode, offset: reader.int64() };
    });
  });
  return { throttleMs, value: topics.flat() };
}

/** FindCoordinator 1–2: throttle, error, message, node, host, port */
export function readCoordinator(
  payload: Buffer,
): Answer<{ errorCode: number; host: string; port: number }> {
  const reader = new AnswerReader(payload);
  const throttleMs = reader.int32();
  const errorCode = reader.int16();
  reader.string();
  reader.int32();
  return { throttleMs, value: { errorCode, host: reader.string() ?? '', port: reader.int32() } };
}

/** OffsetCommit 3–5: throttle, [topic, [partition, error]]; the first error, or 0. */
export function readOffsetCommit(payload: Buffer): Answer<number> {
  const reader = new AnswerReader(payload);
  const throttleMs = reader.int32();
  const errors = reader.array(() => {
    reader.string();
    return reader.array(() => {
      reader.int32();
      return reader.int16();
    });
  });
  return { throttleMs, value: errors.flat().find((code) => code !== 0) ?? 0 };
}
