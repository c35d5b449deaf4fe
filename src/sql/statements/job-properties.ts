/** Properties of a routine-load job and of its Kafka source, checked as routine-load.md 2 says. */
import { isIP } from 'node:net';
import type { JobProperties, KafkaSource, ProgressValue } from '../../actors/fe/fe-facts.ts';
import { LoadError } from '../../base/errors.ts';
import {
  parseBrokerList,
  parseOffset,
  parseOffsets,
  parsePartitions,
} from '../../sources/kafka/kafka-properties.ts';
import type { Property } from '../ast/statement.ts';

function bad(message: string): LoadError {
  return new LoadError('PROPERTY', message, { errno: 1064 });
}

function whole(text: string, min: number, message: string): number {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text.trim()) || !Number.isSafeInteger(value) || value < min)
    throw bad(message);
  return value;
}

function boolean(key: string, text: string): boolean {
  const word = text.toLowerCase();
  if (word !== 'true' && word !== 'false') throw bad(`${key} should be a boolean`);
  return word === 'true';
}

export interface JobDefaults {
  readonly timezone: string;
  readonly consumeSecond: number;
  readonly timeoutSecond: number;
}

export function defaultProperties(defaults: JobDefaults): JobProperties {
  return {
    desiredConcurrentNumber: 3,
    maxErrorNumber: 0,
    maxFilterRatio: 1,
    maxBatchIntervalS: 10,
    maxBatchRows: 200_000,
    taskConsumeSecond: defaults.consumeSecond,
    taskTimeoutSecond: defaults.timeoutSecond,
    strictMode: false,
    timezone: defaults.timezone,
    format: 'csv',
    stripOuterArray: false,
    jsonpaths: '',
    jsonRoot: '',
    trimSpace: false,
    enclose: '',
    escape: '',
    logRejectedRecordNum: 0,
    pauseOnFatalParseError: false,
    skipOnFatalParseError: false,
    partialUpdate: false,
  };
}

export function checkTimezone(zone: string): string {
  if (/^[+-](?:0[0-9]|1[0-4]):[0-5][0-9]$/.test(zone)) return zone;
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    if (isIP(zone) === 0) return zone;
  } catch {
    // Told below.
  }
  throw new LoadError('TIMEZONE', `Unknown or incorrect time zone: '${zone}'`, { errno: 1298 });
}

type Draft = { -readonly [K in keyof JobProperties]: JobProperties[K] };

const READERS: Readonly<Record<string, (draft: Draft, value: string) => void>> = {
  desired_concurrent_number: (d, v) => {
    d.desiredConcurrentNumber = whole(v, 1, 'desired_concurrent_number should > 0');
  },
  max_error_number: (d, v) => {
    d.maxErrorNumber = whole(v, 0, 'max_error_number should >= 0');
  },
  max_filter_ratio: (d, v) => {
    const ratio = Number(v);
    if (v.trim() === '' || Number.isNaN(ratio)) throw bad('Incorrect format of max_filter_ratio');
    if (ratio < 0 || ratio > 1) throw bad('max_filter_ratio must between 0.0 and 1.0.');
    d.maxFilterRatio = ratio;
  },
  max_batch_interval: (d, v) => {
    d.maxBatchIntervalS = whole(v, 5, 'max_batch_interval should >= 5');
  },
  max_batch_rows: (d, v) => {
    d.maxBatchRows = whole(v, 200_000, 'max_batch_rows should >= 200000');
  },
  max_batch_size: () => {},
  strict_mode: (d, v) => {
    d.strictMode = boolean('strict_mode', v);
  },
  timezone: (d, v) => {
    d.timezone = checkTimezone(v);
  },
  partial_update: (d, v) => {
    d.partialUpdate = boolean('partial_update', v);
    if (d.partialUpdate)
      throw bad('partial_update needs a PRIMARY KEY table, which is not supported yet');
  },
  format: (d, v) => {
    const format = v.toLowerCase();
    if (format === 'avro') throw bad('the format avro is not supported yet');
    if (format !== 'csv' && format !== 'json') throw bad(`Format type is invalid. format=\`${v}\``);
    d.format = format;
  },
  strip_outer_array: (d, v) => {
    d.stripOuterArray = v.toLowerCase() === 'true';
  },
  jsonpaths: (d, v) => {
    d.jsonpaths = v;
  },
  json_root: (d, v) => {
    d.jsonRoot = v;
  },
  trim_space: (d, v) => {
    d.trimSpace = boolean('trim_space', v);
  },
  enclose: (d, v) => {
    d.enclose = v;
  },
  escape: (d, v) => {
    d.escape = v;
  },
  log_rejected_record_num: (d, v) => {
    d.logRejectedRecordNum = v === '-1' ? -1 : whole(v, 0, 'log_rejected_record_num should >= -1');
  },
  pause_on_fatal_parse_error: (d, v) => {
    d.pauseOnFatalParseError = boolean('pause_on_fatal_parse_error', v);
  },
  skip_on_fatal_parse_error: (d, v) => {
    d.skipOnFatalParseError = boolean('skip_on_fatal_parse_error', v);
  },
};

