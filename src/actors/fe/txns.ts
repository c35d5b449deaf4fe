/**
 * Transactions of the FE: begin, decide, publish, visible. One txn actor each; those that a restart finds committed
 * start at publishing.
 *
 *   V1. Visibility advances per tablet without gaps, and for all tablets of a transaction at once.
 *   I1. A transaction's id is the epoch and a counter; no id is used twice, also not after lost memory.
 */
import { createActor, fromPromise } from 'xstate';
import { assert } from '../../base/assert.ts';
import { LoadError } from '../../base/errors.ts';
import { type TxnDecision, type TxnInput, txnMachine } from '../../machines/txn.ts';
import type { PublishMessage, PublishReply } from '../messages.ts';
import { decide, type Proposal, tooManyErrors } from './decide.ts';
import type { FeCore } from './fe-core.ts';
import type { CommitEntry } from './fe-facts.ts';
import type { Nodes } from './nodes.ts';

/** Ids of one epoch; the epoch times this plus a counter stays below 2^53 for nine million starts. */
const IDS_PER_EPOCH = 1_000_000_000;
const PUBLISH_TIMEOUT_MS = 10_000;

export interface TxnOutcome {
  readonly txnId: number;
  readonly committed: boolean;
  /** Resolves when readers see it; only where committed. */
  readonly visible: Promise<void>;
  readonly cause: unknown;
}

export interface TxnRun {
  readonly txnId: number;
  /** Asks the BEs to stage; what it gives is decided on. `null`: nothing to decide, the transaction is given up. */
  prepare(signal: AbortSignal): Promise<Proposal | null>;
  /** Tells those that may have staged. */
  abort(): Promise<void>;
}

interface Pending {
  readonly commit: CommitEntry;
  readonly acks: Map<string, number>;
  readonly resolve: () => void;
  readonly visible: Promise<void>;
}

export class Txns {
  readonly #core: FeCore;
  readonly #nodes: Nodes;
  #counter = 0;
  /** Committed, not visible: waits for acknowledgements and for its turn. */
  readonly #pending = new Map<number, Pending>();
  /** By table: rowsets of its fullest tablet at the last publish. */
  readonly #rowsets = new Map<number, number>();

  constructor(core: FeCore, nodes: Nodes) {
    this.#core = core;
    this.#nodes = nodes;
  }

