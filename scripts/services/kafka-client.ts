/**
 * kafkajs, quiet. It warns of a partitioner nobody asked for, logs every refused connection while a
 * broker starts, and asks for timers in the past, of which Node warns.
 */

import type { Kafka, KafkaConfig } from 'kafkajs';
import kafkajs from 'kafkajs';

process.env.KAFKAJS_NO_PARTITIONER_WARNING ??= '1';

const emitWarning = process.emitWarning.bind(process) as (...args: unknown[]) => void;
process.emitWarning = ((warning: string | Error, ...rest: unknown[]) => {
  const [first] = rest;
  const type =
    warning instanceof Error
      ? warning.name
      : typeof first === 'string'
        ? first
        : (first as { type?: string } | undefined)?.type;
  if (type !== 'TimeoutNegativeWarning') emitWarning(warning, ...rest);
}) as typeof process.emitWarning;

/** A client of brokers `host:port[,host:port]`. */
export function kafkaClient(bootstrap: string, config: Partial<KafkaConfig> = {}): Kafka {
  return new kafkajs.Kafka({
    clientId: 'millrace-services',
    brokers: bootstrap.split(',').map((broker) => broker.trim()),
    logLevel: kafkajs.logLevel.NOTHING,
    connectionTimeout: 3_000,
    requestTimeout: 15_000,
    retry: { retries: 8, initialRetryTime: 100, maxRetryTime: 1_000 },
    ...config,
  });
}

/** Asked once, without waiting: the ids of the brokers the cluster knows now. */
export async function liveBrokers(bootstrap: string): Promise<number[]> {
  const client = kafkaClient(bootstrap, {
    connectionTimeout: 1_000,
    requestTimeout: 3_000,
    retry: { retries: 0 },
  });
  const admin = client.admin();
  try {
    await admin.connect();
    const { brokers } = await admin.describeCluster();
    return brokers.map(({ nodeId }) => nodeId).sort((a, b) => a - b);
  } finally {
    await admin.disconnect().catch(() => {});
  }
}
