import { describe, expect, it } from 'vitest';
import { type AnyEventObject, initialTransition, transition } from 'xstate';
import { brokerWatcherMachine } from './broker-watcher.ts';
import { watchLocatorMachine } from './watch-locator.ts';

const done = (machine: string, state: string, output: unknown = undefined): AnyEventObject => ({
  type: `xstate.done.actor.0.${machine}.${state}`,
  output,
});
const failed = (machine: string, state: string): AnyEventObject => ({
  type: `xstate.error.actor.0.${machine}.${state}`,
  error: new Error('fault'),
});
const timer = (delay: string, machine: string, state: string): AnyEventObject => ({
  type: `xstate.after.${delay}.${machine}.${state}`,
});

const W = 'broker-watcher';
const waited = (asked: number, found: boolean, refused: boolean) =>
  done(W, 'waiting', { asked, found, refused });

describe('broker-watcher', () => {
  const input = { broker: 1, lane: 'long' as const };
  const events = [
    { type: 'watch.changed' },
    waited(0, false, false),
    waited(3, false, false),
    waited(3, true, false),
    waited(3, true, true),
    failed(W, 'waiting'),
    done(W, 'reporting'),
    failed(W, 'reporting'),
    timer('backoffMs', W, 'unheard'),
    timer('restMs', W, 'pausing'),
    timer('backoffMs', W, 'backingOff'),
    done(W, 'locating'),
    failed(W, 'locating'),
    done(W, 'telling'),
    failed(W, 'telling'),
  ];
  const at = (value: string, context: object = {}) =>
    brokerWatcherMachine.resolveState({
      value,
      context: { ...input, tries: 0, isChanged: false, restMs: 2, ...context },
    });

  /** What an event of these leads to, by state: every walk of so many steps. */
  const walk = (
    state: ReturnType<typeof at>,
    depth: number,
    visit: (from: typeof state, event: AnyEventObject, to: typeof state) => void,
  ): void => {
    if (depth === 0) return;
    for (const event of events) {
      const [next] = transition(brokerWatcherMachine, state, event as never);
      if (next.value === state.value && next.context.isChanged === state.context.isChanged)
        continue;
      visit(state, event, next);
      walk(next, depth - 1, visit);
    }
  };

  it('W3: no state is final, and each but resting goes on by itself', () => {
    const onward = new Set<unknown>();
    const seen = new Set<unknown>();
    walk(at('waiting'), 5, (from, event, to) => {
      expect(to.status).toBe('active');
      seen.add(to.value);
      if (event.type.startsWith('xstate.')) onward.add(from.value);
    });
    expect([...seen].filter((value) => value !== 'resting' && !onward.has(value))).toEqual([]);
    expect(seen.size).toBeGreaterThanOrEqual(7);
  });

  it('W2: no request is made before what was found is told', () => {
    let made = 0;
    const owed = (state: ReturnType<typeof at>, isOwed: boolean, depth: number): void => {
      if (depth === 0) return;
      for (const event of events) {
        const [next] = transition(brokerWatcherMachine, state, event as never);
        if (next.value === state.value) continue;
        let is = isOwed;
        if (event.type === `xstate.done.actor.0.${W}.waiting`) is = event.output.found;
        if (/^xstate\.done.*(reporting|telling)$/.test(event.type)) is = false;
        if (next.value === 'waiting') {
          expect(is).toBe(false);
          made += 1;
        }
        owed(next, is, depth - 1);
      }
    };
    owed(at('waiting'), false, 6);
    expect(made).toBeGreaterThan(3);
  });

  it.each([
    {
      name: 'rests where there is nothing to ask for',
      event: waited(0, false, false),
      to: 'resting',
    },
    { name: 'tells what it found', event: waited(3, true, false), to: 'reporting' },
    { name: 'goes on when the time was over', event: waited(3, false, false), to: 'pausing' },
    {
      name: 'looks for the leader of what was refused',
      event: waited(3, true, true),
      to: 'backingOff',
    },
    { name: 'and when the broker is gone', event: failed(W, 'waiting'), to: 'backingOff' },
  ])('$name', ({ event, to }) => {
    expect(transition(brokerWatcherMachine, at('waiting'), event as never)[0].value).toBe(to);
  });

  it('W1: what comes while a request waits is asked for afterwards, never beside it', () => {
    const [later] = transition(brokerWatcherMachine, at('waiting'), { type: 'watch.changed' });
    expect(later.value).toBe('waiting');
    const [next] = transition(brokerWatcherMachine, later, waited(0, false, false) as never);
    expect(next.value).toBe('waiting');
  });

  it('thousands of partitions are asked for ten times a second at the most', () => {
    const [state] = transition(
      brokerWatcherMachine,
      at('waiting'),
      waited(5_000, true, false) as never,
    );
    expect(state.context.restMs).toBe(100);
  });
});

describe('watch-locator', () => {
  const L = 'watch-locator';
  const at = (value: string, tries = 0) =>
    watchLocatorMachine.resolveState({
      value,
      context: { refreshMs: 10_000, tries, isWanted: false, all: false },
    });

  it.each([
    { name: 'asks at once', from: 'resting', event: { type: 'locate.wanted' }, to: 'locating' },
    {
      name: 'L2: asks anew',
      from: 'resting',
      event: timer('refreshMs', L, 'resting'),
      to: 'locating',
    },
    { name: 'rests', from: 'locating', event: done(L, 'locating', { left: 0 }), to: 'resting' },
    {
      name: 'L1: some are left',
      from: 'locating',
      event: done(L, 'locating', { left: 1 }),
      to: 'backingOff',
    },
    { name: 'L1: no answer', from: 'locating', event: failed(L, 'locating'), to: 'backingOff' },
    {
      name: 'L1: again',
      from: 'backingOff',
      event: timer('backoffMs', L, 'backingOff'),
      to: 'locating',
    },
  ])('$name: $from → $to', ({ from, event, to }) => {
    expect(transition(watchLocatorMachine, at(from), event as never)[0].value).toBe(to);
  });

  it('L1: what is wanted during a request is asked for after it', () => {
    const [wanted] = transition(watchLocatorMachine, at('locating'), { type: 'locate.wanted' });
    const [next] = transition(
      watchLocatorMachine,
      wanted,
      done(L, 'locating', { left: 0 }) as never,
    );
    expect(next.value).toBe('locating');
    expect(next.context.isWanted).toBe(false);
  });

  it('starts at rest', () => {
    expect(initialTransition(watchLocatorMachine, { refreshMs: 1 })[0].value).toBe('resting');
  });
});
