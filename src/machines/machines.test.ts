import { describe, expect, it } from 'vitest';
import {
  type AnyEventObject,
  type AnyStateMachine,
  createActor,
  initialTransition,
  transition,
} from 'xstate';
import { getShortestPaths, getSimplePaths } from 'xstate/graph';
import { beNodeMachine } from './be-node.ts';
import { partitionConsumerMachine } from './partition-consumer.ts';
import { routineLoadJobMachine } from './routine-load-job.ts';
import { routineLoadTaskMachine } from './routine-load-task.ts';
import { txnMachine } from './txn.ts';

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

/** Every state value that a walk over these events can reach, with the events that led there. */
function walks(machine: AnyStateMachine, input: unknown, events: readonly AnyEventObject[]) {
  return getSimplePaths(machine, {
    input,
    events: () => events,
    serializeState: (state) => JSON.stringify(state.value),
  }).map((path) =>
    path.steps.map(({ state, event }) => ({ value: state.value, event: event.type })),
  );
}

const name = (value: unknown) => JSON.stringify(value);

describe('txn', () => {
  const input = { txnId: 1, attempt: 1, from: 'prepare' as const };
  const events = [
    { type: 'txn.cancel', cause: new Error('cancelled') },
    done('txn', 'PREPARE'),
    failed('txn', 'PREPARE'),
    done('txn', 'PREPARED', { kind: 'committed' }),
    done('txn', 'PREPARED', { kind: 'refused', cause: new Error('refused') }),
    done('txn', 'COMMITTED.publishing'),
    failed('txn', 'COMMITTED.publishing'),
    timer('backoffMs', 'txn', 'COMMITTED.retrying'),
    done('txn', 'aborting'),
    failed('txn', 'aborting'),
  ];

  it('T1: no walk leads from a commit to ABORTED', () => {
    const paths = walks(txnMachine, input, events);
    expect(paths.length).toBeGreaterThan(5);
    for (const steps of paths) {
      const committed = steps.findIndex(({ value }) => name(value).includes('COMMITTED'));
      if (committed < 0) continue;
      const later = steps.slice(committed).map(({ value }) => name(value));
      expect(later.filter((value) => value.includes('abort') || value.includes('ABORTED'))).toEqual(
        [],
      );
    }
  });

  it('T2: both ends are reached', () => {
    const ends = new Set(
      walks(txnMachine, input, events).map((steps) => name(steps.at(-1)?.value)),
    );
    expect(ends).toContain('"VISIBLE"');
    expect(ends).toContain('"ABORTED"');
  });

  it('T1: a cancel comes too late once the decision is asked for', () => {
    const state = txnMachine.resolveState({
      value: 'PREPARED',
      context: { ...input, tries: 0, cause: undefined },
    });
    const [next] = transition(txnMachine, state, { type: 'txn.cancel', cause: new Error('late') });
    expect(next.value).toBe('PREPARED');
  });

  it('a recovered transaction starts at publishing', () => {
    const [state] = initialTransition(txnMachine, { ...input, from: 'publish' });
    expect(state.value).toEqual({ COMMITTED: 'publishing' });
  });
});

describe('be-node', () => {
  const input = { beId: 'a' };
  const at = (value: 'absent' | 'alive' | 'lost', slotsUsed = 0) =>
    beNodeMachine.resolveState({
      value,
      context: { ...input, lostMs: 3_000, incarnation: 'i1', slotsUsed },
    });

  it.each([
    {
      name: 'N3: a late heart-beat does not bring it back',
      at: at('lost'),
      event: { type: 'be.beat', incarnation: 'i1' },
      to: 'lost',
    },
    {
      name: 'registering does',
      at: at('lost'),
      event: { type: 'be.registered', incarnation: 'i2', lostMs: 3_000 },
      to: 'alive',
    },
    {
      name: 'N2: silence loses it',
      at: at('alive', 2),
      event: timer('lostMs', 'be-node', 'alive'),
      to: 'lost',
    },
    {
      name: 'news of an older incarnation changes nothing',
      at: at('alive'),
      event: { type: 'be.gone', incarnation: 'i0' },
      to: 'alive',
    },
    {
      name: 'news of the present one loses it',
      at: at('alive'),
      event: { type: 'be.gone', incarnation: 'i1' },
      to: 'lost',
    },
  ] as const)('$name', ({ at: before, event, to }) => {
    const [next] = transition(beNodeMachine, before, event as never);
    expect(next.value).toBe(to);
  });

  it('N1: slots are counted, never below zero, and forgotten when it is lost', () => {
    const [taken] = transition(beNodeMachine, at('alive'), { type: 'slot.taken' });
    expect(taken.context.slotsUsed).toBe(1);
    const [freed] = transition(beNodeMachine, at('alive'), { type: 'slot.freed' });
    expect(freed.context.slotsUsed).toBe(0);
    const [lost] = transition(beNodeMachine, taken, { type: 'be.gone', incarnation: 'i1' });
    expect(lost.context.slotsUsed).toBe(0);
  });
});

