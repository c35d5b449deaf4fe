/** `loads` (the guides' 23 columns first, documents.md Q20) and `load_tracking_logs` of information_schema. */
import { LoadError } from '../../base/errors.ts';
import type { Expr } from '../../sql/ast/expr.ts';
import type { Select } from '../../sql/ast/select.ts';
import type { Row } from '../../sql/eval.ts';
import { timeText, trackingSql } from '../../sql/statements/show-routine-load.ts';
import type { StoredReject } from '../../storage/tablet-store.types.ts';
import { dbNameOf } from './catalog.ts';
import type { FeKernel } from './fe.types.ts';
import type { LabelFact } from './fe-facts.ts';
import { errorLogUrl, rejectLine } from './http-routes.ts';

export const LOADS_COLUMNS = [
  'JOB_ID',
  'LABEL',
  'DATABASE_NAME',
  'STATE',
  'PROGRESS',
  'TYPE',
  'PRIORITY',
  'SCAN_ROWS',
  'FILTERED_ROWS',
  'UNSELECTED_ROWS',
  'SINK_ROWS',
  'ETL_INFO',
  'TASK_INFO',
  'CREATE_TIME',
  'ETL_START_TIME',
  'ETL_FINISH_TIME',
  'LOAD_START_TIME',
  'LOAD_FINISH_TIME',
  'JOB_DETAILS',
  'ERROR_MSG',
  'TRACKING_URL',
  'TRACKING_SQL',
  'REJECTED_RECORD_PATH',
  'TABLE_NAME',
  'LOAD_COMMIT_TIME',
  'SCAN_BYTES',
  'TXN_ID',
] as const;

export function loadRow(kernel: FeKernel, fact: LabelFact, timezone: string): Row {
  const { durable } = kernel;
  const { counts, rejects } = fact;
  const time = (ms: number | null) => (ms === null ? null : timeText(ms, timezone));
  const begin = time(fact.beginMs);
  const scanned = counts.loaded + counts.filtered + counts.unselected;
  const jobId = fact.jobId ?? fact.txnId;
  return [
    String(jobId),
    fact.label,
    dbNameOf(durable, fact.dbId),
    fact.status === 'VISIBLE' ? 'FINISHED' : 'PREPARED',
    'ETL:100%; LOAD:100%',
    fact.source === 'insert' ? 'INSERT' : 'ROUTINE_LOAD',
    'NORMAL',
    String(scanned),
    String(counts.filtered),
    String(counts.unselected),
    String(counts.loaded),
    null,
    null,
    begin,
    begin,
    begin,
    begin,
    time(fact.visibleMs),
    JSON.stringify({ ScanRows: scanned, ScanBytes: counts.receivedBytes }),
    null,
    rejects ? errorLogUrl(kernel, { txnId: fact.txnId, beId: rejects.beId }) : null,
    rejects ? trackingSql(jobId) : null,
    null,
    durable.tables.get(fact.tableId)?.name ?? null,
    time(fact.commitMs),
    String(counts.receivedBytes),
    String(fact.txnId),
  ];
}

export const TRACKING_COLUMNS = [
  'JOB_ID',
  'LABEL',
  'DATABASE_NAME',
  'TRACKING_LOG',
  'TYPE',
  'TXN_ID',
  'TXN_STATUS',
  'TOPIC',
  'PARTITION_ID',
  'SOURCE_OFFSET',
  'ELEMENT',
  'REASON',
  'RAW_RECORD',
] as const;

interface TrackedLoad {
  readonly jobId: number;
  readonly label: string;
  readonly dbId: number;
  readonly type: string;
  readonly txnId: number;
  readonly beId: string;
  readonly aborted: boolean;
}

/** Transactions whose rejects are read for one statement; newer ones first. */
const TRACKED_MAX = 200;

/**
 * One row per rejected row that is kept. A statement that asks for one job, as TrackingSQL does, asks the BEs for that
 * job's alone. A BE that cannot answer is a row that says so: the others' rows are shown.
 */
export async function trackingRows(kernel: FeKernel, select: Select): Promise<Row[]> {
  const { durable } = kernel;
  const wanted = equalities(select);
  const isWanted = (load: TrackedLoad) =>
    (!wanted.has('job_id') || wanted.get('job_id') === String(load.jobId)) &&
    (!wanted.has('label') || wanted.get('label') === load.label);
  const loads: TrackedLoad[] = [...durable.jobs.values()].flatMap((job) =>
    job.rejects.map(({ txnId, beId, label, aborted }) => ({
      jobId: job.jobId,
      label,
      dbId: job.dbId,
      type: 'ROUTINE_LOAD',
      txnId,
      beId,
      aborted,
    })),
  );
  for (const { source, rejects, txnId, label, dbId } of durable.labels.values()) {
    if (source !== 'insert' || !rejects) continue;
    const { beId } = rejects;
    loads.push({ jobId: txnId, label, dbId, type: 'INSERT', txnId, beId, aborted: false });
  }
  const chosen = loads
    .filter(isWanted)
    .sort((a, b) => b.txnId - a.txnId)
    .slice(0, TRACKED_MAX);
  const rows = await Promise.all(chosen.map((load) => rowsOf(kernel, load)));
  return rows.flat();
}

async function rowsOf(kernel: FeKernel, load: TrackedLoad): Promise<Row[]> {
  const row = (log: string, reject: StoredReject | undefined): Row => [
    String(load.jobId),
    load.label,
    dbNameOf(kernel.durable, load.dbId),
    log,
    load.type,
    String(load.txnId),
    load.aborted ? 'ABORTED' : 'COMMITTED',
    reject?.topic || null,
    reject && reject.topic !== '' ? String(reject.partition) : null,
    reject ? String(reject.offset) : null,
    reject ? String(reject.element) : null,
    reject?.reason ?? null,
    reject?.row ?? null,
  ];
  try {
    const rejects = await kernel.rejects(load);
    return rejects.map((reject) => row(rejectLine(reject), reject));
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    return [row(`Error: ${error.message}`, undefined)];
  }
}

/** `column = literal` of the outer WHERE's AND, names in lower case. */
function equalities({ body }: Select): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const visit = (expr: Expr): void => {
    if (expr.kind !== 'binary') return;
    if (expr.op === 'AND') {
      visit(expr.left);
      visit(expr.right);
    }
    if (expr.op !== '=' || expr.left.kind !== 'column') return;
    const name = expr.left.path.at(-1)?.toLowerCase() ?? '';
    if (expr.right.kind === 'string') found.set(name, expr.right.value);
    if (expr.right.kind === 'number') found.set(name, expr.right.text);
  };
  if (body.kind === 'select' && body.where !== undefined && body.from?.kind === 'table') {
    visit(body.where);
  }
  return found;
}
