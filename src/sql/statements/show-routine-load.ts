/** SHOW ROUTINE LOAD and SHOW ROUTINE LOAD TASK as rows of text (routine-load.md 5; documents.md Q5, Q6). */
import type { FeKernel, TaskView } from '../../actors/fe/fe.types.ts';
import type { JobFact, JobReason, ProgressValue } from '../../actors/fe/fe-facts.ts';
import { FRESHNESS_WINDOW_S } from '../../actors/fe/freshness.ts';
import { errorLogUrl } from '../../actors/fe/http-routes.ts';
import { maskProperty } from '../../sources/kafka/kafka-properties.ts';
import { printExpr, quoteIdent } from '../printer.ts';

export const JOB_COLUMNS = [
  'Id',
  'Name',
  'CreateTime',
  'PauseTime',
  'EndTime',
  'DbName',
  'TableName',
  'State',
  'DataSourceType',
  'CurrentTaskNum',
  'JobProperties',
  'DataSourceProperties',
  'CustomProperties',
  'Statistic',
  'Progress',
  'TimestampProgress',
  'ReasonOfStateChanged',
  'ErrorLogUrls',
  'TrackingSQL',
  'OtherMsg',
  'LatestSourcePosition',
  'OffsetLag',
] as const;

export const TASK_COLUMNS = [
  'TaskId',
  'TxnId',
  'TxnStatus',
  'JobId',
  'CreateTime',
  'LastScheduledTime',
  'ExecuteStartTime',
  'Timeout',
  'BeId',
  'DataSourceProperties',
  'Message',
  'LatestOffset',
] as const;

/** The statement that shows a load's rejected rows. */
export function trackingSql(jobId: number): string {
  return `select tracking_log from information_schema.load_tracking_logs where job_id=${jobId}`;
}

/** `yyyy-MM-dd HH:mm:ss` in a zone. */
export function timeText(ms: number, timezone: string): string {
  const parts = new Intl.DateTimeFormat('sv-SE', {
    timeZone: timezone,
    dateStyle: 'short',
    timeStyle: 'medium',
  });
  return parts.format(ms);
}

/** The last offset consumed, as the documents show it; the next one is in SHOW ROUTINE LOAD TASK. */
function shownProgress(next: ProgressValue): string {
  if (next.startsWith('OFFSET_')) return next;
  return next === '0' ? 'OFFSET_ZERO' : String(BigInt(next) - 1n);
}

export function reasonText(reason: JobReason | null): string {
  if (reason === null) return '';
  const { code, cause, message, sinceMs, position, next } = reason;
  const where =
    position === undefined
      ? ''
      : `, at topic ${position.topic} partition ${position.partition} offset ${position.offset}`;
  const since = new Date(sinceMs).toISOString();
  return `ErrorReason{errCode = ${code}, msg='${message}'} (${cause} since ${since}${where}; next: ${next})`;
}

function jobProperties(fact: JobFact): Record<string, string> {
  const { properties, clauses } = fact.definition;
  const csv = properties.format === 'csv';
  const columns = clauses.columns?.map(({ name, expr }) =>
    expr === undefined ? quoteIdent(name) : `${quoteIdent(name)}=${printExpr(expr)}`,
  );
  const byte = (text: string) => String(text === '' ? 0 : text.charCodeAt(0));
  return {
    partitions: clauses.partitions?.names.map(quoteIdent).join(',') ?? '*',
    columnToColumnExpr: columns?.join(',') ?? '*',
    whereExpr: clauses.where === undefined ? '*' : printExpr(clauses.where),
    ...(csv
      ? {
          columnSeparator: clauses.columnSeparator ?? '\\t',
          rowDelimiter: clauses.rowDelimiter ?? '\\n',
          trim_space: String(properties.trimSpace),
          enclose: byte(properties.enclose),
          escape: byte(properties.escape),
        }
      : { dataFormat: 'json' }),
    maxErrorNum: String(properties.maxErrorNumber),
    maxFilterRatio: Number.isInteger(properties.maxFilterRatio)
      ? properties.maxFilterRatio.toFixed(1)
      : String(properties.maxFilterRatio),
    maxBatchIntervalS: String(properties.maxBatchIntervalS),
    maxBatchRows: String(properties.maxBatchRows),
    currentTaskConcurrentNum: String(fact.concurrency),
    desireTaskConcurrentNum: String(properties.desiredConcurrentNumber),
    taskConsumeSecond: String(properties.taskConsumeSecond),
    taskTimeoutSecond: String(properties.taskTimeoutSecond),
    format: properties.format,
    strip_outer_array: String(properties.stripOuterArray),
    jsonpaths: properties.jsonpaths,
    json_root: properties.jsonRoot,
    strict_mode: String(properties.strictMode),
    timezone: properties.timezone,
    partial_update: String(properties.partialUpdate),
    partial_update_mode: 'null',
    log_rejected_record_num: String(properties.logRejectedRecordNum),
    pause_on_fatal_parse_error: String(properties.pauseOnFatalParseError),
  };
}

