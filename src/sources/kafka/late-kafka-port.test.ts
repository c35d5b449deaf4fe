import { describe, expect, it, vi } from 'vitest';
import type { KafkaConfig, KafkaPort } from './kafka.types.ts';
import { createLateKafkaPort } from './late-kafka-port.ts';

const config = {} as KafkaConfig;

function latePort() {
  const close = vi.fn(async () => {});
  const port: KafkaPort = {
    acquire: () => Promise.reject(new Error('acquire')),
    openWatch: () => Promise.reject(new Error('openWatch')),
    close,
  };
  const opening = Promise.withResolvers<KafkaPort>();
  const open = vi.fn(() => opening.promise);
  return { late: createLateKafkaPort(open), open, close, arrive: () => opening.resolve(port) };
}

describe('late kafka port', () => {
  it.each(['acquire', 'openWatch'] as const)('is opened by the first %s, once', async (ask) => {
    const { late, open, arrive } = latePort();
    expect(open).not.toHaveBeenCalled();
    const both = [late[ask](config), late[ask](config)];
    arrive();
    for (const one of both) await expect(one).rejects.toThrow(ask);
    expect(open).toHaveBeenCalledOnce();
  });

  it('that nobody asked is closed without being opened', async () => {
    const { late, open } = latePort();
    await late.close();
    await expect(late.acquire(config)).rejects.toMatchObject({ code: 'KAFKA_CLOSED' });
    expect(open).not.toHaveBeenCalled();
  });

  it('is closed when it was being opened meanwhile', async () => {
    const { late, close, arrive } = latePort();
    const acquired = expect(late.acquire(config)).rejects.toThrow('acquire');
    const closing = late.close();
    arrive();
    await Promise.all([acquired, closing]);
    expect(close).toHaveBeenCalledOnce();
  });
});
