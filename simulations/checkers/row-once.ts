/** `row.once`: no statement sees a row twice, nor its value summed up twice. */
import { type Checker, type Facts, InvariantBroken } from './checker.ts';

export function rowOnce(_facts: Facts): Checker {
  const id = 'row.once';
  return {
    id,
    snapshot({ table, ids, values }) {
      const seen = new Set<string>();
      ids.forEach((one, i) => {
        // `p<partition>r<n>` stands beside n.
        const expected = table === 'loaded' ? one.slice(one.indexOf('r') + 1) : values[i];
        if (values[i] === expected) return;
        throw new InvariantBroken(id, `row ${one} has the value ${values[i]}`);
      });
      for (const one of ids) {
        if (seen.has(one)) throw new InvariantBroken(id, `row ${one} of ${table} is there twice`);
        seen.add(one);
      }
    },
  };
}
