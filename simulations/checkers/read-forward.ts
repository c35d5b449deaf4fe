/** `ack.durable` for readers: what one statement saw, every later one sees. */
import { type Checker, type Facts, InvariantBroken } from './checker.ts';

export function readForward(_facts: Facts): Checker {
  const id = 'ack.durable';
  /** Row → when it was seen first. */
  const seen = { loaded: new Map<string, number>(), inserted: new Map<string, number>() };
  return {
    id,
    snapshot({ table, ids, sentAt, seenAt }) {
      const now = new Set(ids);
      for (const [one, at] of seen[table]) {
        if (at > sentAt || now.has(one)) continue;
        throw new InvariantBroken(id, `row ${one} was visible, and is no more`);
      }
      for (const one of ids) if (!seen[table].has(one)) seen[table].set(one, seenAt);
    },
  };
}
