/**
 * The Kafka transport over kafkajs' connections. Fetches have connections of their own, since a broker answers
 * one request of a connection at a time and a waiting fetch would hold up metadata, or another task's fetch.
 */
import { LoadError } from '../../base/errors.ts';
import { AnswerBuffers } from './answer-buffers.ts';
import {
  type ClusterMetadata,
  readCoordinator,
  readFetch,
  readFetchEnds,
  readListOffsets,
  readMetadata,
  readOffsetCommit,
} from './broker-answers.ts';
import { addressText, type BrokerAddress, parseAddress } from './broker-errors.ts';
import type {
  FetchPartition,
  KafkaConfig,
  KafkaTransport,
  OpenTransport,
  RawFetchPartition,
  TopicMetadata,
  WatchedEnd,
  WatchedPartition,
} from './kafka.types.ts';
import {
  type Answer,
  type ApiName,
  BrokerConnection,
  type ConnectionLimits,
} from './kafkajs-connection.ts';

export interface TransportLimits extends ConnectionLimits {
  /** Fetches beyond share a connection and wait for each other. */
  readonly fetchConnectionsPerBrokerMax: number;
}

const limitsDefault: TransportLimits = {
  connectTimeoutMs: 5_000,
  requestTimeoutMs: 15_000,
  answerBytesMax: 256 * 1024 * 1024,
  fetchConnectionsPerBrokerMax: 16,
};

/** Connects when first asked something. */
export function kafkajsTransport(limits: Partial<TransportLimits> = {}): OpenTransport {
  return async (config) => new KafkajsTransport(config, { ...limitsDefault, ...limits });
}

type Opening = Promise<BrokerConnection>;

class KafkajsTransport implements KafkaTransport {
  readonly #config: KafkaConfig;
  readonly #limits: TransportLimits;
  readonly #abort = new AbortController();
  readonly #buffers = new AnswerBuffers();
  /** By address: a broker that moved gets new ones. */
  readonly #control = new Map<string, Slot>();
  readonly #fetching = new Map<string, Slot[]>();
  readonly #nodes = new Map<number, BrokerAddress>();
  readonly #coordinators = new Map<string, BrokerAddress>();
  /** The broker that answered last is asked first. */
  #bootstrap: readonly BrokerAddress[];

  constructor(config: KafkaConfig, limits: TransportLimits) {
    this.#config = config;
    this.#limits = limits;
    this.#bootstrap = config.brokers.map(parseAddress);
  }

  async metadata(topic: string, elsewhere = false): Promise<TopicMetadata> {
    const found = (await this.metadataOf([topic], elsewhere)).get(topic);
    return found ?? { errorCode: 3, partitions: [] };
  }

