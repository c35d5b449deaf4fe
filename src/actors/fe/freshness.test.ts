import { describe, expect, it } from 'vitest';
import { FreshnessMeter } from './freshness.ts';

const NOW = 1_700_000_000_000;

describe('FreshnessMeter', () => {
  it('nothing visible: nothing to say', () => {
    const meter = new FreshnessMeter();
    expect(meter.view(NOW)).toBeNull();
    meter.note([], 10, NOW);
    meter.note([NOW], 0, NOW);
    expect(meter.view(NOW)).toBeNull();
  });

  it('quantiles by rows, within 5 %', () => {
    const meter = new FreshnessMeter();
    meter.note([NOW - 100], 98, NOW);
    meter.note([NOW - 1_000], 2, NOW);
    const view = meter.view(NOW);
    expect(view).toMatchObject({ rows: 100, maxMs: 1_000 });
    expect(view?.p50Ms).toBeGreaterThanOrEqual(100);
    expect(view?.p50Ms).toBeLessThan(106);
    expect(view?.p99Ms).toBe(1_000);
  });

  it.each([
    { name: 'a clock that is ahead', age: -50, max: 0 },
    { name: 'visible in the same millisecond', age: 0, max: 0 },
    { name: 'a backlog of a day', age: 86_400_000, max: 86_400_000 },
  ])('$name', ({ age, max }) => {
    const meter = new FreshnessMeter();
    meter.note([NOW - age], 1, NOW);
    expect(meter.view(NOW)?.maxMs).toBe(max);
  });

  it('a minute later it is forgotten, bit by bit', () => {
    const meter = new FreshnessMeter();
    meter.note([NOW - 900], 1, NOW);
    meter.note([NOW + 29_995], 1, NOW + 30_000);
    expect(meter.view(NOW + 30_000)).toMatchObject({ rows: 2, maxMs: 900 });
    expect(meter.view(NOW + 65_000)).toMatchObject({ rows: 1 });
    expect(meter.view(NOW + 120_000)).toBeNull();
  });
});
