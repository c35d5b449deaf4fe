import { expect, it } from 'vitest';
import { BytesBudget } from './bytes-budget.ts';

const signal = new AbortController().signal;
/** What has happened when all that could run did. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

it('gives no more than there is, in the order of asking', async () => {
  const budget = new BytesBudget(10);
  const first = await budget.take(6, signal);
  const order: string[] = [];
  const large = budget.take(8, signal).then((grant) => {
    order.push('large');
    return grant;
  });
  const small = budget.take(2, signal).then((grant) => {
    order.push('small');
    return grant;
  });
  await settled();
  // The small one would fit, but the large one would then wait for ever.
  expect({ order, used: budget.used }).toEqual({ order: [], used: 6 });
  first.free();
  first.free();
  await Promise.all([large, small]);
  expect({ order, used: budget.used }).toEqual({ order: ['large', 'small'], used: 10 });
});

it('who wants more than all gets all', async () => {
  const budget = new BytesBudget(10);
  const grant = await budget.take(50, signal);
  expect(budget.used).toBe(10);
  grant.free();
  expect(budget.used).toBe(0);
});

it('who gives up waiting lets the others pass', async () => {
  const budget = new BytesBudget(10);
  const held = await budget.take(6, signal);
  const leaving = new AbortController();
  const gone = budget.take(8, leaving.signal);
  const next = budget.take(4, signal);
  leaving.abort(new Error('gone'));
  await expect(gone).rejects.toThrow('gone');
  await next;
  expect(budget.used).toBe(10);
  held.free();
  expect(budget.used).toBe(4);
  await expect(budget.take(1, leaving.signal)).rejects.toThrow('gone');
});
