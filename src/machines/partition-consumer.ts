/**
 * One partition within one task, on the coordinator BE: fetch, hand over, fetch on.
 *
 *   P1. The position moves only over what was handed over and accepted; the range is [from, position).
 *   P2. The next range is asked for once the last batch was accepted: back-pressure is the pause. Whoever fetches may
 *       have one range ready by then, and forgets it when it is not asked for.
 *   P3. It ends at the end of the log as it was seen, at a limit, or with an error that says where.
 */
import { assign, setup } from 'xstate';
import { effect } from './effect.ts';

export interface ConsumerInput {
  readonly topic: string;
  readonly partition: number;
  /** Decimal digits: offsets are 64-bit. */
  readonly from: string;
}

export interface ConsumerContext extends ConsumerInput {
  readonly position: string;
  readonly ended: 'end' | 'limit' | 'stopped' | null;
  readonly error: unknown;
}

export interface Fetched {
  readonly next: string;
  readonly atEnd: boolean;
}

export interface Accepted {
  /** No more rows, bytes or time for this task. */
  readonly limit: boolean;
}

export type ConsumerEvent = { type: 'consumer.stop' };

const whole = ({ context }: { context: ConsumerContext }): ConsumerContext => context;

export const partitionConsumerMachine = setup({
  types: {} as {
    input: ConsumerInput;
    context: ConsumerContext & { readonly fetched: Fetched | null };
    events: ConsumerEvent;
    output: { readonly position: string; readonly ended: string | null; readonly error: unknown };
  },
  actors: {
    fetch: effect<Fetched, ConsumerContext>('fetch'),
    accept: effect<Accepted, ConsumerContext>('accept'),
  },
}).createMachine({
  id: 'partition-consumer',
  context: ({ input }) => ({
    ...input,
    position: input.from,
    ended: null,
    error: undefined,
    fetched: null,
  }),
  output: ({ context }) => ({
    position: context.position,
    ended: context.ended,
    error: context.error,
  }),
  initial: 'fetching',
  states: {
    fetching: {
      on: { 'consumer.stop': { target: 'ended', actions: assign({ ended: 'stopped' }) } },
      invoke: {
        src: 'fetch',
        input: whole,
        onDone: { target: 'delivering', actions: assign({ fetched: ({ event }) => event.output }) },
        onError: { target: 'failed', actions: assign({ error: ({ event }) => event.error }) },
      },
    },
    // There is no arrow for consumer.stop: a batch that is being accepted is either whole in or whole out (P1).
    delivering: {
      invoke: {
        src: 'accept',
        input: whole,
        onDone: [
          {
            guard: ({ context }) => context.fetched?.atEnd === true,
            target: 'ended',
            actions: [
              assign({ position: ({ context }) => context.fetched?.next ?? context.position }),
              assign({ ended: 'end' }),
            ],
          },
          {
            guard: ({ event }) => event.output.limit,
            target: 'ended',
            actions: [
              assign({ position: ({ context }) => context.fetched?.next ?? context.position }),
              assign({ ended: 'limit' }),
            ],
          },
          {
            target: 'fetching',
            actions: assign({
              position: ({ context }) => context.fetched?.next ?? context.position,
            }),
          },
        ],
        onError: { target: 'failed', actions: assign({ error: ({ event }) => event.error }) },
      },
    },
    ended: { type: 'final' },
    failed: { type: 'final' },
  },
});
