import { expect, it } from 'vitest';
import { TabletNumbers } from './tablet-numbers.ts';

it.each([
  { name: 'neighbours', ids: [7, 8, 9, 7] },
  { name: 'two that share a place', ids: [1, 65, 1, 65, 129, 1] },
  { name: 'large ones', ids: [2 ** 40, 2 ** 40 + 64, 2 ** 33, 2 ** 40] },
])('numbers and counts: $name', ({ ids }) => {
  const tablets = new TabletNumbers();
  const numbers = [
    ...tablets.numbersOf(Float64Array.from(ids.slice(0, 2))),
    ...tablets.numbersOf(Float64Array.from(ids.slice(2))),
  ];
  const known = [...tablets.ids()];
  expect(numbers.map((number) => Number(known[number]))).toEqual(ids);
  const distinct = [...new Set(ids)].sort((a, b) => a - b);
  expect(tablets.counts()).toEqual(
    distinct.map((tabletId) => ({
      tabletId,
      rows: ids.filter((id) => id === tabletId).length,
    })),
  );
});
