/**
 * Invariants over what the FE holds as durable and what a statement can see. Each is named as in the list of invariants;
 * the names are what a failing seed prints.
 */
import type { Fe } from '../../src/actors/fe/fe.ts';
import type { SimKafka } from '../world/kafka.ts';

export class InvariantBroken extends Error {
  readonly invariant: string;

  constructor(invariant: string, what: string) {
    super(`${invariant}: ${what}`);
    this.invariant = invariant;
  }
}

/** Rows that a snapshot shows: `p:offset` each. */
export type Seen = readonly string[];

/** Message values of the simulation name their place: partition, then offset. */
export function place(value: string | null): string | undefined {
  return value === null ? undefined : value.slice(0, value.indexOf(','));
}

/** What a job that read everything must have loaded, in log order, by partition. */
export function committedIds(kafka: SimKafka): string[][] {
  return kafka.partitions.map(({ messages }) =>
    messages
      .filter(({ committed, value }) => committed && value !== null && !value.startsWith('bad'))
      .map(({ value }) => place(value) ?? ''),
  );
}

/**
 * `row.once`, `row.real`, `snapshot.prefix`: a snapshot shows no row twice and none that was not committed to the log, and
 * of each partition a prefix of the log: transactions take contiguous ranges, and become visible in order.
 */
export function checkSnapshot(kafka: SimKafka, seen: Seen): void {
  const once = new Set<string>();
  for (const id of seen) {
    if (once.has(id)) throw new InvariantBroken('row.once', `row ${id} is there twice`);
    once.add(id);
  }
  committedIds(kafka).forEach((ids, partition) => {
    let missing: string | undefined;
    for (const id of ids) {
      const isThere = once.delete(id);
      if (!isThere) missing ??= id;
      else if (missing !== undefined) {
        throw new InvariantBroken(
          'snapshot.prefix',
          `partition ${partition}: row ${id} is visible, ${missing} before it is not`,
        );
      }
    }
  });
  const [unreal] = once;
  if (unreal !== undefined) throw new InvariantBroken('row.real', `row ${unreal} is in no log`);
}

/** `row.all`: at the end everything is there. */
export function checkAll(kafka: SimKafka, seen: Seen): void {
  checkSnapshot(kafka, seen);
  const ids = committedIds(kafka).flat();
  if (seen.length === ids.length) return;
  const there = new Set(seen);
  const missing = ids.filter((id) => !there.has(id));
  throw new InvariantBroken(
    'row.all',
    `${missing.length} rows are missing, the first ${missing[0]}`,
  );
}

/** Follows the durable fold of the FE over all its boots. */
export class FactsChecker {
  readonly #progress = new Map<string, bigint>();
  readonly #visible = new Map<number, number>();
  #seq = 0;
  commits = 0;
  #seenTxns = new Set<number>();

  /** After each step in which the FE's durable sequence may have moved. */
  check(fe: Fe): void {
    const { durable } = fe;
    for (const job of durable.jobs.values()) {
      for (const [partition, next] of Object.entries(job.progress)) {
        if (next.startsWith('OFFSET_')) continue;
        const key = `${job.jobId}/${partition}`;
        const before = this.#progress.get(key) ?? 0n;
        if (BigInt(next) < before) {
          throw new InvariantBroken('progress.monotone', `${key} went from ${before} to ${next}`);
        }
        this.#progress.set(key, BigInt(next));
      }
    }
    for (const tablet of durable.tablets.values()) {
      const before = this.#visible.get(tablet.tabletId) ?? 1;
      if (tablet.visible < before) {
        throw new InvariantBroken(
          'visible.monotone',
          `tablet ${tablet.tabletId} went from version ${before} to ${tablet.visible}`,
        );
      }
      if (tablet.visible > tablet.committed) {
        throw new InvariantBroken(
          'visible.committed',
          `tablet ${tablet.tabletId} shows version ${tablet.visible} of ${tablet.committed}`,
        );
      }
      if (tablet.damaged !== null) {
        throw new InvariantBroken('damage.none', `tablet ${tablet.tabletId}: ${tablet.damaged}`);
      }
      this.#visible.set(tablet.tabletId, tablet.visible);
    }
    for (const txnId of durable.labels.keys()) {
      if (this.#seenTxns.has(txnId)) continue;
      this.#seenTxns.add(txnId);
      this.commits += 1;
    }
    void this.#seq;
  }
}
