/**
 * The participant's half of two-phase commit on one BE (tablet-store.types.ts: S1–S3; PROTOCOL.md D, I, C, V, P).
 * What is checked is the head fold, what is answered is durable; entries come from one turn with their check.
 *
 *   S4. From open to the first promise nothing is written but the identity of a new directory: the sequence that
 *       is compared at registration (D4) is the one that the disk gave.
 */

import type { Clock } from '../base/clock.ts';
import { DamageError, type ErrorData, toErrorData } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type Random, randomHex } from '../base/random.ts';
import type { TableSchema } from '../base/table-schema.ts';
import type { Engine, PartInput } from '../engine/engine.types.ts';
import { type BeEntry, type BeState, type PartFact, voteKey } from './be-facts.ts';
import { beFold, hasVersion } from './be-journal.ts';
import { compactRound } from './compaction.ts';
import { type Files, nodeFiles } from './files.ts';
import { openJournal } from './journal.ts';
import type { Journal } from './journal.types.ts';
import type { OrderedStore } from './ordered-store.types.ts';
import { type KeptPart, PartFiles, partFact } from './part-files.ts';
import { deleteRejects, encodeRejects, readRejects, rejectsDamaged } from './rejects.ts';
import type { CompactionLimits } from './rowset-cover.ts';
import {
  decided,
  diskFullSoon,
  notRegistered,
  refused,
  tabletDamaged,
  tooManyVersions,
  voteLost,
} from './tablet-errors.ts';
import type {
  FeIdentity,
  PublishRequest,
  StagedTxn,
  StageRequest,
  StoredReject,
  TabletState,
  TabletStore,
  TxnId,
  Vote,
} from './tablet-store.types.ts';
import { UsedParts, wantedParts } from './used-parts.ts';

export interface OpenTabletStoreOptions {
  /** Belongs to the tablet store from here on: it closes it. */
  readonly store: OrderedStore;
  /** The BE's folder, in which `parts/`, `staging/` and `tmp/` are. */
  readonly dir: string;
  /** For compaction. */
  readonly engine: Pick<Engine, 'merge'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Loads are refused below (default 256 MiB). */
  readonly freeBytesMin?: number;
  readonly files?: Files;
  /** Merged parts up to here are inline (default 64 KiB). */
  readonly inlineBytesMax?: number;
  readonly compaction?: Partial<CompactionLimits>;
  /** Compacted rowsets stay readable so long for statements with an older snapshot (default 30,000). */
  readonly coveredMs?: number;
  /** Committed transactions whose rejected rows are kept (default 1,000). */
  readonly rejectsTxnsMax?: number;
  readonly checkpointEntries?: number;
}

const FREE_BYTES_MIN = 256 * 1024 * 1024;
const ABORTED_REJECTS_MAX = 100;
/** A tablet with more rowsets refuses loads until compaction caught up. */
const ROWSETS_MAX = 2_000;

export async function openTabletStore(options: OpenTabletStoreOptions): Promise<TabletStore> {
  const { store, random, clock, log } = options;
  const { checkpointEntries } = options;
  const journal = await openJournal(store, 'be/', beFold, {
    log,
    ...(checkpointEntries === undefined ? {} : { checkpointEntries }),
  });
  const boot = randomHex(random, 8);
  const files = options.files ?? nodeFiles;
  const parts = new PartFiles({ store, files, dir: options.dir, boot });
  try {
    await parts.open();
    if (journal.headSeq === 0) {
      // I3: a directory that was wiped is a new BE.
      const beId = randomHex(random, 8);
      await journal.append({ type: 'created', beId, atMs: clock.now() }).durable;
    }
  } catch (error) {
    await journal.close();
    throw error;
  }
  return new BeTabletStore(options, journal, parts, boot);
}

class BeTabletStore implements TabletStore {
  readonly incarnation: string;
  readonly failed: Promise<Error>;
  readonly #options: OpenTabletStoreOptions;
  readonly #journal: Journal<BeEntry, BeState>;
  readonly #parts: PartFiles;
  /** Stages under way, by `voteKey`: a second call joins, an abort marks. */
  readonly #staging = new Map<string, { cancelled: boolean; readonly done: Promise<Vote> }>();
  readonly #used: UsedParts;
  #feSeqSeen: number;
  /** What was seen of the FE that the durable promise names, while a promise to another one is on its way to the disk. */
  #feSeqBefore: number | null = null;
  #compacting: Promise<void> | undefined;

  constructor(
    options: OpenTabletStoreOptions,
    journal: Journal<BeEntry, BeState>,
    parts: PartFiles,
    incarnation: string,
  ) {
    this.#options = options;
    this.#journal = journal;
    this.#parts = parts;
    this.#used = new UsedParts({ journal, parts, log: options.log });
    this.incarnation = incarnation;
    this.failed = journal.failed;
    this.#feSeqSeen = journal.head.feSeq;
  }