describe('routine-load-task', () => {
  const input = {
    taskId: 't',
    jobId: 1,
    partitions: [0],
    delayMs: 0,
    message: null,
    intervalMs: 10_000,
  };
  const slot = { beId: 'a', incarnation: 'i1' };
  const events = [
    timer('delayMs', 'routine-load-task', 'resting'),
    timer('intervalMs', 'routine-load-task', 'waiting'),
    { type: 'task.data' },
    { type: 'task.idle', message: 'there is no new data' },
    { type: 'task.slot' },
    { type: 'task.drop' },
    done('routine-load-task', 'allocating', slot),
    failed('routine-load-task', 'allocating'),
    timer('1000', 'routine-load-task', 'queued'),
    done('routine-load-task', 'running', { kind: 'visible' }),
    failed('routine-load-task', 'running'),
  ];

  it('K1: no walk runs twice', () => {
    const paths = walks(routineLoadTaskMachine, input, events);
    expect(paths.some((steps) => steps.some(({ value }) => value === 'running'))).toBe(true);
    for (const steps of paths) {
      expect(steps.filter(({ value }) => value === 'running').length).toBeLessThanOrEqual(1);
    }
  });

  it('K2: it runs behind data and a slot only', () => {
    for (const steps of walks(routineLoadTaskMachine, input, events)) {
      const running = steps.findIndex(({ value }) => value === 'running');
      if (running < 0) continue;
      const before = steps.slice(0, running + 1).map(({ event }) => event);
      expect(before).toContain('task.data');
      expect(before).toContain('xstate.done.actor.0.routine-load-task.allocating');
    }
  });

  it('K3: an idle task is scheduled again after its interval, and waits on', () => {
    const [resting] = initialTransition(routineLoadTaskMachine, input);
    const waiting = timer('delayMs', 'routine-load-task', 'resting');
    const [first, actions] = transition(routineLoadTaskMachine, resting, waiting as never);
    expect([first.value, actions.map(({ type }) => type)]).toEqual([
      'waiting',
      expect.arrayContaining(['schedule']),
    ]);
    const again = timer('intervalMs', 'routine-load-task', 'waiting');
    const [next, more] = transition(routineLoadTaskMachine, first, again as never);
    expect([next.value, more.map(({ type }) => type)]).toEqual([
      'waiting',
      expect.arrayContaining(['schedule']),
    ]);
  });

  it('every state leads to the end', () => {
    const paths = getShortestPaths(routineLoadTaskMachine, {
      input,
      events: () => events as never,
      serializeState: (state) => JSON.stringify(state.value),
    });
    for (const { state } of paths) {
      const [next] = transition(routineLoadTaskMachine, state, { type: 'task.drop' });
      expect(next.value).toBe('ended');
    }
  });
});

