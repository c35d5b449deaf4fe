/**
 * Routine-load job. Facts come first: a statement or an automatic change is an entry of the journal, and its
 * entry moves this machine (`fact.*`). Effects ask for entries; they never move the machine by themselves.
 *
 *   J1. STOPPED and CANCELLED are final.
 *   J2. Tasks exist in RUNNING alone; leaving it drops them, and their late commits are refused by epoch (C1).
 *   J3. A passing cause never leads to a silent stand-still: it is tried again with a growing wait, and the
 *       reason with the next try stands among the facts (UNSTABLE, or PAUSED with a time).
 *   J4. A job paused by a user, by error rows or by a lasting cause is never resumed by itself.
 */
import { assign, setup } from 'xstate';
import { effect } from './effect.ts';

export interface JobInput {
  readonly jobId: number;
  /** The state among the facts: RUNNING and UNSTABLE start as NEED_SCHEDULE, as tasks are no facts. */
  readonly state: 'NEED_SCHEDULE' | 'RUNNING' | 'UNSTABLE' | 'PAUSED' | 'STOPPED' | 'CANCELLED';
  readonly retryDelayMs: number | null;
}

export interface JobContext extends JobInput {
  readonly tries: number;
}

export type JobEvent =
  | { type: 'fact.scheduled' }
  | { type: 'fact.unstable' }
  | { type: 'fact.stable' }
  | { type: 'fact.paused'; retryDelayMs: number | null }
  | { type: 'fact.needSchedule' }
  | { type: 'fact.stopped' }
  | { type: 'fact.cancelled' }
  /** BEs or configuration changed: the number of tasks may be another. */
  | { type: 'job.reconsider' };

const whole = ({ context }: { context: JobContext }): JobContext => context;

export const routineLoadJobMachine = setup({
  types: {} as { input: JobInput; context: JobContext; events: JobEvent },
  actors: {
    /** Looks up partitions and offsets, divides, asks for the entry `job.scheduled` (or a pause). */
    schedule: effect<void, JobContext>('schedule'),
    /** Asks for a new division where it would differ. */
    reconsider: effect<void, JobContext>('reconsider'),
    /** Looks for data and new partitions while the job runs; ends never. */
    watch: effect<void, JobContext>('watch'),
    /** Asks for NEED_SCHEDULE after a passing cause. */
    autoResume: effect<void, JobContext>('autoResume'),
  },
  actions: {
    startTasks: () => {},
    dropTasks: () => {},
    countTry: assign({ tries: ({ context }) => context.tries + 1 }),
    resetTries: assign({ tries: 0 }),
    noteRetry: assign({
      retryDelayMs: ({ event }) => (event.type === 'fact.paused' ? event.retryDelayMs : null),
    }),
  },
  guards: {
    wasPaused: ({ context }) => context.state === 'PAUSED',
    wasStopped: ({ context }) => context.state === 'STOPPED',
    wasCancelled: ({ context }) => context.state === 'CANCELLED',
    resumesItself: ({ context }) => context.retryDelayMs !== null,
  },
  delays: {
    scheduleBackoffMs: ({ context }) => Math.min(250 * 2 ** context.tries, 10_000),
    resumeMs: ({ context }) => context.retryDelayMs ?? 0,
  },
}).createMachine({
  id: 'routine-load-job',
  context: ({ input }) => ({ ...input, tries: 0 }),
  initial: 'starting',
  on: {
    'fact.stopped': '.STOPPED',
    'fact.cancelled': '.CANCELLED',
    'fact.paused': { target: '.PAUSED', actions: 'noteRetry', reenter: true },
    'fact.needSchedule': { target: '.NEED_SCHEDULE', actions: 'resetTries', reenter: true },
  },
  states: {
    starting: {
      always: [
        { guard: 'wasPaused', target: 'PAUSED' },
        { guard: 'wasStopped', target: 'STOPPED' },
        { guard: 'wasCancelled', target: 'CANCELLED' },
        { target: 'NEED_SCHEDULE' },
      ],
    },
    NEED_SCHEDULE: {
      initial: 'scheduling',
      on: { 'fact.scheduled': { target: 'RUNNING', actions: 'resetTries' } },
      states: {
        scheduling: {
          invoke: { src: 'schedule', input: whole, onDone: 'asked', onError: 'waiting' },
        },
        // The entry was queued; it moves the machine. A refused one (an ALTER was faster) is asked for anew.
        asked: { after: { scheduleBackoffMs: 'waiting' } },
        waiting: { entry: 'countTry', after: { scheduleBackoffMs: 'scheduling' } },
      },
    },
    RUNNING: {
      entry: 'startTasks',
      exit: 'dropTasks',
      // A new division replaces the tasks.
      on: { 'fact.scheduled': { target: 'RUNNING', reenter: true } },
      type: 'parallel',
      states: {
        health: {
          initial: 'STABLE',
          states: {
            STABLE: { on: { 'fact.unstable': 'UNSTABLE' } },
            UNSTABLE: { on: { 'fact.stable': 'STABLE' } },
          },
        },
        watching: {
          initial: 'looking',
          states: {
            looking: {
              invoke: { src: 'watch', input: whole, onDone: 'resting', onError: 'resting' },
            },
            resting: { after: { 1000: 'looking' } },
          },
        },
        division: {
          initial: 'kept',
          states: {
            kept: { on: { 'job.reconsider': 'reconsidering' } },
            reconsidering: {
              on: { 'job.reconsider': { target: 'reconsidering', reenter: true } },
              invoke: { src: 'reconsider', input: whole, onDone: 'kept', onError: 'kept' },
            },
          },
        },
      },
    },
    PAUSED: {
      initial: 'deciding',
      states: {
        deciding: {
          always: [{ guard: 'resumesItself', target: 'backingOff' }, { target: 'paused' }],
        },
        // J4: only the facts know whether the cause was a passing one.
        backingOff: { after: { resumeMs: 'resuming' } },
        resuming: {
          invoke: { src: 'autoResume', input: whole, onDone: 'paused', onError: 'backingOff' },
        },
        paused: {},
      },
    },
    STOPPED: { type: 'final' },
    CANCELLED: { type: 'final' },
  },
});