  get beId(): string {
    return this.#journal.durable.beId;
  }

  get durableSeq(): number {
    return this.#journal.durableSeq;
  }

  get promise(): (FeIdentity & { readonly feSeq: number }) | null {
    const { promise } = this.#journal.durable;
    return promise === null ? null : { ...promise, feSeq: this.#feSeqBefore ?? this.#feSeqSeen };
  }

  async promiseTo(fe: FeIdentity, feSeq: number): Promise<void> {
    const { promise } = this.#journal.head;
    if (promise !== null) {
      const twin = fe.epoch === promise.epoch && fe.incarnation !== promise.incarnation;
      if (fe.epoch < promise.epoch || twin) throw refused(fe, promise);
      if (fe.epoch === promise.epoch) {
        this.sawFeSeq(feSeq);
        return this.#journal.flush();
      }
    }
    // Until it is durable this BE answers for the promise before, with what it has seen of that FE (D4).
    this.#feSeqBefore ??= this.#feSeqSeen;
    // Not the maximum: a user may have accepted the FE's loss, and then it is behind what was seen (D4).
    this.#feSeqSeen = feSeq;
    const { epoch, incarnation } = fe;
    const { durable } = this.#journal.append({
      type: 'promised',
      fe: { epoch, incarnation },
      feSeq,
    });
    await durable;
    if (this.#journal.head.promise?.incarnation === incarnation) this.#feSeqBefore = null;
  }

  sawFeSeq(feSeq: number): void {
    this.#feSeqSeen = Math.max(this.#feSeqSeen, feSeq);
  }

