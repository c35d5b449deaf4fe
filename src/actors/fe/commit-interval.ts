/** How long a task waits from one transaction to the next, so that versions do not pile up faster than they are merged. */

/** Up to so many rowsets of a tablet the floor is as configured; beyond it grows with them. */
const ROWSETS_FREE = 100;

/**
 * `rowsets`: of the table's fullest tablet. 100 ms are 100 ms at 100 rowsets, 400 at 200, 1,600 at 400. No row waits longer
 * than the job's max_batch_interval for this alone.
 */
export function commitIntervalMs(minMs: number, rowsets: number, intervalMsMax: number): number {
  const growth = Math.max(1, rowsets / ROWSETS_FREE) ** 2;
  return Math.max(minMs, Math.min(minMs * growth, intervalMsMax));
}

/** What is left of it once the transaction that began at `beginMs` has ended. */
export function restMs(intervalMs: number, beginMs: number | null, nowMs: number): number {
  // A clock that was set back makes no rest longer than that.
  const passedMs = beginMs === null ? 0 : Math.max(0, nowMs - beginMs);
  return Math.max(0, intervalMs - passedMs);
}
