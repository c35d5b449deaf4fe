/**
 * One task of a routine-load job: one range of its partitions, one transaction. When it ends, the job puts a new
 * one in its place with an id of its own; a task is never used twice.
 *
 *   K1. A task runs at most one transaction.
 *   K2. It runs only when data is there, and only with a slot; the slot is given back on every path.
 *   K3. Whatever it waits for stands in `message`.
 */
import { assign, setup } from 'xstate';
import { effect } from './effect.ts';

export interface TaskInput {
  readonly taskId: string;
  readonly jobId: number;
  readonly partitions: readonly number[];
  /** Wait so long before the first look, e.g. after an abort. */
  readonly delayMs: number;
  readonly message: string | null;
  /** How often an idle task is scheduled again without news: the job's max_batch_interval. */
  readonly intervalMs: number;
}

export interface TaskContext extends TaskInput {
  readonly slot: { readonly beId: string; readonly incarnation: string } | null;
  readonly result: TaskResult | null;
}

export type TaskResult =
  | { readonly kind: 'visible' }
  /** Nothing was there after all. */
  | { readonly kind: 'empty' }
  | { readonly kind: 'aborted'; readonly cause: unknown }
  | { readonly kind: 'dropped' };

export type TaskEvent =
  /** There is data for one of its partitions. */
  | { type: 'task.data' }
  | { type: 'task.idle'; message: string }
  /** A slot may have become free. */
  | { type: 'task.slot' }
  | { type: 'task.drop' };

const whole = ({ context }: { context: TaskContext }): TaskContext => context;

export const routineLoadTaskMachine = setup({
  types: {} as {
    input: TaskInput;
    context: TaskContext;
    events: TaskEvent;
    output: TaskResult;
  },
  actors: {
    takeSlot: effect<{ beId: string; incarnation: string }, TaskContext>('takeSlot'),
    run: effect<TaskResult, TaskContext>('run'),
  },
  actions: {
    note: assign({
      message: ({ event, context }) =>
        event.type === 'task.idle' ? event.message : context.message,
    }),
    drop: assign({ result: (): TaskResult => ({ kind: 'dropped' }) }),
    freeSlot: () => {},
    /** Looks at what is known of its partitions' ends. */
    schedule: () => {},
  },
  delays: {
    // With a default, as xstate's pure functions first make an actor without input: it would go round without end.
    intervalMs: ({ context: { intervalMs = 10_000 } }) => intervalMs,
    delayMs: ({ context }) => context.delayMs,
  },
}).createMachine({
  id: 'routine-load-task',
  context: ({ input }) => ({ ...input, slot: null, result: null }),
  initial: 'resting',
  output: ({ context }) => context.result ?? { kind: 'dropped' },
  on: { 'task.drop': { target: '.ended', actions: 'drop' } },
  states: {
    resting: { after: { delayMs: 'waiting' }, on: { 'task.idle': { actions: 'note' } } },
    waiting: {
      entry: 'schedule',
      after: { intervalMs: { target: 'waiting', reenter: true } },
      on: { 'task.data': 'allocating', 'task.idle': { actions: 'note' } },
    },
    allocating: {
      invoke: {
        src: 'takeSlot',
        input: whole,
        onDone: {
          target: 'running',
          actions: assign({ slot: ({ event }) => event.output, message: null }),
        },
        onError: {
          target: 'queued',
          actions: assign({
            message: ({ event }) =>
              event.error instanceof Error ? event.error.message : String(event.error),
          }),
        },
      },
    },
    // No slot anywhere: somebody who frees one wakes it, and a timer does should the news be lost.
    queued: { on: { 'task.slot': 'allocating' }, after: { 1000: 'allocating' } },
    running: {
      entry: assign({ message: 'task submitted to execute' }),
      exit: 'freeSlot',
      invoke: {
        src: 'run',
        input: whole,
        onDone: { target: 'ended', actions: assign({ result: ({ event }) => event.output }) },
        onError: {
          target: 'ended',
          actions: assign({
            result: ({ event }): TaskResult => ({ kind: 'aborted', cause: event.error }),
          }),
        },
      },
    },
    ended: { type: 'final' },
  },
});
