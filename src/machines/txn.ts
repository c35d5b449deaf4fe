/**
 * Transaction: the FE's half of two-phase commit. Its commit entry in the journal is the decision.
 *
 *   T1. Once the commit entry has been queued, no path leads to `ABORTED`.
 *   T2. A transaction ends in `VISIBLE`, or in `ABORTED` with nothing visible and no progress.
 *   T3. Publishing is tried until every participant has answered; `tries` counts it, `attempt` never changes (C7).
 */
import { assign, setup } from 'xstate';
import { effect } from './effect.ts';

export interface TxnInput {
  readonly txnId: number;
  readonly attempt: number;
  /** `publish`: made from a commit entry after a restart; its decision has fallen. */
  readonly from: 'prepare' | 'publish';
}

export interface TxnContext extends TxnInput {
  readonly tries: number;
  /** Why it was aborted, for the task and SHOW. */
  readonly cause: unknown;
}

export type TxnEvent = { type: 'txn.cancel'; cause: unknown };

export type TxnDecision =
  | { readonly kind: 'committed' }
  | { readonly kind: 'refused'; readonly cause: unknown };

const txn = ({ context }: { context: TxnContext }): TxnInput => context;

export const txnMachine = setup({
  types: {} as {
    input: TxnInput;
    context: TxnContext;
    events: TxnEvent;
    output: { readonly visible: boolean; readonly cause: unknown };
  },
  actors: {
    prepare: effect<unknown, TxnInput>('prepare'),
    decide: effect<TxnDecision, TxnInput>('decide'),
    publish: effect<void, TxnInput>('publish'),
    abort: effect<void, TxnInput>('abort'),
  },
  actions: { countTry: assign({ tries: ({ context }) => context.tries + 1 }) },
  guards: { decided: ({ context }) => context.from === 'publish' },
  delays: { backoffMs: ({ context }) => Math.min(100 * 2 ** context.tries, 5_000) },
}).createMachine({
  id: 'txn',
  context: ({ input }) => ({ ...input, tries: 0, cause: undefined }),
  initial: 'starting',
  output: ({ context }) => ({ visible: context.cause === undefined, cause: context.cause }),
  states: {
    starting: { always: [{ guard: 'decided', target: 'COMMITTED' }, { target: 'PREPARE' }] },
    PREPARE: {
      on: {
        'txn.cancel': {
          target: 'aborting',
          actions: assign({ cause: ({ event }) => event.cause }),
        },
      },
      invoke: {
        src: 'prepare',
        input: txn,
        onDone: 'PREPARED',
        onError: { target: 'aborting', actions: assign({ cause: ({ event }) => event.error }) },
      },
    },
    // The check and the queueing of the entry are one turn: refused, or committed for good (T1, C1).
    // There is no onError: a write that failed ends the process, and replay decides (D3).
    PREPARED: {
      invoke: {
        src: 'decide',
        input: txn,
        onDone: [
          { guard: ({ event }) => event.output.kind === 'committed', target: 'COMMITTED' },
          {
            target: 'aborting',
            actions: assign({
              cause: ({ event }) =>
                event.output.kind === 'refused' ? event.output.cause : undefined,
            }),
          },
        ],
      },
    },
    COMMITTED: {
      initial: 'publishing',
      states: {
        publishing: {
          invoke: { src: 'publish', input: txn, onDone: '#txn.VISIBLE', onError: 'retrying' },
        },
        retrying: { entry: 'countTry', after: { backoffMs: 'publishing' } },
      },
    },
    // Presumed abort: a BE that misses this asks later and learns that there was no commit.
    aborting: { invoke: { src: 'abort', input: txn, onDone: 'ABORTED', onError: 'ABORTED' } },
    VISIBLE: { type: 'final' },
    ABORTED: { type: 'final' },
  },
});
