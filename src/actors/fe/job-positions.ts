/** Which partitions a job reads, and from where each: what is written when it is scheduled (routine-load.md 4.7). Pure. */
import { LoadError } from '../../base/errors.ts';
import type { KafkaLookReply } from '../messages.ts';
import type { JobFact } from './fe-facts.ts';

export interface StartPositions {
  /** Ascending. */
  readonly partitions: number[];
  /** The next offset by partition; never a symbol. */
  readonly progress: Readonly<Record<string, string>>;
}

/** Throws KAFKA_UNKNOWN_PARTITION for one that the topic has not, KAFKA_LEADER (transient) where the broker gave no offsets. */
export function startPositions(fact: JobFact, look: KafkaLookReply): StartPositions {
  const { source } = fact.definition;
  const partitions = [...(source.pinned ?? look.partitions)].sort((a, b) => a - b);
  const unknown = partitions.find((partition) => !look.partitions.includes(partition));
  if (unknown !== undefined) {
    throw new LoadError(
      'KAFKA_UNKNOWN_PARTITION',
      `there is an invalid custom partition: ${unknown} for topic: ${source.topic}`,
    );
  }
  const progress: Record<string, string> = {};
  for (const partition of partitions) {
    const key = String(partition);
    // A partition found later begins at the beginning: nothing of it is lost.
    const later = fact.partitions.length > 0 && !fact.partitions.includes(partition);
    const start =
      fact.progress[key] ?? source.defaultOffset ?? (later ? 'OFFSET_BEGINNING' : 'OFFSET_END');
    const symbol = start === 'OFFSET_BEGINNING' ? look.beginning : look.end;
    const known = start.startsWith('OFFSET_') ? symbol[key] : start;
    if (known === undefined) {
      throw new LoadError('KAFKA_LEADER', `partition ${key} has no offsets`, { transient: true });
    }
    progress[key] = known;
  }
  return { partitions, progress };
}