/** Not to be changed by ALTER (routine-load.md 1.2). */
const FIXED = new Set([
  'format',
  'partial_update',
  'trim_space',
  'enclose',
  'escape',
  'log_rejected_record_num',
]);

export function readJobProperties(
  before: JobProperties,
  properties: readonly Property[],
  alter: boolean,
): JobProperties {
  const draft: Draft = { ...before };
  const given = new Map(properties.map(({ key, value }) => [key.toLowerCase(), value]));
  for (const [key, value] of given) {
    if (key === 'task_consume_second' || key === 'task_timeout_second') continue;
    const read = Object.hasOwn(READERS, key) ? READERS[key] : undefined;
    if (read === undefined || (alter && FIXED.has(key))) throw bad(`${key} is invalid property`);
    read(draft, value);
  }
  readTimes(draft, given);
  return draft;
}

/** One of the two gives the other: timeout is four times consume. */
function readTimes(draft: Draft, given: ReadonlyMap<string, string>): void {
  const consume = given.get('task_consume_second');
  const timeout = given.get('task_timeout_second');
  const read = (key: string, text: string) => {
    if (!/^[0-9]+$/.test(text.trim())) throw bad(`Incorrect format of ${key}`);
    return whole(text, 1, `${key} must be greater than 0`);
  };
  if (consume !== undefined) draft.taskConsumeSecond = read('task_consume_second', consume);
  if (timeout !== undefined) draft.taskTimeoutSecond = read('task_timeout_second', timeout);
  if (consume !== undefined && timeout === undefined)
    draft.taskTimeoutSecond = 4 * draft.taskConsumeSecond;
  if (timeout !== undefined && consume === undefined) {
    draft.taskConsumeSecond = Math.max(1, Math.floor(draft.taskTimeoutSecond / 4));
  }
  if (draft.taskConsumeSecond >= draft.taskTimeoutSecond) {
    throw bad('task_timeout_second must be larger than task_consume_second');
  }
}

export interface ReadSource {
  readonly source: KafkaSource;
  /** Positions that the statement sets, by partition. */
  readonly progress: Record<string, ProgressValue>;
}

const SOURCE_KEYS = new Set([
  'kafka_broker_list',
  'kafka_topic',
  'kafka_partitions',
  'kafka_offsets',
]);

function progressValue(offset: ReturnType<typeof parseOffset>): ProgressValue {
  if (offset === 'beginning') return 'OFFSET_BEGINNING';
  if (offset === 'end') return 'OFFSET_END';
  return String(offset);
}

/** `before` is given by ALTER: what is not named stays. */
export function readKafkaSource(
  properties: readonly Property[],
  groupId: string,
  before?: KafkaSource,
): ReadSource {
  const given = new Map(properties.map(({ key, value }) => [key, value]));
  const named: [string, string][] = [];
  for (const [key, value] of given) {
    if (SOURCE_KEYS.has(key)) continue;
    if (!key.startsWith('property.')) throw bad(`${key} is invalid kafka custom property`);
    if (key === 'property.') throw bad('kafka property value could not be a empty string');
    named.push([key.slice('property.'.length), value]);
  }
  // By entries, as a name may be one that objects have.
  const custom = Object.fromEntries([...Object.entries(before?.custom ?? {}), ...named]);
  custom['group.id'] ??= groupId;
  const brokers = given.get('kafka_broker_list');
  const topic = given.get('kafka_topic')?.replaceAll(/\s/g, '');
  if (before === undefined && !brokers) throw bad('kafka_broker_list is a required property');
  if (before === undefined && !topic) throw bad('kafka_topic is a required property');
  if (before !== undefined && topic !== undefined && topic !== before.topic) {
    throw bad('kafka_topic is invalid property: the topic of a job cannot be changed');
  }
  const partitions = given.get('kafka_partitions');
  const offsets = given.get('kafka_offsets');
  if (partitions === undefined && offsets !== undefined) {
    throw bad('Partitions number should be equals to offsets number');
  }
  if (before !== undefined && partitions !== undefined && offsets === undefined) {
    throw bad('Partitions number should be equals to offsets number');
  }
  const list = partitions === undefined ? undefined : parsePartitions(partitions);
  const found = custom.kafka_default_offsets;
  const defaultOffset = found === undefined ? null : progressValue(parseOffset(found));
  const progress: Record<string, ProgressValue> = {};
  if (list !== undefined && offsets !== undefined) {
    const values = parseOffsets(offsets, list.length);
    list.forEach((partition, i) => {
      progress[partition] = progressValue(values[i] ?? 'end');
    });
  } else if (list !== undefined) {
    for (const partition of list) progress[partition] = defaultOffset ?? 'OFFSET_END';
  }
  const pinned =
    list === undefined
      ? (before?.pinned ?? null)
      : before !== undefined && before.pinned === null
        ? null
        : [...new Set([...(before?.pinned ?? []), ...list])].sort((a, b) => a - b);
  return {
    source: {
      brokers: brokers === undefined ? (before?.brokers ?? []) : parseBrokerList(brokers),
      topic: topic ?? before?.topic ?? '',
      pinned,
      custom,
      defaultOffset,
    },
    progress,
  };
}
