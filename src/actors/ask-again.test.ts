import { expect, it } from 'vitest';
import type { Clock } from '../base/clock.ts';
import { LoadError } from '../base/errors.ts';
import { askAgain } from './ask-again.ts';

/** A sleep is over at once, and is counted. */
function countingClock(): Clock & { sleptMs: number } {
  const clock = {
    sleptMs: 0,
    now: () => 0,
    setTimeout: (fn: () => void, delayMs: number) => {
      clock.sleptMs += delayMs;
      queueMicrotask(fn);
    },
    clearTimeout: () => {},
  };
  return clock;
}

async function run(timeoutMs: number, answers: (string | null)[]) {
  const clock = countingClock();
  const waits: number[] = [];
  const answer = await askAgain(timeoutMs, clock, async (waitMs) => {
    waits.push(waitMs);
    const code = answers.length > 1 ? answers.shift() : answers[0];
    if (code) throw new LoadError(code, code);
    return 'answer';
  }).catch((error: LoadError) => error.code);
  return { answer, waits, sleptMs: clock.sleptMs };
}

it('silence is asked again until the time is over', async () => {
  expect(await run(12_000, ['BUS_TIMEOUT', 'BUS_TIMEOUT', null])).toEqual({
    answer: 'answer',
    waits: [5_000, 5_000, 2_000],
    sleptMs: 0,
  });
  expect(await run(12_000, ['BUS_TIMEOUT'])).toMatchObject({
    answer: 'BUS_TIMEOUT',
    waits: [5_000, 5_000, 2_000],
  });
});

it('a BE that is registering is asked again soon, one that does not come to an end is not', async () => {
  expect(await run(60_000, ['NOT_REGISTERED', 'NOT_REGISTERED', null])).toMatchObject({
    answer: 'answer',
    sleptMs: 100,
  });
  expect(await run(60_000, ['NOT_REGISTERED'])).toMatchObject({
    answer: 'NOT_REGISTERED',
    sleptMs: 5_000,
  });
  expect(await run(200, ['NOT_REGISTERED'])).toMatchObject({
    answer: 'NOT_REGISTERED',
    sleptMs: 200,
  });
});

it('another refusal is final', async () => {
  expect(await run(60_000, ['EPOCH_STALE'])).toMatchObject({ answer: 'EPOCH_STALE', sleptMs: 0 });
});
