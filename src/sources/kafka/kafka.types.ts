/**
 * The Kafka port. `KafkaTransport` is what differs between production (kafkajs' connections) and simulation;
 * `KafkaClient` is our own code over it: leaders, errors, record batches. All offsets are 64-bit (bigint).
 */

export type SecurityProtocol = 'plaintext' | 'ssl' | 'sasl_plaintext' | 'sasl_ssl';

/** Plain JSON. Made by `readKafkaProperties` from `property.*`; two equal configurations share connections. */
export interface KafkaConfig {
  /** `host:port`, at least one; the first that answers is used. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly security: SecurityProtocol;
  /** PEM texts, resolved from `FILE:name` before they get here; absent: the system's authorities. */
  readonly ssl?: {
    readonly ca?: string;
    readonly certificate?: string;
    readonly key?: string;
    readonly keyPassword?: string;
    /** `ssl.endpoint.identification.algorithm` = `none` makes it false. Default true. */
    readonly checkHostName: boolean;
  };
  readonly sasl?: {
    readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
    readonly username: string;
    readonly password: string;
  };
  /** Default true (read_committed). `property.isolation.level` = `read_uncommitted` makes it false. */
  readonly readCommitted: boolean;
  /** Default true. */
  readonly checkCrcs: boolean;
}

export interface PartitionMetadata {
  readonly partition: number;
  /** −1: no leader now. */
  readonly leader: number;
  readonly leaderEpoch: number;
}

export interface FetchPartition {
  readonly partition: number;
  readonly offset: bigint;
  readonly maxBytes: number;
}

export interface RawFetchPartition {
  readonly partition: number;
  /** Kafka's error code, 0 = none. */
  readonly errorCode: number;
  readonly highWatermark: bigint;
  readonly lastStableOffset: bigint;
  readonly abortedTransactions: readonly {
    readonly producerId: bigint;
    readonly firstOffset: bigint;
  }[];
  /** The record set as sent: whole record batches, perhaps a partial one at the end. */
  readonly records: Uint8Array;
  /** Nobody reads the records any more: their memory may be used again. Who does not call it leaves it to be collected. */
  readonly release?: () => void;
}

export interface TopicMetadata {
  /** Kafka's error code, 0 = none. */
  readonly errorCode: number;
  readonly partitions: readonly PartitionMetadata[];
}

/** A position that a watcher waits at; topics of one broker may be mixed. */
export interface WatchedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
}

export interface WatchedEnd {
  readonly topic: string;
  readonly partition: number;
  /** Kafka's error code, 0 = none. */
  readonly errorCode: number;
  /** The end of what may be read now: last stable offset (read_committed) or high watermark. */
  readonly end: bigint;
}

/** What a watcher of idle partitions asks of the brokers; as KafkaTransport, nothing is tried twice here. */
export interface KafkaWatch {
  /**
   * Every topic asked for is in the answer. `elsewhere`: the last answer led to the wrong leader, so another broker than the one
   * that gave it is asked first; one that is cut off from the cluster would say the same for ever.
   */
  metadataOf(
    topics: readonly string[],
    elsewhere?: boolean,
  ): Promise<ReadonlyMap<string, TopicMetadata>>;
  /**
   * Answers as soon as one of the partitions has something behind its offset, at the latest after `maxWaitMs`. Each
   * topic and partition may be asked for once.
   */
  waitForData(
    leader: number,
    asked: readonly WatchedPartition[],
    limits: { maxWaitMs: number; readCommitted: boolean },
  ): Promise<readonly WatchedEnd[]>;
  close(): Promise<void>;
}

