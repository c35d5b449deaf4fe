import { describe, expect, it } from 'vitest';
import { isBadId, sumBelow } from './messages.ts';
import { median, quantile, round } from './report.ts';
import { variants } from './variants.ts';

describe('figures', () => {
  it.each([
    { name: 'none', values: [], is: 0 },
    { name: 'one', values: [3], is: 3 },
    { name: 'by number, not by text', values: [100, 9, 20], is: 20 },
  ])('median of $name', ({ values, is }) => expect(median(values)).toBe(is));

  it('the last is the highest share', () => {
    expect(quantile([3, 1, 2], 1)).toBe(3);
    expect(round(1.2345)).toBe(1.23);
  });
});

describe('what must be in the table', () => {
  it('plain: every id once', () => {
    expect(variants.plain.expected(4)).toEqual({ n: '4', d: '4', s: String(sumBelow(4)) });
  });

  it('columns: neither the bad ones nor those that WHERE leaves out', () => {
    const ids = Array.from({ length: 422 }, (_, id) => id).filter(
      (id) => !isBadId(id) && id % 211 < 200,
    );
    const sum = ids.reduce((total, id) => total + id, 0);
    const n = String(ids.length);
    expect(variants.columns.expected(422)).toEqual({ n, d: n, s: String(sum) });
  });

  it('aggregate: one row for each key', () => {
    expect(variants.aggregate.expected(3)).toEqual({ n: '3', d: '3', s: '3' });
  });
});
