/** SHOW CREATE ROUTINE LOAD (routine-load.md 5.6): a text that creates the job again, secrets apart. */
import type { JobFact } from '../../actors/fe/fe-facts.ts';
import { maskProperty } from '../../sources/kafka/kafka-properties.ts';
import { printExpr, quoteIdent } from '../printer.ts';

const quote = (text: string) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;

/** A delimiter is kept as written between its quotes; only a `\x` form is one where a string would read it twice. */
const delimiter = (text: string) => (/^\\x/i.test(text) ? `"${text}"` : quote(text));

function list(properties: readonly (readonly [string, string])[]): string {
  return properties.map(([key, value]) => `${quote(key)} = ${quote(value)}`).join(',\n');
}

function clauseTexts({ definition }: JobFact): string[] {
  const { clauses } = definition;
  const columns = clauses.columns?.map(({ name, expr }) =>
    expr === undefined ? quoteIdent(name) : `${quoteIdent(name)} = ${printExpr(expr)}`,
  );
  return [
    ...(clauses.columnSeparator === undefined
      ? []
      : [`COLUMNS TERMINATED BY ${delimiter(clauses.columnSeparator)}`]),
    ...(clauses.rowDelimiter === undefined
      ? []
      : [`ROWS TERMINATED BY ${delimiter(clauses.rowDelimiter)}`]),
    ...(columns === undefined ? [] : [`COLUMNS(${columns.join(', ')})`]),
    ...(clauses.where === undefined ? [] : [`WHERE ${printExpr(clauses.where)}`]),
  ];
}

function jobProperties({ definition }: JobFact): [string, string][] {
  const p = definition.properties;
  const isJson = p.format === 'json';
  return [
    ['desired_concurrent_number', String(p.desiredConcurrentNumber)],
    ['max_error_number', String(p.maxErrorNumber)],
    ['max_filter_ratio', String(p.maxFilterRatio)],
    ['max_batch_interval', String(p.maxBatchIntervalS)],
    ['max_batch_rows', String(p.maxBatchRows)],
    ['task_consume_second', String(p.taskConsumeSecond)],
    ['task_timeout_second', String(p.taskTimeoutSecond)],
    ['format', p.format],
    ...(isJson
      ? ([
          ['jsonpaths', p.jsonpaths],
          ['strip_outer_array', String(p.stripOuterArray)],
          ['json_root', p.jsonRoot],
        ] as [string, string][])
      : ([
          ['trim_space', String(p.trimSpace)],
          ...(p.enclose === '' ? [] : [['enclose', p.enclose]]),
          ...(p.escape === '' ? [] : [['escape', p.escape]]),
        ] as [string, string][])),
    ['strict_mode', String(p.strictMode)],
    ['pause_on_fatal_parse_error', String(p.pauseOnFatalParseError)],
    ['skip_on_fatal_parse_error', String(p.skipOnFatalParseError)],
    ['timezone', p.timezone],
    ['log_rejected_record_num', String(p.logRejectedRecordNum)],
  ];
}

/** Where the statement would begin: pinned partitions with the positions at which the job is now. */
function sourceProperties({ name, definition, progress }: JobFact): [string, string][] {
  const { source } = definition;
  const pinned = source.pinned;
  const offsets = pinned?.map((partition) => progress[partition] ?? 'OFFSET_END');
  const generated = new RegExp(`^${name.replaceAll('-', '\\-')}_[0-9a-f-]{36}$`);
  const custom = Object.entries(source.custom).filter(
    ([key, value]) => key !== 'group.id' || !generated.test(value),
  );
  return [
    ['kafka_broker_list', source.brokers.join(',')],
    ['kafka_topic', source.topic],
    ...(pinned === null || offsets === undefined
      ? []
      : ([
          ['kafka_partitions', pinned.join(',')],
          ['kafka_offsets', offsets.join(',')],
        ] as [string, string][])),
    ...custom.map(([key, value]): [string, string] => [
      `property.${key}`,
      maskProperty(key, value),
    ]),
  ];
}

export function createJobText(job: JobFact, db: string, table: string): string {
  const clauses = clauseTexts(job);
  return [
    `CREATE ROUTINE LOAD ${quoteIdent(db)}.${quoteIdent(job.name)} ON ${quoteIdent(table)}`,
    ...(clauses.length === 0 ? [] : [clauses.join(',\n')]),
    `PROPERTIES\n(\n${list(jobProperties(job))}\n)`,
    `FROM KAFKA\n(\n${list(sourceProperties(job))}\n);`,
  ].join('\n');
}