  async stage(request: StageRequest): Promise<Vote> {
    this.#checkEpoch(request.fe);
    const key = voteKey(request.txnId, request.attempt);
    const running = this.#staging.get(key);
    const voted = this.#journal.head.votes.get(key)?.vote;
    if (running !== undefined) return running.done; // S2
    if (voted !== undefined) {
      await this.#journal.flush();
      return voted;
    }
    const outcome = this.#journal.head.outcomes.get(key);
    if (outcome !== undefined) throw decided(request, outcome);
    const { promise: done, resolve, reject } = Promise.withResolvers<Vote>();
    done.catch(() => {});
    const staging = { cancelled: false, done };
    this.#staging.set(key, staging);
    this.#stage(request, staging)
      .then(resolve, reject)
      .finally(() => this.#staging.delete(key));
    return done;
  }

  async #stage(request: StageRequest, staging: { readonly cancelled: boolean }): Promise<Vote> {
    const { part, txnId, attempt } = request;
    let kept: KeptPart | undefined;
    try {
      if (part !== undefined) {
        await this.#checkRoom(part.tablets.map((tablet) => tablet.tabletId));
        kept = await this.#parts.keep(part.data);
      }
      // What was true before the wait may have changed (I5).
      this.#checkEpoch(request.fe);
      if (staging.cancelled) throw decided(request, 'aborted');
    } catch (error) {
      if (kept !== undefined) await this.#parts.discardKept(kept);
      else if (part !== undefined) await this.#parts.discard(part.data).catch(() => {});
      throw error;
    }
    const rejects = encodeRejects(request);
    const vote: Vote = {
      txnId,
      attempt,
      beId: this.beId,
      incarnation: this.incarnation,
      beSeq: this.#journal.headSeq + 1,
      partId: kept?.partId ?? null,
      digest: kept?.digest ?? null,
      bytes: kept?.length ?? 0,
      tablets: (part?.tablets ?? []).map(({ tabletId, rows }) => {
        return { tabletId, tableId: part!.tableId, schemaId: part!.schema.schemaId, rows };
      }),
      rejects: request.rejects.length,
    };
    // S1, D5: the part's bytes are durable or in this very write, and so are the rejects (C6).
    const appended = this.#journal.append(
      {
        type: 'voted',
        vote,
        label: request.label,
        part: kept === undefined ? null : partFact(kept, part!, part!.schema, false),
        rejects: rejects?.fact ?? null,
        feSeq: this.#feSeqSeen,
      },
      { extra: [...(kept?.extra ?? []), ...(rejects?.ops ?? [])] },
    );
    await appended.durable;
    return vote;
  }

  async publish(request: PublishRequest): Promise<void> {
    const { txnId, attempt, versions } = request;
    const { head } = this.#journal;
    const key = voteKey(txnId, attempt);
    // S2, also after compaction and after it was forgotten (C7).
    if (head.outcomes.get(key) === 'published') return this.#journal.flush();
    const held = head.votes.get(key);
    if (held === undefined) {
      const has = versions.every((at) => hasVersion(head.tablets.get(at.tabletId), at.version));
      if (versions.length > 0 && has) return this.#journal.flush();
      // The decision names this node: without a vote it is our entry that was lost, not the vote (D1).
      throw voteLost({ ...request, beId: this.beId, outcome: head.outcomes.get(key) });
    }
    const rowsets = versions
      .filter(({ tabletId }) => !held.dropped.includes(tabletId))
      .map(({ tabletId, version }) => {
        const voted = held.vote.tablets.find((tablet) => tablet.tabletId === tabletId);
        const tableId = voted?.tableId ?? head.tablets.get(tabletId)?.tableId ?? 0;
        const partId = voted === undefined ? null : held.vote.partId;
        return { tabletId, tableId, version, rows: voted?.rows ?? 0, partId };
      });
    const feSeq = this.#feSeqSeen;
    // S1, S3: the decision and its rowsets, in one entry.
    const { durable } = this.#journal.append({ type: 'published', txnId, attempt, rowsets, feSeq });
    // One attempt was decided for, so the others were decided against.
    for (const other of [...head.votes.values()]) {
      if (other.vote.txnId === txnId) this.#appendAborted(txnId, other.vote.attempt);
    }
    await durable;
    this.#used.collectLater();
  }

  async abort(txnId: TxnId, attempt: number): Promise<void> {
    const key = voteKey(txnId, attempt);
    const staging = this.#staging.get(key);
    if (staging !== undefined) {
      staging.cancelled = true;
      await staging.done.catch(() => {});
    }
    if (!this.#journal.head.votes.has(key)) return this.#journal.flush();
    await this.#appendAborted(txnId, attempt);
    this.#used.collectLater();
  }

  #appendAborted(txnId: TxnId, attempt: number): Promise<void> {
    const aborted = [...this.#journal.head.rejects.values()].filter((rejects) => rejects.aborted);
    const forgotten = aborted
      .slice(0, Math.max(0, aborted.length + 1 - ABORTED_REJECTS_MAX))
      .map((rejects) => ({ txnId: rejects.txnId, attempt: rejects.attempt }));
    return this.#journal.append(
      { type: 'aborted', txnId, attempt, forgotten },
      { extra: forgotten.map(deleteRejects) },
    ).durable;
  }

  inDoubt(): readonly StagedTxn[] {
    return [...this.#journal.durable.votes.values()].map(({ vote }) => {
      return { txnId: vote.txnId, attempt: vote.attempt };
    });
  }

  tablets(): readonly TabletState[] {
    const { tablets, damaged } = this.#journal.durable;
    const states = [...tablets.values()].map((tablet): TabletState => {
      const published = tablet.rowsets.filter((rowset) => rowset.to <= tablet.version);
      return {
        tabletId: tablet.tabletId,
        tableId: tablet.tableId,
        version: tablet.version,
        rows: published.reduce((sum, rowset) => sum + rowset.rows, 0),
        rowsets: published.length,
        damaged: damaged.get(tablet.tabletId) ?? null,
      };
    });
    return states;
  }

  rowsetsMax(tabletIds: readonly number[]): number {
    const { tablets } = this.#journal.head;
    return Math.max(0, ...tabletIds.map((id) => tablets.get(id)?.rowsets.length ?? 0));
  }

  async dropTablets(tabletIds: readonly number[]): Promise<void> {
    const { tablets, damaged } = this.#journal.head;
    const known = tabletIds.filter((id) => tablets.has(id) || damaged.has(id));
    if (known.length === 0) return this.#journal.flush();
    await this.#journal.append({ type: 'tablets.dropped', tabletIds: known }).durable;
    this.#used.collectLater();
  }

  async markDamaged(tabletIds: readonly number[], reason: ErrorData): Promise<void> {
    const fresh = tabletIds.filter((id) => !this.#journal.head.damaged.has(id));
    if (fresh.length === 0) return this.#journal.flush();
    await this.#journal.append({ type: 'tablets.damaged', tabletIds: fresh, reason }).durable;
  }

  async pin(
    queryId: string,
    tablets: readonly { readonly tabletId: number; readonly version: number }[],
  ): Promise<readonly PartInput[]> {
    const wanted = wantedParts(this.#journal.durable, tablets);
    // In the turn in which the fold was read, so that nothing can go in between.
    const unpin = this.#used.pin(queryId, [...wanted.keys()]);
    try {
      const inputs: PartInput[] = [];
      for (const { fact, tablets: at } of wanted.values()) {
        const data = await this.#read(fact);
        const { partId, merged, rows, ranges } = fact;
        const known = ranges === undefined ? {} : { ranges };
        inputs.push({ partId, data, tablets: at, rows, merged, ...known });
      }
      return inputs;
    } catch (error) {
      unpin();
      throw error;
    }
  }

  unpin(queryId: string): void {
    this.#used.unpin(queryId);
  }

  /** Damage of a part is damage of the tablets that it holds; others go on (D5). */
  async #read(fact: PartFact) {
    try {
      return await this.#parts.read(fact);
    } catch (error) {
      if (!(error instanceof DamageError)) throw error;
      const hurt = [...this.#journal.head.tablets.values()]
        .filter((tablet) =>
          [...tablet.rowsets, ...tablet.covered].some((rowset) => rowset.partId === fact.partId),
        )
        .map((tablet) => tablet.tabletId);
      const reason = toErrorData(error);
      this.#options.log.write('error', 'damaged part', { partId: fact.partId, tablets: hurt });
      await this.markDamaged(hurt, reason);
      throw tabletDamaged(hurt[0] ?? 0, reason);
    }
  }

  async rejects(txnId: TxnId): Promise<readonly StoredReject[]> {
    const all = [...this.#journal.durable.rejects.values()].filter((at) => at.txnId === txnId);
    // Those of a transaction that was not aborted go first, then the latest attempt.
    all.sort((a, b) => Number(a.aborted) - Number(b.aborted) || b.attempt - a.attempt);
    const fact = all[0];
    if (fact === undefined) return [];
    const found = await readRejects(this.#options.store, fact);
    if (found !== undefined) return found;
    if (!this.#journal.head.rejects.has(voteKey(txnId, fact.attempt))) return []; // Forgotten meanwhile.
    throw rejectsDamaged(fact);
  }

  async forgetRejects(txnIds: readonly TxnId[]): Promise<void> {
    const ids = new Set(txnIds);
    const { rejects: known, votes } = this.#journal.head;
    const rejects = [...known.values()]
      .filter((at) => ids.has(at.txnId) && !votes.has(voteKey(at.txnId, at.attempt)))
      .map(({ txnId, attempt }) => ({ txnId, attempt }));
    if (rejects.length === 0) return;
    const extra = rejects.map(deleteRejects);
    await this.#journal.append({ type: 'rejects.forgotten', rejects }, { extra }).durable;
  }

  stagingPath(): string {
    return this.#parts.stagingPath();
  }

  freeBytes(): Promise<number> {
    return this.#parts.freeBytes();
  }

  async dropUnvoted(): Promise<number> {
    this.#checkRegistered();
    const { parts, unused } = this.#journal.head;
    const removed = await this.#parts.removeOrphans((id) => parts.has(id) || unused.has(id));
    if (removed > 0) this.#options.log.write('info', 'dropped unvoted files', { removed });
    await this.#used.collect();
    return removed;
  }

  compact(schemaOf: (tableId: number) => TableSchema | undefined): Promise<void> {
    this.#checkRegistered();
    this.#compacting ??= compactRound(
      {
        journal: this.#journal,
        parts: this.#parts,
        store: this,
        engine: this.#options.engine,
        clock: this.#options.clock,
        log: this.#options.log,
        limits: {
          rowsetsMax: 8,
          rowsetBytesMax: 32 * 1024 * 1024,
          mergeBytesMax: 256 * 1024 * 1024,
          ...this.#options.compaction,
        },
        inlineBytesMax: this.#options.inlineBytesMax ?? 64 * 1024,
        coveredMs: this.#options.coveredMs ?? 30_000,
        rejectsTxnsMax: this.#options.rejectsTxnsMax ?? 1_000,
        isLoading: () => this.#staging.size > 0,
      },
      schemaOf,
    )
      .then(() => this.#used.collect())
      .finally(() => {
        this.#compacting = undefined;
      });
    return this.#compacting;
  }

  async close(): Promise<void> {
    // From here on no round of it begins, also not behind the compaction.
    const collected = this.#used.close();
    await this.#compacting?.catch(() => {});
    await collected;
    await Promise.all([...this.#staging.values()].map(({ done }) => done.catch(() => {})));
    await this.#journal.close();
  }

  #checkRegistered(): FeIdentity {
    const { promise } = this.#journal.head;
    if (promise !== null) return promise;
    throw notRegistered();
  }

  #checkEpoch(fe: FeIdentity): void {
    const promise = this.#checkRegistered();
    const same = fe.epoch === promise.epoch && fe.incarnation === promise.incarnation;
    if (!same) throw refused(fe, promise);
  }

  async #checkRoom(tabletIds: readonly number[]): Promise<void> {
    for (const tabletId of tabletIds) {
      const rowsets = this.#journal.head.tablets.get(tabletId)?.rowsets.length ?? 0;
      if (rowsets < ROWSETS_MAX) continue;
      throw tooManyVersions(tabletId, rowsets, ROWSETS_MAX);
    }
    const limit = this.#options.freeBytesMin ?? FREE_BYTES_MIN;
    const free = await this.#parts.freeBytes();
    if (free >= limit) return;
    throw diskFullSoon(this.beId, free, limit);
  }
}
