/** What a job says when it waits or stops: code, cause, since, position, next step (state.reason). */
import type { ErrorData } from '../../base/errors.ts';
import { tooManyErrors } from './decide.ts';
import type { JobFact, JobReason } from './fe-facts.ts';

const NEXT: Readonly<Record<string, string>> = {
  KAFKA_UNREACHABLE:
    'it is tried again by itself; check that the brokers run and can be reached from here',
  KAFKA_TIMEOUT: 'it is tried again by itself; check the brokers and the network',
  KAFKA_LEADER: 'it is tried again by itself once the partition has a leader',
  KAFKA_AUTH:
    'check sasl.mechanism, sasl.username and sasl.password with ALTER ROUTINE LOAD, then RESUME',
  KAFKA_TLS: 'check ssl.ca.location and the certificates with ALTER ROUTINE LOAD, then RESUME',
  KAFKA_UNKNOWN_TOPIC: 'create the topic, then RESUME',
  KAFKA_UNKNOWN_PARTITION: 'set kafka_partitions with ALTER ROUTINE LOAD, then RESUME',
  KAFKA_OFFSET_OUT_OF_RANGE:
    'set kafka_partitions and kafka_offsets with ALTER ROUTINE LOAD to offsets that exist, then RESUME',
  KAFKA_CRC:
    'the broker sent damaged bytes; repair the partition, or ALTER its offset past them, then RESUME',
  KAFKA_BAD_BATCH:
    'the broker sent damaged bytes; repair the partition, or ALTER its offset past them, then RESUME',
  NO_BACKEND: 'it goes on by itself once a BE is alive',
  BE_LOST: 'it goes on by itself once the BE is back',
};

/** Causes of the source that pause a job at once: nobody but a user can end them. */
const LASTING = new Set([
  'KAFKA_AUTH',
  'KAFKA_TLS',
  'KAFKA_UNKNOWN_TOPIC',
  'KAFKA_UNKNOWN_PARTITION',
  'KAFKA_NOT_AUTHORIZED',
  'KAFKA_OFFSET_OUT_OF_RANGE',
  'KAFKA_CRC',
  'KAFKA_BAD_BATCH',
  'KAFKA_CODEC',
  'KAFKA_PROPERTY',
  'TABLET_DAMAGED',
]);

function position(data: ErrorData, fact?: JobFact): Pick<JobReason, 'position'> {
  const { topic, partition, offset } = data.details ?? {};
  if (partition === undefined) return {};
  const from = fact?.progress[String(partition)];
  return {
    position: {
      topic: String(topic ?? fact?.definition.source.topic ?? ''),
      partition: Number(partition),
      offset: String(offset ?? from ?? ''),
    },
  };
}

function base(code: number, data: ErrorData, nowMs: number): JobReason {
  return {
    code,
    cause: data.code,
    message: data.message,
    sinceMs: nowMs,
    next: NEXT[data.code] ?? data.hint ?? 'mend the cause, then RESUME ROUTINE LOAD',
  };
}

export const reasonOf = {
  tooManyErrors,

  tableGone(nowMs: number): JobReason {
    return {
      code: 6,
      cause: 'TABLE_DROPPED',
      message: 'table not exist',
      sinceMs: nowMs,
      next: 'a cancelled job cannot be resumed: create the table and a new job',
    };
  },

  newPartitions(partitions: readonly number[], nowMs: number): JobReason {
    return {
      code: 0,
      cause: 'NEW_PARTITIONS',
      message: `the topic has new partitions: ${partitions.join(', ')}`,
      sinceMs: nowMs,
      next: 'it is divided anew by itself',
    };
  },

  /** NEED_SCHEDULE that does not come on. */
  waiting(data: ErrorData, nowMs: number): JobReason {
    return { ...base(4, data, nowMs), ...position(data) };
  },

  /** Scheduling failed for a cause that does not pass. */
  pausedBy(data: ErrorData, fact: JobFact, nowMs: number): JobReason {
    const code = data.code.startsWith('KAFKA_') ? 4 : 2;
    const message =
      code === 4
        ? `Job failed to fetch all current partition with error [${data.message}]`
        : data.message;
    return { ...base(code, data, nowMs), message, ...position(data, fact) };
  },

  unstable(data: ErrorData, by: 'watch' | 'task', nowMs: number): JobReason {
    return { ...base(by === 'watch' ? 4 : 104, data, nowMs), ...position(data) };
  },

  beyondEnd(
    fact: JobFact,
    partition: string,
    next: string,
    latest: string,
    nowMs: number,
  ): JobReason {
    return {
      code: 104,
      cause: 'KAFKA_OFFSET_BEYOND_END',
      message: `Consume offset: ${next} is greater than the latest offset: ${latest} in kafka partition: ${partition}. You can modify 'kafka_offsets' property through ALTER ROUTINE LOAD and RESUME the job`,
      sinceMs: nowMs,
      position: { topic: fact.definition.source.topic, partition: Number(partition), offset: next },
      next: 'set kafka_offsets with ALTER ROUTINE LOAD, then RESUME',
    };
  },

  /** `null`: a passing cause; the job goes on trying and says so as UNSTABLE. */
  afterAbort(data: ErrorData, fact: JobFact, nowMs: number): JobReason | null {
    if (data.code === 'TOO_MANY_FILTERED_ROWS') {
      return {
        ...base(102, data, nowMs),
        message: `${data.message}. Check the 'TrackingSQL' field for detailed information. If you are sure that the data has many errors, you can set 'max_filter_ratio' property to a greater value through ALTER ROUTINE LOAD and RESUME the job`,
        next: 'look at ErrorLogUrls; nothing of the batch was loaded, RESUME reads it again',
      };
    }
    if (data.transient === true && !LASTING.has(data.code)) return null;
    const message =
      data.code === 'KAFKA_OFFSET_OUT_OF_RANGE'
        ? `Offset out of range: ${data.message}`
        : data.message;
    return { ...base(104, data, nowMs), message, ...position(data, fact) };
  },
};

/** Whether good news from `by` ends the remark UNSTABLE. Trouble of tasks is ended by a task alone. */
export function clears(fact: JobFact, by: 'watch' | 'task'): boolean {
  if (fact.state !== 'UNSTABLE') return false;
  return by === 'task' || fact.reason?.code === 4;
}

/** How long a job waits until it tries again by itself; never longer than was meant, wherever the clock was set. */
export function retryDelayMs(reason: JobReason | null, nowMs: number): number | null {
  if (reason?.retryAtMs === undefined) return null;
  return Math.max(0, Math.min(reason.retryAtMs - nowMs, reason.retryAtMs - reason.sinceMs));
}
