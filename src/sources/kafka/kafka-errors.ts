/** Kafka's error codes as LoadErrors, and which of them fresh metadata may heal. */
import { LoadError } from '../../base/errors.ts';

export interface AnswerPlace {
  readonly topic: string;
  readonly partition?: number;
  readonly offset?: string;
}

/** By code: name, and what it means here. What is not listed is an answer nobody expects, and is tried again. */
const codes: ReadonlyMap<number, readonly [name: string, code: string]> = new Map([
  [-1, ['UNKNOWN_SERVER_ERROR', 'KAFKA_LEADER']],
  [1, ['OFFSET_OUT_OF_RANGE', 'KAFKA_OFFSET_OUT_OF_RANGE']],
  [2, ['CORRUPT_MESSAGE', 'KAFKA_CRC']],
  [3, ['UNKNOWN_TOPIC_OR_PARTITION', 'KAFKA_UNKNOWN_TOPIC']],
  [5, ['LEADER_NOT_AVAILABLE', 'KAFKA_LEADER']],
  [6, ['NOT_LEADER_OR_FOLLOWER', 'KAFKA_LEADER']],
  [7, ['REQUEST_TIMED_OUT', 'KAFKA_TIMEOUT']],
  [8, ['BROKER_NOT_AVAILABLE', 'KAFKA_LEADER']],
  [9, ['REPLICA_NOT_AVAILABLE', 'KAFKA_LEADER']],
  [13, ['NETWORK_EXCEPTION', 'KAFKA_LEADER']],
  [17, ['INVALID_TOPIC_EXCEPTION', 'KAFKA_UNKNOWN_TOPIC']],
  [29, ['TOPIC_AUTHORIZATION_FAILED', 'KAFKA_NOT_AUTHORIZED']],
  [30, ['GROUP_AUTHORIZATION_FAILED', 'KAFKA_NOT_AUTHORIZED']],
  [31, ['CLUSTER_AUTHORIZATION_FAILED', 'KAFKA_NOT_AUTHORIZED']],
  [56, ['KAFKA_STORAGE_ERROR', 'KAFKA_LEADER']],
  [74, ['FENCED_LEADER_EPOCH', 'KAFKA_LEADER']],
  [75, ['UNKNOWN_LEADER_EPOCH', 'KAFKA_LEADER']],
  [76, ['UNSUPPORTED_COMPRESSION_TYPE', 'KAFKA_CODEC']],
  [78, ['OFFSET_NOT_AVAILABLE', 'KAFKA_LEADER']],
  [100, ['UNKNOWN_TOPIC_ID', 'KAFKA_LEADER']],
  [103, ['INCONSISTENT_TOPIC_ID', 'KAFKA_LEADER']],
]);

const transientCodes = new Set(['KAFKA_LEADER', 'KAFKA_TIMEOUT', 'KAFKA_UNREACHABLE']);

const hints: Readonly<Record<string, string>> = {
  KAFKA_UNKNOWN_TOPIC: 'check kafka_topic and kafka_broker_list; topics are not created here',
  KAFKA_NOT_AUTHORIZED: 'the user of property.sasl.username needs READ and DESCRIBE on the topic',
  KAFKA_CRC: 'the broker found the damage in its own log; check its disk',
};

export function brokerAnswer(errorCode: number, place: AnswerPlace): LoadError {
  const [name, code] = codes.get(errorCode) ?? [`error ${errorCode}`, 'KAFKA_LEADER'];
  const { topic, partition } = place;
  const what = `topic "${topic}"${partition === undefined ? '' : ` partition ${partition}`}`;
  const hint = hints[code];
  const message =
    code === 'KAFKA_UNKNOWN_TOPIC'
      ? `${what} does not exist (${name})`
      : `the broker refused ${what}: ${name}`;
  return new LoadError(code, message, {
    details: { ...place, errorCode },
    transient: transientCodes.has(code),
    ...(hint === undefined ? {} : { hint }),
  });
}

/**
 * A broker that just started, or has not heard of a new topic, says for a moment that it is unknown: that is
 * believed at the third time. A partition may be younger than the metadata at hand, which is asked for anew once.
 */
export function follows(error: LoadError, tries: number): boolean {
  if (error.code === 'KAFKA_UNKNOWN_TOPIC') return tries < 3;
  if (error.code === 'KAFKA_UNKNOWN_PARTITION') return tries < 2;
  return error.transient;
}