  nextTxnId(): number {
    this.#counter += 1;
    assert(this.#counter < IDS_PER_EPOCH, 'I1: the ids of this epoch are used up');
    return this.#core.journal.durable.epoch * IDS_PER_EPOCH + this.#counter;
  }

  /** The rowsets that a read of the table goes through at worst, as its BEs told at the last publish. */
  rowsets(tableId: number): number {
    return this.#rowsets.get(tableId) ?? 0;
  }

  /** Publishes what a restart found committed. */
  recover(): void {
    for (const { commit } of this.#core.journal.durable.txns.values()) {
      this.#await(commit);
      this.#start({ txnId: commit.txnId, attempt: commit.attempt, from: 'publish' });
    }
  }

  /** Resolves when every transaction on these tables that is committed now is visible (V1). */
  async settled(tableIds: ReadonlySet<number>, signal: AbortSignal): Promise<void> {
    const waits = [...this.#pending.values()]
      .filter(({ commit }) => tableIds.has(commit.tableId) && !this.#stuck(commit))
      .map(({ visible }) => visible);
    if (waits.length === 0) return;
    const aborted = new Promise<never>((_, reject) => {
      const stop = () => reject(new LoadError('QUERY_CANCELLED', 'the statement was cancelled'));
      signal.addEventListener('abort', stop, { once: true });
    });
    await Promise.race([Promise.all(waits), aborted]);
  }

  /** Resolves once the transaction is decided; visibility is awaited apart. */
  run(run: TxnRun, signal?: AbortSignal): Promise<TxnOutcome> {
    return new Promise((resolve) => {
      this.#start({ txnId: run.txnId, attempt: 1, from: 'prepare' }, run, resolve, signal);
    });
  }

  #start(
    input: TxnInput,
    run?: TxnRun,
    decided?: (outcome: TxnOutcome) => void,
    signal?: AbortSignal,
  ): void {
    const { clock } = this.#core;
    const { txnId } = input;
    let proposal: Proposal | null = null;
    const machine = txnMachine.provide({
      actors: {
        prepare: fromPromise<unknown, TxnInput>(async ({ signal: left }) => {
          assert(run !== undefined, 'a recovered transaction is decided');
          this.#nodes.live.add(txnId);
          proposal = await run.prepare(left);
          if (proposal === null) throw new LoadError('TXN_EMPTY', 'nothing to load');
        }),
        decide: fromPromise<TxnDecision, TxnInput>(async () => {
          assert(proposal !== null, 'decided without a proposal');
          const decision = await this.#decide(proposal);
          if (decision.kind === 'committed') {
            const pending = this.#pending.get(txnId);
            assert(pending !== undefined, 'committed without a pending publish');
            decided?.({ txnId, committed: true, visible: pending.visible, cause: undefined });
          }
          return decision;
        }),
        publish: fromPromise<void, TxnInput>(({ signal: left }) => this.#publish(txnId, left)),
        abort: fromPromise<void, TxnInput>(async () => {
          await run?.abort();
        }),
      },
    });
    const actor = createActor(machine, { id: `txn.${txnId}`, input, clock });
    const cancel = () =>
      actor.send({
        type: 'txn.cancel',
        cause:
          signal?.reason instanceof Error
            ? signal.reason
            : new LoadError('TXN_CANCELLED', 'cancelled'),
      });
    actor.subscribe({
      complete: () => {
        signal?.removeEventListener('abort', cancel);
        this.#nodes.live.delete(txnId);
        const snapshot = actor.getSnapshot();
        if (snapshot.value === 'ABORTED') {
          const never = Promise.reject(snapshot.context.cause);
          never.catch(() => {});
          decided?.({ txnId, committed: false, visible: never, cause: snapshot.context.cause });
        }
      },
    });
    actor.start();
    signal?.addEventListener('abort', cancel, { once: true });
    if (signal?.aborted) cancel();
  }

  async #decide(proposal: Proposal): Promise<TxnDecision> {
    const { journal, clock, log } = this.#core;
    if (this.#nodes.behind !== null) {
      return { kind: 'refused', cause: new LoadError('FE_BEHIND', this.#nodes.behind) };
    }
    const verdict = decide(journal.head, proposal, clock.now());
    if (verdict.kind === 'refuse') return { kind: 'refused', cause: verdict.cause };
    // From here to the last append is one turn: check and queueing cannot be parted (C1).
    let durable: Promise<void>;
    try {
      durable = journal.append(verdict.entry).durable;
    } catch (error) {
      return { kind: 'refused', cause: error };
    }
    this.#await(verdict.entry);
    this.#pauseOverLimit(proposal);
    log.write('debug', 'transaction queued', { txnId: proposal.txnId });
    // D3: after a write that failed nobody is answered, and the process ends.
    await durable.catch(() => new Promise<never>(() => {}));
    return { kind: 'committed' };
  }

  /** The pause goes in the same turn, so that no task of the job commits between. */
  #pauseOverLimit(proposal: Proposal): void {
    const { journal, clock } = this.#core;
    const job = proposal.job === undefined ? undefined : journal.head.jobs.get(proposal.job.jobId);
    if (job === undefined || job.overLimit === null) return;
    const { errors, limit } = job.overLimit;
    journal.append({
      type: 'job.state',
      jobId: job.jobId,
      state: 'PAUSED',
      reason: tooManyErrors(errors, limit, clock.now()),
      by: 'system',
      atMs: clock.now(),
    });
  }

  #await(commit: CommitEntry): void {
    let resolve = () => {};
    const visible = new Promise<void>((done) => {
      resolve = done;
    });
    this.#pending.set(commit.txnId, { commit, acks: new Map(), resolve, visible });
  }

  /** One round over the participants that have not answered; rejects while one is missing (T3). */
  async #publish(txnId: number, signal: AbortSignal): Promise<void> {
    const pending = this.#pending.get(txnId);
    if (pending === undefined) return;
    const { commit, acks } = pending;
    const missing: string[] = [];
    let rowsets = 0;
    await Promise.all(
      commit.votes.map(async (vote) => {
        if (acks.has(vote.beId)) return;
        const be = this.#nodes.alive().find(({ beId }) => beId === vote.beId);
        if (be === undefined) {
          missing.push(vote.beId);
          return;
        }
        const mine = new Set(vote.tablets.map(({ tabletId }) => tabletId));
        const message: PublishMessage = {
          fe: this.#core.stamp(),
          txnId,
          attempt: commit.attempt,
          versions: commit.versions.filter(({ tabletId }) => mine.has(tabletId)),
        };
        try {
          const reply = await this.#nodes.request<PublishReply>(be, 'publish', message, {
            timeoutMs: PUBLISH_TIMEOUT_MS,
            signal,
          });
          acks.set(vote.beId, reply.beSeq);
          rowsets = Math.max(rowsets, reply.rowsets);
        } catch (error) {
          missing.push(vote.beId);
          if (error instanceof LoadError && error.code === 'VOTE_LOST') {
            await this.#damaged(vote, error);
          }
          this.#core.log.write('warn', 'publish was not answered', {
            txnId,
            beId: vote.beId,
            error: error instanceof Error ? error.message : String(error),
          });
        }
      }),
    );
    if (rowsets > 0) this.#rowsets.set(commit.tableId, rowsets);
    this.#advance();
    const lost = missing.filter((beId) => !this.#given(commit, beId));
    if (lost.length > 0) {
      throw new LoadError('PUBLISH_WAITS', `waiting for BE ${lost.join(', ')}`, {
        transient: true,
      });
    }
    if (this.#pending.has(txnId)) await pending.visible;
  }

  /** C7: a participant lost what was decided. Its tablets are damaged by an entry, so that nobody waits for them (V4). */
  async #damaged(vote: CommitEntry['votes'][number], error: LoadError): Promise<void> {
    const { journal, clock } = this.#core;
    const tabletIds = vote.tablets
      .map(({ tabletId }) => tabletId)
      .filter((tabletId) => journal.head.tablets.get(tabletId)?.damaged === null);
    if (tabletIds.length === 0) return;
    const atMs = clock.now();
    const reason = `BE "${vote.beId}": ${error.message}`;
    await this.#core.append({
      type: 'tablets.damaged',
      beId: vote.beId,
      tabletIds,
      reason,
      atMs,
    });
  }

  /** V4: a participant whose tablets are all damaged or dropped is waited for no more. */
  #given(commit: CommitEntry, beId: string): boolean {
    const { head } = this.#core.journal;
    const vote = commit.votes.find((one) => one.beId === beId);
    if (vote === undefined) return true;
    if (head.bes.get(beId)?.dropped) return true;
    return (
      vote.tablets.length > 0 &&
      vote.tablets.every(({ tabletId }) => {
        const tablet = head.tablets.get(tabletId);
        return tablet === undefined || tablet.damaged !== null;
      })
    );
  }

  #stuck(commit: CommitEntry): boolean {
    return commit.votes.every(({ beId }) => this.#given(commit, beId)) && commit.votes.length > 0;
  }

  /** Makes visible, in journal order, whatever has all its acknowledgements and its turn (V1). */
  #advance(): void {
    const { journal, clock } = this.#core;
    for (const [txnId, pending] of this.#pending) {
      const { commit, acks } = pending;
      if (!journal.durable.txns.has(txnId)) continue;
      const all = commit.votes.every(({ beId }) => acks.has(beId) || this.#given(commit, beId));
      const turn = commit.versions.every(({ tabletId, version }) => {
        const tablet = journal.head.tablets.get(tabletId);
        return tablet === undefined || tablet.damaged !== null || tablet.visible >= version - 1;
      });
      if (!all || !turn) continue;
      this.#pending.delete(txnId);
      // The answer needs no sync: after a crash the publish is repeated and the entry written again (V1).
      const { durable } = journal.append({
        type: 'txn.visible',
        txnId,
        acks: [...acks].map(([beId, seq]) => ({ beId, seq })),
        atMs: clock.now(),
      });
      durable.then(pending.resolve, () => {});
    }
  }
}