/** Answers and errors of the brokers as they are: no retry, no interpretation. */
export interface KafkaTransport extends KafkaWatch {
  metadata(topic: string, elsewhere?: boolean): Promise<TopicMetadata>;
  /** `at`: −1 the end, −2 the beginning, else a time in milliseconds. Asked of the partitions' leader. */
  listOffsets(
    leader: number,
    topic: string,
    partitions: readonly number[],
    at: bigint,
    readCommitted: boolean,
  ): Promise<readonly { partition: number; errorCode: number; offset: bigint }[]>;
  fetch(
    leader: number,
    topic: string,
    partitions: readonly FetchPartition[],
    limits: { maxWaitMs: number; minBytes: number; maxBytes: number; readCommitted: boolean },
  ): Promise<readonly RawFetchPartition[]>;
  /** Advisory only, for monitoring: no group is joined and no answer decides anything. */
  commitGroup(groupId: string, topic: string, offsets: ReadonlyMap<number, bigint>): Promise<void>;
}

export type OpenTransport = (config: KafkaConfig) => Promise<KafkaTransport>;

/**
 * Messages of one partition whose values lie in one buffer: no object per message.
 * Message i: value bytes[start[i] … start[i] + length[i]], offset offsetBase + offsetDelta[i].
 */
export interface MessageBatch {
  readonly topic: string;
  readonly partition: number;
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly start: Uint32Array;
  /** −1: a tombstone (null value). */
  readonly length: Int32Array;
  readonly offsetBase: bigint;
  readonly offsetDelta: Uint32Array;
  /** Milliseconds since 1970, −1 where the broker gives none. */
  readonly timestampMs: Float64Array;
}

export interface FetchedPartition {
  readonly partition: number;
  readonly batches: readonly MessageBatch[];
  /** Where the next fetch starts: behind everything seen, control records, aborted records and gaps included. */
  readonly nextOffset: bigint;
  /** The end of what may be read now: last stable offset (read_committed) or high watermark. */
  readonly endOffset: bigint;
  readonly highWatermark: bigint;
  /** Bytes of the record set as sent. */
  readonly bytes: number;
  /** Nobody reads the batches' `bytes` any more; where messages lie and their offsets may still be looked at. */
  readonly release?: () => void;
}

/**
 * Errors are `LoadError`s with these codes; details carry topic, partition, offset, broker where known:
 *   KAFKA_UNREACHABLE (transient), KAFKA_AUTH, KAFKA_TLS, KAFKA_UNKNOWN_TOPIC, KAFKA_UNKNOWN_PARTITION,
 *   KAFKA_NOT_AUTHORIZED, KAFKA_OFFSET_OUT_OF_RANGE, KAFKA_LEADER (transient), KAFKA_TIMEOUT (transient),
 *   KAFKA_CRC, KAFKA_BAD_BATCH, KAFKA_CODEC, KAFKA_CLOSED
 */
export interface KafkaClient {
  /** Partition ids of the topic, ascending. */
  partitions(topic: string): Promise<readonly number[]>;
  /** The first offset that exists, or the end (last stable offset when read_committed), per partition. */
  offsets(
    topic: string,
    partitions: readonly number[],
    at: 'beginning' | 'end',
  ): Promise<ReadonlyMap<number, bigint>>;
  /**
   * Follows leaders. Waits at most `maxWaitMs` where nothing is there; a partition without data has no batches.
   * While others have data, a partition whose leader cannot be reached is missing from the result; ask again.
   */
  fetch(
    topic: string,
    partitions: readonly FetchPartition[],
    limits: { maxWaitMs: number; minBytes: number; maxBytes: number },
    signal?: AbortSignal,
  ): Promise<readonly FetchedPartition[]>;
  commitGroup(groupId: string, topic: string, offsets: ReadonlyMap<number, bigint>): Promise<void>;
  close(): Promise<void>;
}

/** Clients by configuration, opened on demand and closed after a while without use. */
export interface KafkaPort {
  /** A client to use until `release`; equal configurations share one. */
  acquire(config: KafkaConfig): Promise<{ client: KafkaClient; release(): void }>;
  /** For one watcher: its connections are shared with nobody, and it closes them. */
  openWatch(config: KafkaConfig): Promise<KafkaWatch>;
  close(): Promise<void>;
}
