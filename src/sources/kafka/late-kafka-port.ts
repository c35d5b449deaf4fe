/** A Kafka port that is loaded when it is first asked: kafkajs, record batches and codecs are for those who have a job. */
import { LoadError } from '../../base/errors.ts';
import type { KafkaPort } from './kafka.types.ts';

export function createLateKafkaPort(open: () => Promise<KafkaPort>): KafkaPort {
  let opening: Promise<KafkaPort> | undefined;
  let closed = false;
  const port = async (): Promise<KafkaPort> => {
    if (closed) throw new LoadError('KAFKA_CLOSED', 'the kafka port is closed');
    opening ??= open();
    return opening;
  };
  return {
    acquire: async (config) => (await port()).acquire(config),
    openWatch: async (config) => (await port()).openWatch(config),
    async close() {
      closed = true;
      const opened = await opening?.catch(() => undefined);
      await opened?.close();
    },
  };
}
