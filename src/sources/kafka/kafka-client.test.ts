import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../base/clock.ts';
import { LoadError } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import type { KafkaConfig, KafkaTransport, RawFetchPartition } from './kafka.types.ts';
import { createKafkaClient } from './kafka-client.ts';
import { createKafkaPort } from './kafka-port.ts';
import { writeBatch } from './record-batch-writer.ts';

/** Time passes when everything waits for it. */
class SteppedClock implements Clock {
  #now = 0;
  readonly timers = new Map<number, { at: number; fn: () => void }>();
  #next = 1;
  now = () => this.#now;
  setTimeout(fn: () => void, delayMs: number): number {
    const id = this.#next++;
    this.timers.set(id, { at: this.#now + delayMs, fn });
    return id;
  }
  clearTimeout(id: number): void {
    this.timers.delete(id);
  }
  step(): void {
    const first = [...this.timers].sort((a, b) => a[1].at - b[1].at)[0];
    if (first === undefined) return;
    this.timers.delete(first[0]);
    this.#now = Math.max(this.#now, first[1].at);
    first[1].fn();
  }
}

/** One topic "t" whose partitions hold one batch of two messages each; what a test sets goes wrong. */
class ScriptedTransport implements KafkaTransport {
  leaders: number[] = [1, 2];
  topicError = 0;
  /** Taken one by one, by partition; then there is none. */
  readonly fetchErrors = new Map<number, (number | LoadError)[]>();
  readonly asked: string[] = [];
  /** Whether each look at the metadata was to go to another broker than before. */
  readonly elsewhere: boolean[] = [];
  batch = writeBatch({ baseOffset: 0n, messages: [{ value: 'a' }, { value: 'b' }] });
  silent = new Set<number>();
  closed = 0;

  async metadata(_topic?: string, elsewhere = false) {
    this.asked.push('metadata');
    this.elsewhere.push(elsewhere);
    const partitions = this.leaders.map((leader, partition) => ({
      partition,
      leader,
      leaderEpoch: 0,
    }));
    return { errorCode: this.topicError, partitions };
  }
  async metadataOf(topics: readonly string[]) {
    const metadata = await this.metadata();
    return new Map(topics.map((topic) => [topic, metadata]));
  }
  async waitForData() {
    return [];
  }
  async listOffsets(leader: number, _topic: string, partitions: readonly number[], at: bigint) {
    this.asked.push(`offsets ${leader}:${partitions} ${at}`);
    return partitions.map((partition) => ({
      partition,
      errorCode: this.leaders[partition] === leader ? 0 : 6,
      offset: at === -1n ? 2n : 0n,
    }));
  }
  async fetch(...[leader, , partitions, limits]: Parameters<KafkaTransport['fetch']>) {
    const ids = partitions.map(({ partition }) => partition);
    this.asked.push(`fetch ${leader}:${ids} ${limits.maxWaitMs}`);
    return partitions.map(({ partition, offset, maxBytes }): RawFetchPartition => {
      const error = this.fetchErrors.get(partition)?.shift() ?? 0;
      if (error instanceof LoadError) throw error;
      const errorCode = error !== 0 ? error : this.leaders[partition] === leader ? 0 : 6;
      const none = errorCode !== 0 || this.silent.has(partition) || offset >= 2n;
      return {
        partition,
        errorCode,
        highWatermark: 3n,
        lastStableOffset: 2n,
        abortedTransactions: [],
        records: none ? new Uint8Array(0) : this.batch.subarray(0, maxBytes),
      };
    });
  }
  async commitGroup() {}
  async close() {
    this.closed++;
  }
}

const clock = new SteppedClock();
let pump: NodeJS.Timeout;
beforeEach(() => {
  pump = setInterval(() => clock.step(), 1);
});
afterEach(() => {
  clearInterval(pump);
  expect(clock.timers.size).toBe(0);
});

const unreachable = new LoadError('KAFKA_UNREACHABLE', 'gone', { transient: true });
const limits = { maxWaitMs: 500, minBytes: 1, maxBytes: 1000 };
const want = (...partitions: number[]) =>
  partitions.map((partition) => ({ partition, offset: 0n, maxBytes: 1000 }));

function setUp(change: (transport: ScriptedTransport) => void = () => {}) {
  const transport = new ScriptedTransport();
  change(transport);
  const client = createKafkaClient(transport, { clock, readCommitted: true, checkCrcs: true });
  const fetch = async (...partitions: number[]) => {
    const fetched = await client.fetch('t', want(...partitions), limits);
    return fetched.map(({ partition, nextOffset, endOffset, batches }) => {
      const count = batches.reduce((sum, batch) => sum + batch.count, 0);
      return `${partition}: ${count} to ${nextOffset} of ${endOffset}`;
    });
  };
  return { transport, client, fetch };
}

const codeOf = async (work: Promise<unknown>) =>
  work.then(
    () => 'nothing',
    (error: LoadError) => error.code,
  );

describe('K2: leaders', () => {
  it('asks each leader for its partitions, and metadata once', async () => {
    const { transport, fetch } = setUp((t) => {
      t.leaders = [1, 2, 1];
    });
    expect(await fetch(0, 1, 2)).toEqual(['0: 2 to 2 of 2', '1: 2 to 2 of 2', '2: 2 to 2 of 2']);
    await fetch(0, 1, 2);
    expect(transport.asked).toEqual([
      'metadata',
      'fetch 1:0,2 0',
      'fetch 2:1 0',
      // Another partition is the first each time.
      'fetch 2:1 0',
      'fetch 1:2,0 0',
    ]);
  });

  it('one leader is waited for as long as asked, several by slices', async () => {
    const { transport, fetch } = setUp((t) => {
      t.silent = new Set([0, 1]);
    });
    await fetch(0);
    expect(transport.asked.slice(1)).toEqual(['fetch 1:0 500']);
    await fetch(0, 1);
    const waits = transport.asked.slice(2).map((what) => what.split(' ')[2]);
    expect(waits).toEqual(['0', '0', '200', '200', '200', '200', '100', '100']);
  });

  it.each([
    { name: 'not leader', error: 6 },
    { name: 'fenced epoch', error: 74 },
    { name: 'unknown epoch', error: 75 },
    { name: 'not known there for a moment', error: 3 },
    { name: 'unheard-of', error: 999 },
    { name: 'unreachable', error: unreachable },
  ])('asks again with fresh metadata: $name', async ({ error }) => {
    const { transport, fetch } = setUp((t) => t.fetchErrors.set(0, [error, error]));
    expect(await fetch(0)).toEqual(['0: 2 to 2 of 2']);
    expect(transport.asked.filter((what) => what === 'metadata')).toHaveLength(3);
    expect(transport.elsewhere).toEqual([false, true, true]);
  });

  it('follows a leader that moved, for fetches and for offsets', async () => {
    const { transport, client, fetch } = setUp();
    await fetch(0);
    transport.leaders = [2, 1];
    expect(await fetch(0, 1)).toEqual(expect.arrayContaining([expect.stringMatching(/: 2 to 2/)]));
    transport.leaders = [1, 2];
    expect(await client.offsets('t', [0, 1], 'end')).toEqual(
      new Map([
        [0, 2n],
        [1, 2n],
      ]),
    );
  });

  it('gives up after bounded tries with a transient error', async () => {
    const { transport, client } = setUp((t) =>
      t.fetchErrors.set(0, Array(50).fill(unreachable) as LoadError[]),
    );
    const started = clock.now();
    expect(await codeOf(client.fetch('t', want(0), limits))).toBe('KAFKA_UNREACHABLE');
    expect(transport.asked.filter((what) => what.startsWith('fetch'))).toHaveLength(6);
    expect(clock.now() - started).toBe(100 + 200 + 400 + 800 + 1600);
  });

  it('no leader now is transient', async () => {
    const { client } = setUp((t) => {
      t.leaders = [-1];
    });
    expect(await codeOf(client.fetch('t', want(0), limits))).toBe('KAFKA_LEADER');
  });

  it('a partition without its leader does not hold up the others', async () => {
    const { fetch } = setUp((t) => t.fetchErrors.set(1, [unreachable]));
    expect(await fetch(0, 1)).toEqual(['0: 2 to 2 of 2']);
    expect(await fetch(0, 1)).toEqual(['0: 2 to 2 of 2', '1: 2 to 2 of 2']);
  });
});

describe('errors', () => {
  it('K1: out of range is never reset, and says what there is', async () => {
    const { transport, client } = setUp((t) => t.fetchErrors.set(0, [1]));
    const asked = [{ partition: 0, offset: 9n, maxBytes: 1000 }];
    const error = await client.fetch('t', asked, limits).catch((reason: LoadError) => reason);
    expect(error).toMatchObject({
      code: 'KAFKA_OFFSET_OUT_OF_RANGE',
      transient: false,
      details: { topic: 't', partition: 0, offset: '9', beginning: '0', end: '2' },
    });
    expect(transport.asked.filter((what) => what.startsWith('fetch'))).toHaveLength(1);
  });

  it('K1: an offset that is refused and is there is asked for again: a new leader does not know its end yet', async () => {
    const { transport, client } = setUp((t) => t.fetchErrors.set(0, [1]));
    const [found] = await client.fetch('t', want(0), limits);
    expect(found).toMatchObject({ partition: 0, endOffset: 2n });
    expect(transport.asked.filter((what) => what.startsWith('fetch'))).toHaveLength(2);
  });

  it.each([
    { name: 'unknown topic', topicError: 3, code: 'KAFKA_UNKNOWN_TOPIC' },
    { name: 'not allowed', topicError: 29, code: 'KAFKA_NOT_AUTHORIZED' },
  ])('$name', async ({ topicError, code }) => {
    const { transport, client } = setUp((t) => {
      t.topicError = topicError;
    });
    expect(await codeOf(client.partitions('t'))).toBe(code);
    expect(await codeOf(client.fetch('t', want(0), limits))).toBe(code);
    transport.topicError = 0;
    expect(await client.partitions('t')).toEqual([0, 1]);
  });

  it('a partition that is newer than the metadata is found, another is not', async () => {
    const { transport, client } = setUp();
    await client.partitions('t');
    transport.leaders = [1, 2, 1];
    expect((await client.offsets('t', [2], 'beginning')).get(2)).toBe(0n);
    expect(await codeOf(client.offsets('t', [7], 'end'))).toBe('KAFKA_UNKNOWN_PARTITION');
  });

  it('a damaged batch fails the fetch', async () => {
    const { client } = setUp((t) => {
      t.batch = t.batch.slice();
      t.batch[70] = 1;
    });
    expect(await codeOf(client.fetch('t', want(0), limits))).toBe('KAFKA_CRC');
  });

  it('a batch larger than what was asked for is asked for again in full', async () => {
    const { client } = setUp();
    const asked = [{ partition: 0, offset: 0n, maxBytes: 30 }];
    const [fetched] = await client.fetch('t', asked, limits);
    expect(fetched?.nextOffset).toBe(2n);
  });

  it('K3: ends when cancelled, and when closed', async () => {
    const { client, transport } = setUp((t) => {
      t.fetch = () => new Promise(() => {});
    });
    const abort = new AbortController();
    const waiting = codeOf(client.fetch('t', want(0), limits, abort.signal));
    abort.abort();
    expect(await waiting).toBe('KAFKA_CLOSED');
    await client.close();
    expect(transport.closed).toBe(1);
    expect(await codeOf(client.partitions('t'))).toBe('KAFKA_CLOSED');
  });
});

describe('createKafkaPort', () => {
  const config: KafkaConfig = {
    brokers: ['a:1'],
    clientId: 'c',
    security: 'plaintext',
    readCommitted: true,
    checkCrcs: true,
  };

  it('shares by configuration, closes when idle, opens anew', async () => {
    clearInterval(pump);
    const opened: ScriptedTransport[] = [];
    const open = async () => {
      const transport = new ScriptedTransport();
      opened.push(transport);
      return transport;
    };
    const port = createKafkaPort({ open, clock, log: silentLog });
    const { checkCrcs, ...rest } = config;
    const first = await port.acquire(config);
    const second = await port.acquire({ checkCrcs, ...rest });
    const other = await port.acquire({ ...config, readCommitted: false });
    expect([second.client === first.client, other.client === first.client]).toEqual([true, false]);

    first.release();
    first.release();
    expect(clock.timers.size).toBe(0);
    second.release();
    expect(clock.timers.size).toBe(1);
    const again = await port.acquire(config);
    expect([again.client === first.client, clock.timers.size]).toEqual([true, 0]);
    again.release();
    clock.step();
    await expect.poll(() => opened[0]?.closed).toBe(1);

    const anew = await port.acquire(config);
    expect(anew.client === first.client).toBe(false);
    await port.close();
    expect(opened.map(({ closed }) => closed)).toEqual([1, 1, 1]);
    expect(await codeOf(port.acquire(config))).toBe('KAFKA_CLOSED');
    expect(clock.timers.size).toBe(0);
  });

  it('a failed opening is not kept', async () => {
    let fails = true;
    const open = async () => {
      if (fails) throw unreachable;
      return new ScriptedTransport();
    };
    const port = createKafkaPort({ open, clock, log: silentLog });
    expect(await codeOf(port.acquire(config))).toBe('KAFKA_UNREACHABLE');
    fails = false;
    expect((await port.acquire(config)).client).toBeDefined();
    await port.close();
  });
});