  async metadataOf(
    topics: readonly string[],
    elsewhere = false,
  ): Promise<ReadonlyMap<string, TopicMetadata>> {
    const metadata = await this.#ofAnyBroker(
      (connection) =>
        ask<ClusterMetadata>(
          connection,
          'Metadata',
          [5, 6],
          { topics, allowAutoTopicCreation: false },
          readMetadata,
        ),
      elsewhere,
    );
    for (const { nodeId, host, port } of metadata.brokers) this.#nodes.set(nodeId, { host, port });
    const found = new Map<string, TopicMetadata>(metadata.topics.map((one) => [one.name, one]));
    return new Map(topics.map((one) => [one, found.get(one) ?? { errorCode: 3, partitions: [] }]));
  }

  async listOffsets(
    leader: number,
    topic: string,
    partitions: readonly number[],
    at: bigint,
    readCommitted: boolean,
  ): ReturnType<KafkaTransport['listOffsets']> {
    const connection = await this.#controlOf(this.#addressOf(leader));
    const asked = partitions.map((partition) => ({ partition, timestamp: String(at) }));
    return ask(
      connection,
      'ListOffsets',
      [2, 3],
      { isolationLevel: readCommitted ? 1 : 0, topics: [{ topic, partitions: asked }] },
      readListOffsets,
    );
  }

  async fetch(
    leader: number,
    topic: string,
    partitions: readonly FetchPartition[],
    limits: { maxWaitMs: number; minBytes: number; maxBytes: number; readCommitted: boolean },
  ): Promise<readonly RawFetchPartition[]> {
    const slot = this.#fetchSlot(this.#addressOf(leader));
    slot.users++;
    try {
      const asked = partitions.map(({ partition, offset, maxBytes }) => ({
        partition,
        fetchOffset: String(offset),
        maxBytes,
      }));
      const answer = await ask(
        await slot.connection,
        'Fetch',
        [4, 11],
        {
          isolationLevel: limits.readCommitted ? 1 : 0,
          maxWaitTime: limits.maxWaitMs,
          minBytes: limits.minBytes,
          maxBytes: limits.maxBytes,
          topics: [{ topic, partitions: asked }],
        },
        readFetch,
        limits.maxWaitMs,
      );
      if (answer.errorCode === 0) return this.#released(answer.partitions);
      // An error of the whole answer is one of each partition.
      const { errorCode } = answer;
      return partitions.map(({ partition }) => ({ ...nothing, partition, errorCode }));
    } finally {
      slot.users--;
    }
  }

  async waitForData(
    leader: number,
    asked: readonly WatchedPartition[],
    limits: { maxWaitMs: number; readCommitted: boolean },
  ): Promise<readonly WatchedEnd[]> {
    const { maxWaitMs, readCommitted } = limits;
    const slot = this.#fetchSlot(this.#addressOf(leader));
    slot.users++;
    try {
      const topics = new Map<string, { partition: number; fetchOffset: string; maxBytes: 1 }[]>();
      for (const { topic, partition, offset } of asked) {
        const one = { partition, fetchOffset: String(offset), maxBytes: 1 as const };
        const known = topics.get(topic);
        if (known === undefined) topics.set(topic, [one]);
        else known.push(one);
      }
      const answer = await ask(
        await slot.connection,
        'Fetch',
        [4, 11],
        {
          isolationLevel: readCommitted ? 1 : 0,
          maxWaitTime: maxWaitMs,
          minBytes: 1,
          // The ends are wanted, and stand beside the records of one batch at the most.
          maxBytes: 1,
          topics: [...topics].map(([topic, partitions]) => ({ topic, partitions })),
        },
        (payload, version) => readFetchEnds(payload, version, readCommitted),
        maxWaitMs,
      );
      const { errorCode } = answer;
      if (errorCode === 0) return answer.ends;
      return asked.map(({ topic, partition }) => ({ topic, partition, errorCode, end: -1n }));
    } finally {
      slot.users--;
    }
  }

  /** The answer's memory is free again when the last of its partitions is. */
  #released(partitions: readonly RawFetchPartition[]): readonly RawFetchPartition[] {
    let held = partitions.length;
    return partitions.map((partition) => {
      let isHeld = true;
      const release = () => {
        if (!isHeld) return;
        isHeld = false;
        held -= 1;
        if (held === 0) this.#buffers.give(partition.records.buffer);
      };
      return { ...partition, release };
    });
  }

  async commitGroup(
    groupId: string,
    topic: string,
    offsets: ReadonlyMap<number, bigint>,
  ): Promise<void> {
    try {
      const coordinator = this.#coordinators.get(groupId) ?? (await this.#findCoordinator(groupId));
      const partitions = [...offsets].map(([partition, offset]) => ({
        partition,
        offset: String(offset),
      }));
      // Of no member and no generation: a simple consumer, so that no group is joined.
      const errorCode = await ask(
        await this.#controlOf(coordinator),
        'OffsetCommit',
        [3, 5],
        { groupId, groupGenerationId: -1, memberId: '', topics: [{ topic, partitions }] },
        readOffsetCommit,
      );
      if (errorCode !== 0) throw groupError(groupId, errorCode);
    } catch (error) {
      this.#coordinators.delete(groupId);
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#abort.abort();
    const slots = [...this.#control.values(), ...[...this.#fetching.values()].flat()];
    this.#control.clear();
    this.#fetching.clear();
    for (const result of await Promise.allSettled(slots.map(({ connection }) => connection))) {
      if (result.status === 'fulfilled') result.value.close(closedError());
    }
  }

  async #findCoordinator(groupId: string): Promise<BrokerAddress> {
    const { errorCode, host, port } = await this.#ofAnyBroker((connection) =>
      ask(connection, 'GroupCoordinator', [1, 2], { groupId }, readCoordinator),
    );
    if (errorCode !== 0) throw groupError(groupId, errorCode);
    this.#coordinators.set(groupId, { host, port });
    return { host, port };
  }

  /** Asks one broker after the other until one answers. Of the errors, the one that says most is thrown. */
  async #ofAnyBroker<T>(
    request: (connection: BrokerConnection) => Promise<T>,
    elsewhere = false,
  ): Promise<T> {
    const known = [...this.#bootstrap, ...this.#nodes.values()];
    const all = new Map(known.map((address) => [addressText(address), address]));
    const candidates = elsewhere ? behindFirst([...all]) : [...all];
    const errors: LoadError[] = [];
    for (const [text, address] of candidates) {
      try {
        const result = await request(await this.#controlOf(address));
        this.#bootstrap = [
          address,
          ...this.#bootstrap.filter((other) => addressText(other) !== text),
        ];
        return result;
      } catch (error) {
        if (!(error instanceof LoadError) || error.code === 'KAFKA_CLOSED') throw error;
        errors.push(error);
      }
    }
    const telling = errors.find(({ code }) => code === 'KAFKA_AUTH' || code === 'KAFKA_TLS');
    if (telling !== undefined) throw telling;
    if (errors.length === 1) throw errors[0];
    throw new LoadError(
      'KAFKA_UNREACHABLE',
      `none of the brokers ${[...all.keys()].join(', ')} answers: ${errors[0]?.message}`,
      {
        transient: true,
        details: {
          brokers: [...all.keys()],
          errors: errors.map(({ message }) => message),
        },
        ...(errors[0]?.hint === undefined ? {} : { hint: errors[0].hint }),
      },
    );
  }

  #addressOf(nodeId: number): BrokerAddress {
    const address = this.#nodes.get(nodeId);
    if (address !== undefined) return address;
    throw new LoadError('KAFKA_LEADER', `the address of broker ${nodeId} is not known`, {
      transient: true,
      details: { broker: nodeId },
    });
  }

  /** The one under way or standing, if it is good; else a new one. */
  #controlOf(address: BrokerAddress): Opening {
    const key = addressText(address);
    let slot = this.#control.get(key);
    if (slot === undefined || slot.dead()) {
      slot = new Slot(this.#open(address));
      this.#control.set(key, slot);
    }
    return slot.connection;
  }

  #open(address: BrokerAddress): Opening {
    if (this.#abort.signal.aborted) return Promise.reject(closedError());
    return BrokerConnection.open(
      address,
      this.#config,
      this.#limits,
      this.#abort.signal,
      this.#buffers,
    ).catch((error) => {
      throw this.#abort.signal.aborted ? closedError() : error;
    });
  }

  /** An idle one, else a new one, else the least busy. */
  #fetchSlot(address: BrokerAddress): Slot {
    const key = addressText(address);
    const slots = (this.#fetching.get(key) ?? []).filter((slot) => !slot.dead());
    this.#fetching.set(key, slots);
    slots.sort((a, b) => a.users - b.users);
    const first = slots[0];
    if (first !== undefined) {
      if (first.users === 0 || slots.length >= this.#limits.fetchConnectionsPerBrokerMax) {
        return first;
      }
    }
    const slot = new Slot(this.#open(address));
    slots.push(slot);
    return slot;
  }
}

