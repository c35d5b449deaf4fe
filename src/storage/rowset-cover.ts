/** Which rowsets show a tablet at a version (V3), and which of them are worth a merge. Pure. */
import { type BeState, EMPTY_VERSION, type RowsetFact, type TabletFact } from './be-facts.ts';

/**
 * The fewest rowsets that hold exactly the versions up to `version`, or `undefined` where compaction went past it.
 * Merged rowsets nest, so taking the longest that fits is right at each step.
 */
export function rowsetsAt(tablet: TabletFact, version: number): RowsetFact[] | undefined {
  const all = [...tablet.rowsets, ...tablet.covered].filter((rowset) => rowset.to <= version);
  const longest = new Map<number, RowsetFact>();
  for (const rowset of all) {
    const other = longest.get(rowset.from);
    if (other === undefined || other.to < rowset.to) longest.set(rowset.from, rowset);
  }
  const chosen: RowsetFact[] = [];
  let reached = EMPTY_VERSION;
  while (reached < version) {
    const next = longest.get(reached + 1);
    if (next === undefined) return undefined;
    chosen.push(next);
    reached = next.to;
  }
  return chosen;
}

export interface CompactionLimits {
  /** A tablet with more rowsets is worth a merge. */
  readonly rowsetsMax: number;
  /** Rowsets from here on are left alone. */
  readonly rowsetBytesMax: number;
  /** So much goes into one merge. */
  readonly mergeBytesMax: number;
}

export interface MergeRange {
  readonly tabletId: number;
  readonly from: number;
  readonly to: number;
  readonly rowsets: readonly RowsetFact[];
}

/** The ranges of one table's tablets that one merge takes. */
export function planMerge(
  state: BeState,
  table: { tableId: number; schemaId: number },
  limits: CompactionLimits,
): MergeRange[] {
  const ranges: MergeRange[] = [];
  let bytes = 0;
  for (const tablet of state.tablets.values()) {
    if (tablet.tableId !== table.tableId || state.damaged.has(tablet.tabletId)) continue;
    const published = tablet.rowsets.filter((rowset) => rowset.to <= tablet.version);
    if (published.length <= limits.rowsetsMax) continue;
    const fits = (rowset: RowsetFact): boolean => {
      const part = rowset.partId === null ? undefined : state.parts.get(rowset.partId)?.fact;
      if (part !== undefined && part.schemaId !== table.schemaId) return false;
      return bytesOf(state, rowset) < limits.rowsetBytesMax;
    };
    const run = longestRun(published, fits, (rowset) => bytesOf(state, rowset), limits);
    if (run.length < 2) continue;
    bytes += run.reduce((sum, rowset) => sum + bytesOf(state, rowset), 0);
    if (ranges.length > 0 && bytes > limits.mergeBytesMax) break;
    const [first, last] = [run[0]!, run.at(-1)!];
    ranges.push({ tabletId: tablet.tabletId, from: first.from, to: last.to, rowsets: run });
  }
  return ranges;
}

/** A tablet's share of its part. */
function bytesOf(state: BeState, rowset: RowsetFact): number {
  const part = rowset.partId === null ? undefined : state.parts.get(rowset.partId)?.fact;
  return part === undefined ? 0 : (part.length * rowset.rows) / Math.max(1, part.rows);
}

function longestRun(
  rowsets: readonly RowsetFact[],
  fits: (rowset: RowsetFact) => boolean,
  size: (rowset: RowsetFact) => number,
  limits: CompactionLimits,
): RowsetFact[] {
  let best: RowsetFact[] = [];
  let run: RowsetFact[] = [];
  let bytes = 0;
  for (const rowset of rowsets) {
    bytes += size(rowset);
    if (!fits(rowset) || bytes > limits.mergeBytesMax) {
      run = [];
      bytes = 0;
      if (!fits(rowset)) continue;
      bytes = size(rowset);
    }
    run.push(rowset);
    if (run.length > best.length) best = run;
  }
  // A large one before many small ones would be written again and again: it waits until they weigh as much.
  const result = best.slice();
  let rest = result.reduce((sum, rowset) => sum + size(rowset), 0);
  while (result.length > 1) {
    rest -= size(result[0]!);
    if (size(result[0]!) <= rest || rest === 0) break;
    result.shift();
  }
  return result;
}
