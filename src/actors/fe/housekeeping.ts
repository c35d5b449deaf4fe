/** What the FE forgets by count and by age. It is asked now and then; what it says becomes entries of the journal. */
import type { FeEntry, FeState } from './fe-facts.ts';

export interface KeepLimits {
  /** `label_keep_max_num` */
  readonly labels: number;
  /** `label_keep_max_second`, in milliseconds. */
  readonly finalJobsMs: number;
}

/** Users' labels beyond the limit, oldest first, and jobs that ended long ago. Pure; ten per cent over is not worth an entry. */
export function forgettable(state: FeState, limits: KeepLimits, atMs: number): FeEntry[] {
  const entries: FeEntry[] = [];
  const labels = [...state.labels.values()].filter(({ userLabel }) => userLabel);
  const visible = labels.filter(({ status }) => status === 'VISIBLE');
  const over = labels.length - limits.labels;
  if (over > limits.labels / 10) {
    const txnIds = visible.slice(0, over).map(({ txnId }) => txnId);
    if (txnIds.length > 0) entries.push({ type: 'labels.forgotten', txnIds, atMs });
  }
  for (const { jobId, state: word, endedMs } of state.jobs.values()) {
    const isFinal = word === 'STOPPED' || word === 'CANCELLED';
    if (isFinal && endedMs !== null && atMs - endedMs > limits.finalJobsMs) {
      entries.push({ type: 'job.removed', jobId });
    }
  }
  return entries;
}