/** Records between what is loaded and the end of the log, by partition. */
function lagOf(
  fact: JobFact,
  latest: Readonly<Record<string, string>>,
): ReadonlyMap<number, bigint> {
  const lag = new Map<number, bigint>();
  for (const partition of fact.partitions) {
    const next = fact.progress[partition];
    const end = latest[partition];
    if (next === undefined || end === undefined || next.startsWith('OFFSET_')) continue;
    const behind = BigInt(end) - BigInt(next);
    // Next to next: a job that has everything shows 0 (lag.sane).
    lag.set(partition, behind > 0n ? behind : 0n);
  }
  return lag;
}

/** Seconds since the newest loaded record was produced, 0 where everything is loaded; left out where no time is known. */
function lagTimes(
  fact: JobFact,
  lag: ReadonlyMap<number, bigint>,
  nowMs: number,
): Record<string, number> {
  const seconds: Record<string, number> = {};
  for (const [partition, behind] of lag) {
    const at = fact.timestamps[partition];
    if (behind === 0n) seconds[partition] = 0;
    else if (at !== undefined) seconds[partition] = Math.max(0, Math.round((nowMs - at) / 1000));
  }
  return seconds;
}

function statistic(
  kernel: FeKernel,
  fact: JobFact,
  lag: ReadonlyMap<number, bigint>,
): Record<string, unknown> {
  const s = fact.statistics;
  const times = lagTimes(fact, lag, kernel.clock.now());
  const rate = (count: number) => Math.floor((count * 1000) / s.taskExecuteTimeMs);
  return {
    receivedBytes: s.receivedBytes,
    errorRows: s.errorRows,
    committedTaskNum: s.committedTaskNum,
    loadedRows: s.loadedRows,
    loadRowsRate: rate(s.loadedRows),
    abortedTaskNum: s.abortedTaskNum,
    totalRows: s.totalRows,
    unselectedRows: s.unselectedRows,
    receivedBytesRate: rate(s.receivedBytes),
    taskExecuteTimeMs: s.taskExecuteTimeMs,
    partitionLagTime: times,
    emptyMessages: s.emptyMessages,
    coercedValues: s.coercedValues,
    windowErrorRows: fact.window.errors,
    windowTotalRows: fact.window.total,
    lagRecords: Number([...lag.values()].reduce((sum, behind) => sum + behind, 0n)),
    lagSeconds: Math.max(0, ...Object.values(times)),
    produceToVisible: { windowSeconds: FRESHNESS_WINDOW_S, ...kernel.freshness(fact.jobId) },
  };
}

export function jobRow(kernel: FeKernel, fact: JobFact, timezone: string): (string | null)[] {
  const { durable } = kernel;
  const { source } = fact.definition;
  const time = (ms: number | null) => (ms === null ? null : timeText(ms, timezone));
  const latest = kernel.latestOffsets(fact.jobId).offsets;
  const progress = Object.fromEntries(
    fact.partitions.map((one) => [one, shownProgress(fact.progress[one] ?? 'OFFSET_END')]),
  );
  const lag = lagOf(fact, latest);
  const custom = Object.fromEntries(
    Object.entries(source.custom).map(([key, value]) => [key, maskProperty(key, value)]),
  );
  const urls = fact.rejects.slice(-3).map((ref) => errorLogUrl(kernel, ref));
  return [
    String(fact.jobId),
    fact.name,
    time(fact.createdMs),
    time(fact.pausedMs),
    time(fact.endedMs),
    durable.dbs.get(fact.dbId)?.name ?? String(fact.dbId),
    durable.tables.get(fact.tableId)?.name ?? String(fact.tableId),
    fact.state,
    'KAFKA',
    String(kernel.tasks(fact.jobId).length),
    JSON.stringify(jobProperties(fact)),
    JSON.stringify({
      topic: source.topic,
      currentKafkaPartitions: fact.partitions.join(','),
      brokerList: source.brokers.join(','),
    }),
    JSON.stringify(custom),
    JSON.stringify(statistic(kernel, fact, lag)),
    JSON.stringify(progress),
    JSON.stringify(
      Object.fromEntries(Object.entries(fact.timestamps).map(([key, ms]) => [key, String(ms)])),
    ),
    reasonText(fact.reason),
    urls.join(', '),
    urls.length === 0 ? '' : trackingSql(fact.jobId),
    fact.otherMsg,
    JSON.stringify(latest),
    JSON.stringify(Object.fromEntries([...lag].map(([key, behind]) => [key, String(behind)]))),
  ];
}

export function taskRow(
  kernel: FeKernel,
  fact: JobFact,
  task: TaskView,
  timezone: string,
): (string | null)[] {
  const time = (ms: number | null) => (ms === null ? null : timeText(ms, timezone));
  const latest = kernel.latestOffsets(fact.jobId).offsets;
  const pairs = (values: Readonly<Record<string, string>>) =>
    `{${task.partitions.map((one) => `"${one}":${values[one] ?? 'null'}`).join(',')}}`;
  return [
    task.taskId,
    String(task.txnId),
    task.txnStatus === 'PREPARE' || task.txnStatus === 'PREPARED' ? 'UNKNOWN' : task.txnStatus,
    String(fact.jobId),
    time(task.createdMs),
    time(task.lastScheduledMs),
    time(task.executeStartMs),
    String(task.timeoutS),
    task.beId ?? '-1',
    pairs(fact.progress),
    task.message,
    pairs(latest),
  ];
}
