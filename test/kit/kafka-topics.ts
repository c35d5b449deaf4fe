/** What tests do to topics: make, widen, truncate, look at, and move their leaders. */
import type { Admin } from 'kafkajs';
import { kafkaClient } from '../../scripts/services/kafka-client.ts';
import { waitFor } from './wait-for.ts';

export interface PartitionState {
  readonly partition: number;
  /** Node id; -1 while there is none. */
  readonly leader: number;
  readonly replicas: readonly number[];
  readonly inSync: readonly number[];
}

async function withAdmin<T>(bootstrap: string, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafkaClient(bootstrap).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

/**
 * Returns when every broker that answers knows a leader of every partition. `configs` are Kafka's, e.g.
 * `{ 'cleanup.policy': 'compact', 'min.insync.replicas': '1' }`; by default each broker has a copy.
 */
export async function createTopic(
  bootstrap: string,
  topic: string,
  partitions = 1,
  configs: Readonly<Record<string, string>> = {},
  replicationFactor = -1,
): Promise<void> {
  await withAdmin(bootstrap, async (admin) => {
    await admin.createTopics({
      topics: [
        {
          topic,
          numPartitions: partitions,
          replicationFactor,
          configEntries: Object.entries(configs).map(([name, value]) => ({ name, value })),
        },
      ],
    });
  });
  await untilKnown(bootstrap, topic, partitions);
}

export async function deleteTopic(bootstrap: string, topic: string): Promise<void> {
  await withAdmin(bootstrap, (admin) => admin.deleteTopics({ topics: [topic] }));
}

/** `total` partitions from now on, the old ones included. */
export async function addPartitions(
  bootstrap: string,
  topic: string,
  total: number,
): Promise<void> {
  await withAdmin(bootstrap, async (admin) => {
    await admin.createPartitions({ topicPartitions: [{ topic, count: total }] });
  });
  await untilKnown(bootstrap, topic, total);
}

/** Removes what lies before these offsets, by partition; -1 removes all there is. */
export async function deleteRecords(
  bootstrap: string,
  topic: string,
  offsets: Readonly<Record<number, bigint | number>>,
): Promise<void> {
  const partitions = Object.entries(offsets).map(([partition, offset]) => ({
    partition: Number(partition),
    offset: String(offset),
  }));
  await withAdmin(bootstrap, async (admin) => {
    await admin.fetchTopicOffsets(topic); // kafkajs deletes only where it has looked up the leaders.
    await admin.deleteTopicRecords({ topic, partitions });
  });
}

/** The first offset there is and the next one to be written, by partition. */
export async function offsets(
  bootstrap: string,
  topic: string,
): Promise<readonly { readonly start: bigint; readonly end: bigint }[]> {
  const found = await withAdmin(bootstrap, (admin) => admin.fetchTopicOffsets(topic));
  return found
    .toSorted((a, b) => a.partition - b.partition)
    .map(({ low, high }) => ({ start: BigInt(low), end: BigInt(high) }));
}

/** The next offset to be written, by partition. Markers of transactions count. */
export async function endOffsets(bootstrap: string, topic: string): Promise<readonly bigint[]> {
  return (await offsets(bootstrap, topic)).map(({ end }) => end);
}

export async function describeTopic(
  bootstrap: string,
  topic: string,
): Promise<readonly PartitionState[]> {
  return withAdmin(bootstrap, (admin) => describe(admin, topic));
}

/**
 * Makes broker `to` (its node id) the leader of a partition, and returns when it is and all copies
 * are in sync. kafkajs cannot ask for an election, so the partition is given to `to` alone first and
 * then gets its other copies back, `to` in front.
 */
export async function moveLeader(
  bootstrap: string,
  topic: string,
  partition: number,
  to: number,
): Promise<void> {
  await withAdmin(bootstrap, async (admin) => {
    const before = await partitionOf(admin, topic, partition);
    const assign = async (replicas: number[]) => {
      await admin.alterPartitionReassignments({
        topics: [{ topic, partitionAssignment: [{ partition, replicas }] }],
      });
      await waitFor(
        async () => {
          const now = await partitionOf(admin, topic, partition);
          const same = now.replicas.length === replicas.length;
          return same && now.leader === to && now.inSync.length === replicas.length;
        },
        { what: `leader ${to} of ${topic}/${partition} with copies ${replicas.join(',')}` },
      );
    };
    if (before.leader === to) return;
    await assign([to]);
    const others = before.replicas.filter((nodeId) => nodeId !== to);
    const copies = [to, ...others].slice(0, before.replicas.length);
    if (copies.length > 1) await assign(copies);
  });
}

async function partitionOf(
  admin: Admin,
  topic: string,
  partition: number,
): Promise<PartitionState> {
  const found = (await describe(admin, topic))[partition];
  if (found === undefined) throw new Error(`topic "${topic}" has no partition ${partition}`);
  return found;
}

async function describe(admin: Admin, topic: string): Promise<PartitionState[]> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  return (topics[0]?.partitions ?? [])
    .map(({ partitionId, leader, replicas, isr }) => ({
      ...{ partition: partitionId, leader, replicas, inSync: isr },
    }))
    .sort((a, b) => a.partition - b.partition);
}

/** A client asks any broker, and one may hear of a topic later than the others. */
async function untilKnown(bootstrap: string, topic: string, partitions: number): Promise<void> {
  let reached = 0;
  for (const broker of bootstrap.split(',')) {
    const before = reached;
    const known = withAdmin(broker, (admin) => {
      reached += 1;
      return untilLed(admin, topic, partitions);
    });
    await known.catch((error: unknown) => {
      // One that is not there knows nothing.
      if (reached > before) throw error;
    });
  }
  if (reached === 0) throw new Error(`no broker of ${bootstrap} tells of topic "${topic}"`);
}

async function untilLed(admin: Admin, topic: string, partitions: number): Promise<void> {
  await waitFor(
    async () => {
      const found = await describe(admin, topic);
      return found.length === partitions && found.every(({ leader }) => leader >= 0);
    },
    { what: `leaders of the ${partitions} partitions of "${topic}"` },
  );
}
