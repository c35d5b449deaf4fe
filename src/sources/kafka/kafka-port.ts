/** Clients by configuration: equal ones share connections, idle ones are closed after a while. */
import type { Clock } from '../../base/clock.ts';
import { LoadError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type {
  KafkaClient,
  KafkaConfig,
  KafkaPort,
  KafkaWatch,
  OpenTransport,
} from './kafka.types.ts';
import { createKafkaClient, type KafkaClientOptions } from './kafka-client.ts';
import { keyOf } from './key-of.ts';

export interface KafkaPortOptions {
  readonly open: OpenTransport;
  readonly clock: Clock;
  readonly log: Log;
  /** A client that nobody holds is closed after so long. Default one minute. */
  readonly idleMs?: number;
  readonly client?: Omit<KafkaClientOptions, 'clock' | 'readCommitted' | 'checkCrcs'>;
}

export function createKafkaPort(options: KafkaPortOptions): KafkaPort {
  return new PooledPort(options);
}

interface Pooled {
  readonly client: Promise<KafkaClient>;
  holders: number;
  idleTimer: unknown;
}

class PooledPort implements KafkaPort {
  readonly #options: KafkaPortOptions;
  readonly #pool = new Map<string, Pooled>();
  readonly #closing = new Set<Promise<void>>();
  #closed = false;

  constructor(options: KafkaPortOptions) {
    this.#options = options;
  }

  async acquire(config: KafkaConfig): Promise<{ client: KafkaClient; release(): void }> {
    if (this.#closed) throw new LoadError('KAFKA_CLOSED', 'the kafka port is closed');
    const key = keyOf(config);
    let pooled = this.#pool.get(key);
    if (pooled === undefined) {
      pooled = { client: this.#open(config), holders: 0, idleTimer: null };
      this.#pool.set(key, pooled);
    }
    const held = pooled;
    held.holders++;
    if (held.idleTimer !== null) this.#options.clock.clearTimeout(held.idleTimer);
    held.idleTimer = null;

    try {
      const client = await held.client;
      let released = false;
      const release = () => {
        if (released) return;
        released = true;
        this.#letGo(key, held);
      };
      return { client, release };
    } catch (error) {
      if (this.#pool.get(key) === held) this.#pool.delete(key);
      throw error;
    }
  }

  openWatch(config: KafkaConfig): Promise<KafkaWatch> {
    return this.#options.open(config);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const [key, pooled] of [...this.#pool]) this.#drop(key, pooled);
    await Promise.all(this.#closing);
  }

  async #open(config: KafkaConfig): Promise<KafkaClient> {
    const { open, clock, client } = this.#options;
    const { readCommitted, checkCrcs } = config;
    return createKafkaClient(await open(config), { ...client, clock, readCommitted, checkCrcs });
  }

  #letGo(key: string, pooled: Pooled): void {
    pooled.holders--;
    if (pooled.holders > 0 || this.#pool.get(key) !== pooled) return;
    const { clock, idleMs = 60_000 } = this.#options;
    pooled.idleTimer = clock.setTimeout(() => this.#drop(key, pooled), idleMs);
  }

  #drop(key: string, pooled: Pooled): void {
    if (pooled.idleTimer !== null) this.#options.clock.clearTimeout(pooled.idleTimer);
    if (this.#pool.get(key) === pooled) this.#pool.delete(key);
    const closing = pooled.client
      .then((client) => client.close())
      .catch((error) => {
        const message = error instanceof Error ? error.message : String(error);
        this.#options.log.write('warn', 'could not close a kafka client', { message });
      })
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}
