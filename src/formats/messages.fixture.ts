/** Messages for tests: a batch as the Kafka client gives it. */
import type { MessageBatch } from '../sources/kafka/kafka.types.ts';

export function messages(...values: (string | Uint8Array | null)[]): MessageBatch {
  const parts = values.map((value) => (value === null ? null : Buffer.from(value as string)));
  const bytes = Buffer.concat(parts.filter((part) => part !== null));
  let at = 0;
  const start = parts.map((part) => {
    const here = at;
    at += part?.length ?? 0;
    return here;
  });
  return {
    topic: 't',
    partition: 0,
    count: values.length,
    bytes: new Uint8Array(bytes),
    start: Uint32Array.from(start),
    length: Int32Array.from(parts.map((part) => part?.length ?? -1)),
    offsetBase: 0n,
    offsetDelta: Uint32Array.from(values.keys()),
    timestampMs: new Float64Array(values.length),
  };
}