describe('routine-load-job', () => {
  const input = { jobId: 1, state: 'NEED_SCHEDULE' as const, retryDelayMs: null };
  const facts = [
    { type: 'fact.scheduled' },
    { type: 'fact.unstable' },
    { type: 'fact.stable' },
    { type: 'fact.paused', retryDelayMs: null },
    { type: 'fact.paused', retryDelayMs: 1_000 },
    { type: 'fact.needSchedule' },
    { type: 'fact.stopped' },
    { type: 'fact.cancelled' },
    done('routine-load-job', 'NEED_SCHEDULE.scheduling'),
    failed('routine-load-job', 'NEED_SCHEDULE.scheduling'),
    timer('scheduleBackoffMs', 'routine-load-job', 'NEED_SCHEDULE.waiting'),
    timer('resumeMs', 'routine-load-job', 'PAUSED.backingOff'),
  ];
  const states = () =>
    getShortestPaths(routineLoadJobMachine, {
      input,
      events: () => facts as never,
      serializeState: (state) => JSON.stringify(state.value),
    });

  it('J1: nothing leads out of STOPPED and CANCELLED', () => {
    for (const fact of ['fact.stopped', 'fact.cancelled'] as const) {
      const actor = createActor(routineLoadJobMachine, { input }).start();
      actor.send({ type: fact });
      const { value, status } = actor.getSnapshot();
      expect([value, status]).toEqual([fact === 'fact.stopped' ? 'STOPPED' : 'CANCELLED', 'done']);
      for (const event of facts) actor.send(event as never);
      expect(actor.getSnapshot().value).toBe(value);
    }
  });

  it('every live state can be stopped, cancelled and paused', () => {
    for (const { state } of states()) {
      if (state.status === 'done') continue;
      const [stopped] = transition(routineLoadJobMachine, state, { type: 'fact.stopped' });
      expect(stopped.value).toBe('STOPPED');
      const [paused] = transition(routineLoadJobMachine, state, {
        type: 'fact.paused',
        retryDelayMs: null,
      });
      expect(paused.value).toEqual({ PAUSED: 'paused' });
    }
  });

  it('J4: only a pause with a retry time backs off', () => {
    const [state] = initialTransition(routineLoadJobMachine, input);
    const [lasting] = transition(routineLoadJobMachine, state, {
      type: 'fact.paused',
      retryDelayMs: null,
    });
    expect(lasting.value).toEqual({ PAUSED: 'paused' });
    const [passing] = transition(routineLoadJobMachine, state, {
      type: 'fact.paused',
      retryDelayMs: 10,
    });
    expect(passing.value).toEqual({ PAUSED: 'backingOff' });
  });

  it.each([
    { state: 'RUNNING', to: { NEED_SCHEDULE: 'scheduling' } },
    { state: 'UNSTABLE', to: { NEED_SCHEDULE: 'scheduling' } },
    { state: 'PAUSED', to: { PAUSED: 'paused' } },
    { state: 'STOPPED', to: 'STOPPED' },
    { state: 'CANCELLED', to: 'CANCELLED' },
  ] as const)('J2: facts of $state start it there, tasks being no facts', ({ state, to }) => {
    const [next] = initialTransition(routineLoadJobMachine, { ...input, state });
    expect(next.value).toEqual(to);
  });
});

describe('partition-consumer', () => {
  const input = { topic: 't', partition: 0, from: '5' };
  const machine = 'partition-consumer';

  function run(...events: AnyEventObject[]) {
    let [state] = initialTransition(partitionConsumerMachine, input);
    for (const event of events)
      [state] = transition(partitionConsumerMachine, state, event as never);
    return state;
  }

  it.each([
    {
      name: 'P1: a batch that was fetched moves nothing',
      events: [done(machine, 'fetching', { next: '9', atEnd: true })],
      value: 'delivering',
      position: '5',
    },
    {
      name: 'P1: a batch that was accepted moves the position',
      events: [
        done(machine, 'fetching', { next: '9', atEnd: false }),
        done(machine, 'delivering', { limit: false }),
      ],
      value: 'fetching',
      position: '9',
    },
    {
      name: 'P3: it ends at the end of the log',
      events: [
        done(machine, 'fetching', { next: '9', atEnd: true }),
        done(machine, 'delivering', { limit: false }),
      ],
      value: 'ended',
      position: '9',
    },
    {
      name: 'P3: it ends at a limit',
      events: [
        done(machine, 'fetching', { next: '9', atEnd: false }),
        done(machine, 'delivering', { limit: true }),
      ],
      value: 'ended',
      position: '9',
    },
    {
      name: 'P1: a batch that failed moves nothing',
      events: [
        done(machine, 'fetching', { next: '9', atEnd: false }),
        failed(machine, 'delivering'),
      ],
      value: 'failed',
      position: '5',
    },
    {
      name: 'P1: a stop while a batch is accepted waits for it',
      events: [done(machine, 'fetching', { next: '9', atEnd: false }), { type: 'consumer.stop' }],
      value: 'delivering',
      position: '5',
    },
    {
      name: 'a stop while fetching ends it where it was',
      events: [{ type: 'consumer.stop' }],
      value: 'ended',
      position: '5',
    },
  ])('$name', ({ events, value, position }) => {
    const state = run(...events);
    expect(state.value).toBe(value);
    expect(state.context.position).toBe(position);
  });
});
