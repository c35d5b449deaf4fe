/** `row.once`: no statement sees a row twice. */
import { type Checker, type Facts, InvariantBroken } from './checker.ts';

export function rowOnce(_facts: Facts): Checker {
  const id = 'row.once';
  return {
    id,
    snapshot({ table, ids }) {
      const seen = new Set<string>();
      for (const one of ids) {
        if (seen.has(one)) throw new InvariantBroken(id, `row ${one} of ${table} is there twice`);
        seen.add(one);
      }
    },
  };
}
