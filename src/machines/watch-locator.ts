/**
 * Who leads what is watched: one for each Kafka configuration that a BE watches for.
 *
 *   L1. What has no leader yet is asked about until it has one; failures make the wait grow, never end it.
 *   L2. All topics are asked about anew from time to time, so that new partitions are seen.
 */
import { assign, setup } from 'xstate';
import { effect } from './effect.ts';

export interface LocatorInput {
  readonly refreshMs: number;
}

export interface LocatorContext extends LocatorInput {
  readonly tries: number;
  /** Wanted again since the last request was made. */
  readonly isWanted: boolean;
  /** Every topic, or those alone that hold something without a leader. */
  readonly all: boolean;
}

export type LocatorEvent = { type: 'locate.wanted' };

export interface Located {
  /** Partitions that have no leader still. */
  readonly left: number;
}

export const watchLocatorMachine = setup({
  types: {} as { input: LocatorInput; context: LocatorContext; events: LocatorEvent },
  actors: { locate: effect<Located, { readonly all: boolean }>('locate') },
  actions: {
    noteWanted: assign({ isWanted: true }),
    takeWanted: assign({ isWanted: false }),
    askAll: assign({ all: true }),
    askSome: assign({ all: false }),
    countTry: assign({ tries: ({ context }) => context.tries + 1 }),
    resetTries: assign({ tries: 0 }),
  },
  guards: { isWanted: ({ context }) => context.isWanted },
  delays: {
    refreshMs: ({ context }) => context.refreshMs,
    backoffMs: ({ context }) => Math.min(100 * 2 ** context.tries, 5_000),
  },
}).createMachine({
  id: 'watch-locator',
  context: ({ input }) => ({ ...input, tries: 0, isWanted: false, all: false }),
  initial: 'resting',
  on: { 'locate.wanted': { actions: 'noteWanted' } },
  states: {
    resting: {
      always: { guard: 'isWanted', target: 'locating', actions: 'askSome' },
      after: { refreshMs: { target: 'locating', actions: 'askAll' } },
    },
    locating: {
      entry: 'takeWanted',
      invoke: {
        src: 'locate',
        input: ({ context }) => ({ all: context.all }),
        onDone: [
          { guard: ({ event }) => event.output.left > 0, target: 'backingOff' },
          { target: 'resting', actions: 'resetTries' },
        ],
        onError: 'backingOff',
      },
    },
    backingOff: {
      entry: 'countTry',
      after: { backoffMs: { target: 'locating', actions: 'askAll' } },
    },
  },
});
