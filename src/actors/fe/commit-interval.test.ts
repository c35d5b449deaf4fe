import { describe, expect, it } from 'vitest';
import { commitIntervalMs, restMs } from './commit-interval.ts';

describe('commitIntervalMs', () => {
  it.each([
    { name: 'no rowsets known', minMs: 100, rowsets: 0, is: 100 },
    { name: 'few rowsets', minMs: 100, rowsets: 100, is: 100 },
    { name: 'twice as many', minMs: 100, rowsets: 200, is: 400 },
    { name: 'far behind: the longest wait of a row', minMs: 100, rowsets: 2_000, is: 10_000 },
    { name: 'a floor above the longest wait is kept', minMs: 60_000, rowsets: 0, is: 60_000 },
    { name: 'no floor, no growth', minMs: 0, rowsets: 2_000, is: 0 },
  ])('$name', ({ minMs, rowsets, is }) => {
    expect(commitIntervalMs(minMs, rowsets, 10_000)).toBe(is);
  });
});

describe('restMs', () => {
  it.each([
    { name: 'from begin to begin', beginMs: 1_000, nowMs: 1_030, is: 70 },
    { name: 'a long transaction has had its rest', beginMs: 1_000, nowMs: 9_000, is: 0 },
    { name: 'a clock that was set back', beginMs: 9_000, nowMs: 1_000, is: 100 },
    { name: 'never begun', beginMs: null, nowMs: 5, is: 100 },
  ])('$name', ({ beginMs, nowMs, is }) => expect(restMs(100, beginMs, nowMs)).toBe(is));
});
