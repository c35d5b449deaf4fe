/**
 * One round of compaction on a BE (V3): covers published, contiguous versions with a merged rowset and leaves the old
 * ones beside it for statements with an older snapshot; drops those that an earlier round covered.
 */
import type { Clock } from '../base/clock.ts';
import { DamageError, LoadError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { TableSchema } from '../base/table-schema.ts';
import type { Engine, PartInput } from '../engine/engine.types.ts';
import type { BeEntry, BeState } from './be-facts.ts';
import type { Journal } from './journal.types.ts';
import { type PartFiles, partFact } from './part-files.ts';
import { type CompactionLimits, type MergeRange, planMerge } from './rowset-cover.ts';
import type { TabletStore } from './tablet-store.types.ts';

export interface CompactionHost {
  readonly journal: Journal<BeEntry, BeState>;
  readonly parts: PartFiles;
  readonly store: Pick<TabletStore, 'pin' | 'unpin' | 'forgetRejects'>;
  readonly engine: Pick<Engine, 'merge'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: CompactionLimits;
  readonly inlineBytesMax: number;
  readonly coveredMs: number;
  /** Committed transactions whose rejected rows are kept; beyond it the oldest go. */
  readonly rejectsTxnsMax: number;
  readonly isLoading: () => boolean;
}

const QUERY_ID = 'compaction';

export async function compactRound(
  host: CompactionHost,
  schemaOf: (tableId: number) => TableSchema | undefined,
): Promise<void> {
  await dropCovered(host);
  await forgetOldRejects(host);
  const { tablets } = host.journal.durable;
  const tableIds = new Set([...tablets.values()].map((tablet) => tablet.tableId));
  for (const tableId of tableIds) {
    const schema = schemaOf(tableId);
    if (schema === undefined) continue;
    const { limits } = host;
    const ranges = planMerge(host.journal.durable, { tableId, schemaId: schema.schemaId }, limits);
    if (ranges.length === 0 || mustYield(host, ranges)) continue;
    try {
      await mergeRanges(host, schema, ranges);
    } catch (error) {
      // A damaged tablet is left out of the next plan; a failed merge changed nothing.
      if (!(error instanceof LoadError)) throw error;
      const level = error instanceof DamageError ? 'error' : 'warn';
      host.log.write(level, 'compaction failed', { tableId, cause: error.message });
    } finally {
      host.store.unpin(QUERY_ID);
    }
  }
}

/** Loads go first, until their rowsets pile up. */
function mustYield(host: CompactionHost, ranges: readonly MergeRange[]): boolean {
  const longest = Math.max(...ranges.map((range) => range.rowsets.length));
  return host.isLoading() && longest < 4 * host.limits.rowsetsMax;
}

async function mergeRanges(
  host: CompactionHost,
  schema: TableSchema,
  ranges: readonly MergeRange[],
): Promise<void> {
  const inputs = await pinRanges(host, ranges);
  const spec = { schema, path: host.parts.stagingPath(), inlineBytesMax: host.inlineBytesMax };
  const built = inputs.length === 0 ? undefined : await host.engine.merge(spec, inputs);
  const kept =
    built === undefined || built.rows === 0 ? undefined : await host.parts.keep(built.data);
  if (built !== undefined && kept === undefined) await host.parts.discard(built.data);

  // What was dropped meanwhile is left out; the rest is one entry (S1).
  const alive = ranges.filter(({ tabletId, from, to }) => {
    const rowsets = host.journal.head.tablets.get(tabletId)?.rowsets ?? [];
    return rowsets.some((rowset) => rowset.from === from) && rowsets.some((r) => r.to === to);
  });
  if (alive.length === 0) {
    if (kept !== undefined) await host.parts.discardKept(kept);
    return;
  }
  const rowsOf = new Map(built?.tablets.map((tablet) => [tablet.tabletId, tablet.rows]));
  const tablets = alive.map(({ tabletId, from, to }) => {
    return { tabletId, from, to, rows: rowsOf.get(tabletId) ?? 0 };
  });
  const part = kept === undefined ? null : partFact(kept, built!, schema, true);
  await host.journal.append(
    { type: 'compacted', part, tablets, atMs: host.clock.now() },
    { extra: kept?.extra ?? [] },
  ).durable;
  host.log.write('info', 'compacted', { tableId: schema.tableId, tablets: tablets.length });
}

/** The parts of the ranges alone: `pin` gives all parts up to a version, a merge wants those of its range. */
async function pinRanges(
  host: CompactionHost,
  ranges: readonly MergeRange[],
): Promise<readonly PartInput[]> {
  const at = ranges.map(({ tabletId, to }) => ({ tabletId, version: to }));
  const from = new Map(ranges.map((range) => [range.tabletId, range.from]));
  const inputs = await host.store.pin(QUERY_ID, at);
  return inputs
    .map((input) => {
      const tablets = input.tablets.filter((t) => t.version >= (from.get(t.tabletId) ?? 0));
      return { ...input, tablets };
    })
    .filter((input) => input.tablets.length > 0);
}

async function dropCovered(host: CompactionHost): Promise<void> {
  const untilMs = host.clock.now() - host.coveredMs;
  const tabletIds = [...host.journal.head.tablets.values()]
    .filter((tablet) => tablet.covered.some((rowset) => rowset.atMs <= untilMs))
    .map((tablet) => tablet.tabletId);
  if (tabletIds.length === 0) return;
  await host.journal.append({ type: 'covered.dropped', tabletIds, untilMs }).durable;
}

/** Those of aborted transactions have a bound of their own (C6). */
async function forgetOldRejects(host: CompactionHost): Promise<void> {
  const { journal, store, rejectsTxnsMax } = host;
  const kept = [...journal.durable.rejects].filter(
    ([key, rejects]) => !rejects.aborted && !journal.head.votes.has(key),
  );
  const old = kept.slice(0, Math.max(0, kept.length - rejectsTxnsMax));
  if (old.length > 0) await store.forgetRejects(old.map(([, { txnId }]) => txnId));
}
