/**
 * One watcher on a BE: of the idle partitions that one broker leads, which have data? It has connections of its own and takes
 * no slot; what it tells is a hint, so that a lost or repeated one changes nothing but the time.
 *
 *   W1. At most one request of it waits, and that asks for all that its lane holds.
 *   W2. What was found is told before the next request, and told again until it was heard.
 *   W3. It never ends by itself: a failure is followed by a wait that grows, then by another request.
 */
import { assign, setup } from 'xstate';
import { effect } from './effect.ts';

export interface WatcherInput {
  readonly broker: number;
  /** `long` asks for everything; `short` for what came while a long request waits, until that one ends. */
  readonly lane: 'long' | 'short';
}

export interface WatcherContext extends WatcherInput {
  /** Failures in a row. */
  readonly tries: number;
  /** Something was added since the last request was made. */
  readonly isChanged: boolean;
  readonly restMs: number;
}

export interface Waited {
  /** What the request asked for; 0: there was nothing to ask for, and no request. */
  readonly asked: number;
  /** There is something to tell. */
  readonly found: boolean;
  /** The broker refused some, e.g. as it leads them no more. */
  readonly refused: boolean;
}

export type WatcherEvent = { type: 'watch.changed' };

const REST_MS_MAX = 100;
const whole = ({ context }: { context: WatcherContext }): WatcherInput => context;

export const brokerWatcherMachine = setup({
  types: {} as { input: WatcherInput; context: WatcherContext; events: WatcherEvent },
  actors: {
    wait: effect<Waited, WatcherInput>('wait'),
    report: effect<void, WatcherInput>('report'),
    /** Finds the leaders of what was refused, or of everything when the broker cannot be reached. */
    locate: effect<void, WatcherInput>('locate'),
  },
  actions: {
    noteChange: assign({ isChanged: true }),
    takeChange: assign({ isChanged: false }),
    countTry: assign({ tries: ({ context }) => context.tries + 1 }),
    resetTries: assign({ tries: 0 }),
    setRest: assign({
      restMs: ({ event, context }) => {
        const { output } = event as unknown as { output?: Waited };
        return output === undefined ? context.restMs : restMsAfter(output.asked);
      },
    }),
  },
  guards: { isChanged: ({ context }) => context.isChanged },
  delays: {
    /** Many partitions with a little data each are asked for a few times a second, not for each message. */
    restMs: ({ context }) => context.restMs,
    backoffMs: ({ context }) => Math.min(50 * 2 ** context.tries, 5_000),
  },
}).createMachine({
  id: 'broker-watcher',
  context: ({ input }) => ({ ...input, tries: 0, isChanged: false, restMs: 2 }),
  initial: 'resting',
  on: { 'watch.changed': { actions: 'noteChange' } },
  states: {
    resting: { always: { guard: 'isChanged', target: 'waiting' } },
    waiting: {
      entry: 'takeChange',
      invoke: {
        src: 'wait',
        input: whole,
        onDone: [
          { guard: ({ event }) => event.output.asked === 0, target: 'resting' },
          { guard: ({ event }) => event.output.refused, target: 'backingOff' },
          {
            guard: ({ event }) => event.output.found,
            target: 'reporting',
            actions: ['resetTries', 'setRest'],
          },
          { target: 'pausing', actions: ['resetTries', 'setRest'] },
        ],
        onError: 'backingOff',
      },
    },
    reporting: { invoke: { src: 'report', input: whole, onDone: 'pausing', onError: 'unheard' } },
    unheard: { entry: 'countTry', after: { backoffMs: 'reporting' } },
    pausing: { after: { restMs: 'waiting' } },
    backingOff: { entry: 'countTry', after: { backoffMs: 'locating' } },
    // Whether leaders were found or not: what this broker still leads is asked for again.
    locating: { invoke: { src: 'locate', input: whole, onDone: 'telling', onError: 'telling' } },
    // What was refused may hold news as well (an offset that is gone).
    telling: { invoke: { src: 'report', input: whole, onDone: 'waiting', onError: 'unheard' } },
  },
});

/** Never 0: a broker that answers at once whatever it was asked is not asked without end. */
function restMsAfter(asked: number): number {
  return Math.min(REST_MS_MAX, Math.max(2, Math.floor(asked / 10)));
}
