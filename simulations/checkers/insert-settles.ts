/**
 * `unknown.settles`, `abort.clean`, `label.once` for clients: an INSERT whose client was told OK is there for good, one that
 * was refused never is, and an unknown one is settled by its label, for every observer alike.
 */
import { type Checker, type Facts, InvariantBroken } from './checker.ts';

export function insertSettles(_facts: Facts): Checker {
  const id = 'unknown.settles';
  const rows = new Map<string, readonly string[]>();
  /** Label → when OK was answered. */
  const there = new Map<string, number>();
  /** Every try that was made has been refused. */
  const refused = new Set<string>();
  const unknown = new Set<string>();
  /** Asked again after they were refused. */
  const tried = new Set<string>();
  return {
    id,
    answer({ label, ids, kind, at }) {
      rows.set(label, ids);
      const wasRefused = refused.delete(label);
      switch (kind) {
        case 'asked':
          if (wasRefused) tried.add(label);
          return;
        case 'unknown':
          unknown.add(label);
          return;
        case 'refused':
          if (there.has(label)) {
            throw new InvariantBroken(id, `${label} was committed, and is refused now`);
          }
          if (!unknown.has(label)) refused.add(label);
          return;
        case 'used':
          if (tried.has(label) && !unknown.has(label)) {
            throw new InvariantBroken(id, `${label} is used, and all its tries were refused`);
          }
          return;
        case 'committed':
          return;
        // Committed only, it is not visible yet: OK alone promises the rows to the next statement.
        case 'ok':
          there.set(label, at);
      }
    },
    snapshot({ table, ids, sentAt }) {
      if (table !== 'inserted') return;
      const seen = new Set(ids);
      for (const [label, expected] of rows) {
        const found = expected.filter((one) => seen.has(one)).length;
        if (found !== 0 && found !== expected.length) {
          throw new InvariantBroken(
            'read.atomic',
            `${label} shows ${found} of its ${expected.length} rows`,
          );
        }
        if ((there.get(label) ?? sentAt) < sentAt && found === 0) {
          throw new InvariantBroken(
            'ack.durable',
            `${label} was answered OK, its rows are missing`,
          );
        }
        if (refused.has(label) && found > 0) {
          throw new InvariantBroken('abort.clean', `${label} was refused, its rows are there`);
        }
      }
    },
  };
}
