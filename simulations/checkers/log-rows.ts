/** What the messages of a simulated log are as rows: `p<partition>r<n>,<n>`; `bad…` converts to none, null is empty. */
import type { SimKafka, SimMessage } from '../world/kafka.ts';

export const isBad = (value: string): boolean => value.startsWith('bad');

export function rowId({ committed, value }: SimMessage): string | undefined {
  if (!committed || value === null || isBad(value)) return undefined;
  return value.slice(0, value.indexOf(','));
}

/** Rows that were ever in a log; `there`: only those that a job can still read. */
export function logIds(kafka: SimKafka, which: 'ever' | 'there'): string[] {
  return kafka.partitions
    .flatMap(({ messages }) => messages)
    .filter(({ gone }) => which === 'ever' || gone === null)
    .flatMap((message) => rowId(message) ?? []);
}
