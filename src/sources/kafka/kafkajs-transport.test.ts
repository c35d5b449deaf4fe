import { expect, it } from 'vitest';
import { behindFirst } from './kafkajs-transport.ts';

it('who doubts an answer comes to each of the brokers, whichever answered', () => {
  const asked: string[] = [];
  let order: readonly (readonly [string, number])[] = [
    ['b', 2],
    ['a', 1],
    ['c', 3],
  ];
  for (let i = 0; i < 4; i++) {
    order = behindFirst(order);
    const [first] = order;
    asked.push(first?.[0] ?? '');
    // The one that answered is first afterwards, the others as they were.
    order = [...order].sort(([a], [b]) => Number(b === first?.[0]) - Number(a === first?.[0]));
  }
  expect(asked).toEqual(['c', 'a', 'b', 'c']);
});

it.each([
  { name: 'none', from: [], to: [] },
  { name: 'one', from: ['a'], to: ['a'] },
  { name: 'two', from: ['b', 'a'], to: ['a', 'b'] },
])('$name', ({ from, to }) => {
  expect(behindFirst(from.map((name) => [name, 0] as const)).map(([name]) => name)).toEqual(to);
});