/** In the order of their names, from the one behind the first of these: asked again and again, it comes to each of them. */
export function behindFirst<T>(
  candidates: readonly (readonly [string, T])[],
): readonly (readonly [string, T])[] {
  const sorted = [...candidates].sort(([a], [b]) => (a < b ? -1 : 1));
  const at = sorted.findIndex(([name]) => name === candidates[0]?.[0]) + 1;
  return [...sorted.slice(at), ...sorted.slice(0, at)];
}

/** A place for one connection, from its opening on. */
class Slot {
  readonly connection: Opening;
  users = 0;
  #standing: BrokerConnection | null = null;
  #failed = false;

  constructor(connection: Opening) {
    this.connection = connection;
    connection.then(
      (standing) => {
        this.#standing = standing;
      },
      () => {
        this.#failed = true;
      },
    );
  }

  dead(): boolean {
    return this.#failed || this.#standing?.usable === false;
  }
}

const nothing = {
  highWatermark: -1n,
  lastStableOffset: -1n,
  abortedTransactions: [],
  records: new Uint8Array(0),
} as const;

async function ask<T>(
  connection: BrokerConnection,
  api: ApiName,
  [versionMin, versionMax]: readonly [number, number],
  options: object,
  read: (payload: Buffer, version: number) => Answer<T>,
  extraTimeMs = 0,
): Promise<T> {
  const version = connection.version(api, versionMin, versionMax);
  if (version !== undefined) return connection.request(api, version, options, read, extraTimeMs);
  const broker = addressText(connection.address);
  throw new LoadError(
    'KAFKA_UNREACHABLE',
    `broker ${broker} has no version of ${api} that is known here (${versionMin} to ${versionMax})`,
    { details: { broker }, hint: 'Kafka 1.0 or later is needed' },
  );
}

function groupError(groupId: string, errorCode: number): LoadError {
  const code = errorCode === 30 ? 'KAFKA_NOT_AUTHORIZED' : 'KAFKA_UNREACHABLE';
  return new LoadError(
    code,
    `the offsets of group "${groupId}" could not be noted: error ${errorCode}`,
    { details: { groupId, errorCode }, transient: errorCode !== 30 },
  );
}

function closedError(): LoadError {
  return new LoadError('KAFKA_CLOSED', 'the connection to kafka was closed');
}
