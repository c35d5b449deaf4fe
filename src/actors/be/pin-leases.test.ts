import { describe, expect, it } from 'vitest';
import { LoadError } from '../../base/errors.ts';
import { silentLog } from '../../base/log.ts';
import { PinLeases } from './pin-leases.ts';

/** Asks whenever the test says so; the coordinator answers, or nobody does. */
function setUp(answer: () => readonly string[]) {
  const timers = new Set<() => void>();
  const unpinned: string[] = [];
  const asked: string[] = [];
  const leases = new PinLeases({
    log: silentLog,
    clock: {
      now: () => 0,
      setTimeout: (fn) => {
        timers.add(fn);
        return fn;
      },
      clearTimeout: (fn) => timers.delete(fn),
    },
    store: { unpin: (queryId: string) => unpinned.push(queryId) } as never,
    bus: {
      request: async (subject: string) => {
        asked.push(subject);
        return { alive: answer() };
      },
    } as never,
  });
  const pass = async () => {
    const due = [...timers];
    timers.clear();
    for (const fn of due) fn();
    for (let i = 0; i < 10; i++) await Promise.resolve();
  };
  return { leases, unpinned, asked, pass, timers };
}

const coordinator = { beId: 'b2', incarnation: 'i7' };
const nobody = () => {
  throw new LoadError('BUS_NO_RESPONDER', 'nobody answers', { transient: true });
};

describe('V3: pins for queries of others', () => {
  it('stay while the coordinator runs the query', async () => {
    const { leases, unpinned, asked, pass } = setUp(() => ['q1']);
    leases.hold('q1', coordinator);
    for (let i = 0; i < 5; i++) await pass();
    expect(unpinned).toEqual([]);
    expect(asked).toHaveLength(5);
    expect(asked[0]).toContain('i7');
  });

  it('end with a query that it does not run: an unpin was lost', async () => {
    const { leases, unpinned, pass, timers } = setUp(() => ['q2']);
    leases.hold('q1', coordinator);
    leases.hold('q2', coordinator);
    await pass();
    expect(unpinned).toEqual(['q1']);
    leases.release('q2');
    await pass();
    expect(unpinned).toEqual(['q1', 'q2']);
    expect(timers.size).toBe(0);
  });

  it('end with a coordinator that is gone, not at the first answer that is missed', async () => {
    let gone = true;
    const { leases, unpinned, pass } = setUp(() => (gone ? nobody() : ['q1']));
    leases.hold('q1', coordinator);
    await pass();
    await pass();
    expect(unpinned).toEqual([]);
    await pass();
    expect(unpinned).toEqual(['q1']);
    gone = false;
    leases.hold('q1', coordinator);
    await pass();
    expect(unpinned).toEqual(['q1']);
  });

  it('end with this BE', () => {
    const { leases, unpinned, timers } = setUp(() => []);
    leases.hold('q1', coordinator);
    leases.close();
    expect(unpinned).toEqual(['q1']);
    expect(timers.size).toBe(0);
  });
});
