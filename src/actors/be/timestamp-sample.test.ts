import { describe, expect, it } from 'vitest';
import { TimestampSample } from './timestamp-sample.ts';

const of = (...batches: number[][]) => {
  const sample = new TimestampSample();
  for (const batch of batches) sample.add(Float64Array.from(batch), batch.length);
  return sample.quantiles();
};

describe('TimestampSample', () => {
  it.each([
    { name: 'nothing', batches: [], ends: [undefined, undefined], length: 0 },
    {
      name: 'times that are not known',
      batches: [[-1, -1]],
      ends: [undefined, undefined],
      length: 0,
    },
    { name: 'one record', batches: [[5]], ends: [5, 5], length: 33 },
    {
      name: 'the oldest and the newest stay',
      batches: [
        [7, 9],
        [3, 4],
      ],
      ends: [3, 9],
      length: 33,
    },
  ])('$name', ({ batches, ends, length }) => {
    const found = of(...batches);
    expect([found[0], found.at(-1), found.length]).toEqual([...ends, length]);
  });

  it('each stands for as many records', () => {
    const found = of(Array(900).fill(100), Array(100).fill(200));
    expect(found.filter((ms) => ms === 100).length).toBeGreaterThan(28);
    expect(found.filter((ms) => ms === 200).length).toBeGreaterThanOrEqual(3);
  });

  it('a long task keeps the span, in little memory', () => {
    const sample = new TimestampSample();
    for (let i = 0; i < 50_000; i++) sample.add(Float64Array.of(i, i), 2);
    const found = sample.quantiles();
    expect([found[0], found.at(-1)]).toEqual([0, 49_999]);
    expect(found[16]).toBeGreaterThan(15_000);
    expect(found[16]).toBeLessThan(35_000);
  });
});
