/** What entries do to the fact of a job (fe-fold.ts: F1, F2). */
import type { CommitEntry, FeEntry, JobFact } from './fe-facts.ts';

const REJECT_REFS_KEPT = 20;

type Of<Type extends FeEntry['type']> = Extract<FeEntry, { type: Type }>;

export function newJob(entry: Of<'job.created'>): JobFact {
  return {
    jobId: entry.jobId,
    name: entry.name,
    dbId: entry.dbId,
    tableId: entry.tableId,
    createdMs: entry.atMs,
    createdBy: entry.user,
    definition: entry.definition,
    epoch: 1,
    state: 'NEED_SCHEDULE',
    reason: null,
    pausedMs: null,
    endedMs: null,
    partitions: [...(entry.definition.source.pinned ?? [])],
    concurrency: 0,
    progress: { ...entry.progress },
    timestamps: {},
    statistics: {
      totalRows: 0,
      loadedRows: 0,
      errorRows: 0,
      unselectedRows: 0,
      emptyMessages: 0,
      coercedValues: 0,
      receivedBytes: 0,
      taskExecuteTimeMs: 1,
      committedTaskNum: 0,
      abortedTaskNum: 0,
    },
    window: { errors: 0, total: 0 },
    overLimit: null,
    rejects: [],
    otherMsg: '',
    autoResumes: 0,
  };
}

export function applyJobAltered(fact: JobFact, entry: Of<'job.altered'>): void {
  fact.epoch += 1;
  fact.definition = entry.definition;
  Object.assign(fact.progress, entry.progress);
}

export function applyJobScheduled(fact: JobFact, entry: Of<'job.scheduled'>): void {
  fact.epoch += 1;
  fact.state = 'RUNNING';
  fact.reason = null;
  fact.pausedMs = null;
  fact.partitions = [...entry.partitions];
  fact.concurrency = entry.concurrency;
  Object.assign(fact.progress, entry.progress);
}

export function applyJobState(fact: JobFact, entry: Of<'job.state'>): void {
  // RUNNING ⇄ UNSTABLE is a remark about a running job; everything else ends its tasks.
  const remark =
    (fact.state === 'RUNNING' || fact.state === 'UNSTABLE') &&
    (entry.state === 'RUNNING' || entry.state === 'UNSTABLE');
  if (!remark) fact.epoch += 1;
  if (fact.state === 'PAUSED' && entry.state === 'NEED_SCHEDULE') {
    fact.autoResumes = entry.by === 'system' ? fact.autoResumes + 1 : 0;
  }
  fact.state = entry.state;
  fact.reason = entry.reason;
  if (entry.state === 'PAUSED') {
    fact.pausedMs = entry.atMs;
    fact.overLimit = null;
  }
  if (entry.state === 'NEED_SCHEDULE') fact.pausedMs = null;
  if (entry.state === 'STOPPED' || entry.state === 'CANCELLED') fact.endedMs = entry.atMs;
}

export function applyJobCommit(fact: JobFact, entry: CommitEntry): void {
  for (const [partition, range] of Object.entries(entry.progress)) {
    fact.progress[partition] = range.to;
  }
  Object.assign(fact.timestamps, entry.timestamps);
  const { counts } = entry;
  const stats = fact.statistics;
  const total = counts.loaded + counts.filtered + counts.unselected;
  stats.totalRows += total;
  stats.loadedRows += counts.loaded;
  stats.errorRows += counts.filtered;
  stats.unselectedRows += counts.unselected;
  stats.emptyMessages += counts.empty;
  stats.coercedValues += counts.coerced;
  stats.receivedBytes += counts.receivedBytes;
  stats.taskExecuteTimeMs += counts.costMs;
  stats.committedTaskNum += 1;
  fact.autoResumes = 0;
  if (entry.rejects !== null) {
    const { beId, count } = entry.rejects;
    const { txnId, label, atMs } = entry;
    keepRejects(fact, { txnId, beId, label, count, aborted: false, atMs });
  }
  applyWindow(fact, total, counts.filtered);
}

/** routine-load.md 3.3: the window is tumbling, sized by max_batch_rows × 10; the comparison is strict. */
function applyWindow(fact: JobFact, total: number, errors: number): void {
  const { maxErrorNumber, maxBatchRows } = fact.definition.properties;
  const { window } = fact;
  window.errors += errors;
  window.total += total;
  const over = window.errors > maxErrorNumber;
  if (over) fact.overLimit = { errors: window.errors, limit: maxErrorNumber };
  if (over || window.total > maxBatchRows * 10) fact.window = { errors: 0, total: 0 };
}

export function applyTaskAborted(fact: JobFact, entry: Of<'task.aborted'>): void {
  fact.statistics.abortedTaskNum += 1;
  fact.otherMsg = entry.message;
  if (entry.rejects !== null) keepRejects(fact, entry.rejects);
}

function keepRejects(fact: JobFact, rejects: JobFact['rejects'][number]): void {
  fact.rejects.push(rejects);
  fact.rejects.splice(0, Math.max(0, fact.rejects.length - REJECT_REFS_KEPT));
}
