/**
 * A BE node as the FE sees it. Only heart-beats of the registered incarnation count.
 *
 *   N1. No task is given to a BE that is not `alive`, and never more than it has slots.
 *   N2. A BE that was silent for `lostMs` is `lost`; what it was doing is given up by whoever waits for it.
 *   N3. A lost BE comes back by registering, never by a late heart-beat alone.
 */
import { assign, setup } from 'xstate';

export interface BeNodeInput {
  readonly beId: string;
}

export interface BeNodeContext extends BeNodeInput {
  /** Told with the registration, as the BE's heart-beats follow it. */
  readonly lostMs: number;
  readonly incarnation: string | null;
  readonly slotsUsed: number;
}

export type BeNodeEvent =
  | { type: 'be.registered'; incarnation: string; lostMs: number }
  | { type: 'be.beat'; incarnation: string }
  | { type: 'be.gone'; incarnation: string }
  | { type: 'be.dropped' }
  | { type: 'slot.taken' }
  | { type: 'slot.freed' };

export const beNodeMachine = setup({
  types: {} as { input: BeNodeInput; context: BeNodeContext; events: BeNodeEvent },
  guards: {
    isPresent: ({ context, event }) =>
      'incarnation' in event && event.incarnation === context.incarnation,
  },
  actions: {
    register: assign({
      incarnation: ({ event, context }) =>
        event.type === 'be.registered' ? event.incarnation : context.incarnation,
      lostMs: ({ event, context }) =>
        event.type === 'be.registered' ? event.lostMs : context.lostMs,
      slotsUsed: 0,
    }),
    takeSlot: assign({ slotsUsed: ({ context }) => context.slotsUsed + 1 }),
    freeSlot: assign({ slotsUsed: ({ context }) => Math.max(0, context.slotsUsed - 1) }),
    forget: assign({ slotsUsed: 0 }),
  },
  delays: { lostMs: ({ context }) => context.lostMs },
}).createMachine({
  id: 'be-node',
  context: ({ input }) => ({ ...input, lostMs: 0, incarnation: null, slotsUsed: 0 }),
  initial: 'absent',
  on: { 'be.dropped': '.dropped' },
  states: {
    absent: { on: { 'be.registered': { target: 'alive', actions: 'register' } } },
    alive: {
      on: {
        'be.registered': { target: 'alive', reenter: true, actions: 'register' },
        'be.beat': { guard: 'isPresent', target: 'alive', reenter: true },
        'be.gone': { guard: 'isPresent', target: 'lost' },
        'slot.taken': { actions: 'takeSlot' },
        'slot.freed': { actions: 'freeSlot' },
      },
      after: { lostMs: 'lost' },
    },
    // There is no arrow for be.beat (N3): it was silent, so its slots and promises are asked anew.
    lost: {
      entry: 'forget',
      on: { 'be.registered': { target: 'alive', actions: 'register' } },
    },
    dropped: { type: 'final' },
  },
});
