import { describe, expect, it } from 'vitest';
import { messages } from '../../formats/messages.fixture.ts';
import type { FetchedPartition, KafkaClient } from '../../sources/kafka/kafka.types.ts';
import { BytesBudget } from './bytes-budget.ts';
import { ReadAhead } from './read-ahead.ts';

const MIB = 1024 * 1024;
const never = new AbortController().signal;
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A log of 10 messages to a fetch, each of 100 bytes, that answers when it is told to. */
function open(options: {
  end: bigint;
  left?: number;
  partitions?: number;
  budget?: number;
  /** Bytes of the one message that a fetch brings. */
  plain?: number;
}) {
  const asked: { offset: bigint; maxBytes: number; signal: AbortSignal | undefined }[] = [];
  const answers: (() => void)[] = [];
  let released = 0;
  const client = {
    fetch: async (_topic, [one], _limits, signal) => {
      const { partition, offset, maxBytes } = one!;
      asked.push({ offset, maxBytes, signal });
      await new Promise<void>((resolve, reject) => {
        answers.push(resolve);
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
      const nextOffset = offset + 10n;
      const batches = options.plain === undefined ? [] : [messages('x'.repeat(options.plain))];
      const base = { partition, batches, nextOffset, highWatermark: options.end };
      const release = () => {
        released += 1;
      };
      const fetched: FetchedPartition = { ...base, endOffset: options.end, bytes: 1_000, release };
      return [fetched];
    },
  } as Pick<KafkaClient, 'fetch'> as KafkaClient;
  const budget = new BytesBudget(options.budget ?? 32 * MIB);
  const source = new ReadAhead({
    client,
    budget,
    topic: 't',
    partition: 3,
    partitions: options.partitions ?? 1,
    bytesLeft: () => options.left ?? 1_000_000_000,
  });
  const answer = async () => {
    await settled();
    answers.shift()?.();
    await settled();
  };
  return { source, budget, asked, answer, released: () => released };
}

describe('A1', () => {
  it('the next range is fetched while one is accepted, and no other', async () => {
    const { source, asked, answer, budget, released } = open({ end: 100n });
    const first = source.next(0n, never);
    await answer();
    await first;
    await answer();
    expect(asked.map(({ offset }) => offset)).toEqual([0n, 10n]);
    expect(budget.used).toBe(8 * MIB);
    source.accepted();
    expect(released()).toBe(1);
    expect(budget.used).toBe(4 * MIB);
    expect((await source.next(10n, never)).nextOffset).toBe(20n);
    expect(asked.map(({ offset }) => offset)).toEqual([0n, 10n, 20n]);
    source.close();
  });

  it.each([
    { name: 'at the end of the log', end: 10n, left: 5_000 },
    { name: 'where the task may read no more', end: 100n, left: 1_000 },
  ])('nothing is ahead $name', async ({ end, left }) => {
    const { source, asked, answer, budget } = open({ end, left });
    const first = source.next(0n, never);
    await answer();
    await first;
    source.accepted();
    expect(asked.map(({ maxBytes }) => maxBytes)).toEqual([left]);
    expect(budget.used).toBe(0);
  });

  it.each([
    { name: 'four times as large', plain: 4_000, ahead: MIB },
    { name: 'smaller than what was sent', plain: 500, ahead: 4 * MIB },
    { name: 'a hundred times as large', plain: 100_000, ahead: MIB / 4 },
  ])('of what is plain $name the next fetch asks for as much', async ({ plain, ahead }) => {
    const { source, asked, answer } = open({ end: 100n, plain });
    const first = source.next(0n, never);
    await answer();
    await first;
    await settled();
    expect(asked.map(({ maxBytes }) => maxBytes)).toEqual([4 * MIB, ahead]);
    source.close();
  });

  it('many partitions ask for less each, and wait for the budget', async () => {
    const { source, asked, answer, budget } = open({ end: 100n, partitions: 64 });
    const first = source.next(0n, never);
    await answer();
    await first;
    expect(asked[0]?.maxBytes).toBe(256 * 1024);
    expect(budget.used).toBe(512 * 1024);
    source.close();
  });
});

describe('A2', () => {
  it('closing ends what waits and what is ahead, and gives all bytes back', async () => {
    const { source, asked, answer, budget } = open({ end: 100n });
    const first = source.next(0n, never);
    await answer();
    await first;
    source.close();
    await settled();
    expect(asked[1]?.signal?.aborted).toBe(true);
    expect(budget.used).toBe(0);
    await expect(source.next(10n, never)).rejects.toMatchObject({ code: 'KAFKA_CLOSED' });
    expect(budget.used).toBe(0);
  });

  it('who does not wait any more ends it', async () => {
    const { source, asked, budget } = open({ end: 100n });
    const leaving = new AbortController();
    const first = source.next(0n, leaving.signal);
    await settled();
    leaving.abort();
    await expect(first).rejects.toMatchObject({ code: 'KAFKA_CLOSED' });
    expect(asked[0]?.signal?.aborted).toBe(true);
    expect(budget.used).toBe(0);
  });

  it('a range that is not the one asked for is fetched anew', async () => {
    const { source, asked, answer, budget } = open({ end: 100n });
    const first = source.next(0n, never);
    await answer();
    await first;
    await answer();
    source.accepted();
    const other = source.next(50n, never);
    await answer();
    expect((await other).nextOffset).toBe(60n);
    expect(asked.map(({ offset }) => offset)).toEqual([0n, 10n, 50n, 60n]);
    source.close();
    await settled();
    expect(budget.used).toBe(0);
  });
});
