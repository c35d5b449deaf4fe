/** What the FE keeps of a job and its tasks beside their facts: lost in a crash, and made anew. */
import type { Actor } from 'xstate';
import type { routineLoadJobMachine } from '../../machines/routine-load-job.ts';
import type { routineLoadTaskMachine } from '../../machines/routine-load-task.ts';
import type { KafkaConfig } from '../../sources/kafka/kafka.types.ts';
import type { FreshnessMeter } from './freshness.ts';

export interface LiveTask {
  readonly actor: Actor<typeof routineLoadTaskMachine>;
  readonly taskId: string;
  readonly epoch: number;
  readonly partitions: readonly number[];
  readonly createdMs: number;
  readonly abort: AbortController;
  lastScheduledMs: number | null;
  executeStartMs: number | null;
  txnId: number;
  txnStatus: string;
  beId: string | null;
  /** Tasks in a row for these partitions that found nothing. */
  readonly empties: number;
}

export interface LiveJob {
  readonly jobId: number;
  readonly actor: Actor<typeof routineLoadJobMachine>;
  readonly tasks: Map<string, LiveTask>;
  latest: Record<string, string>;
  latestMs: number | null;
  /** Aborts in a row, for the tasks' back-off. */
  failures: number;
  /** Of the last look; null: to be read anew. */
  kafka: KafkaConfig | null;
  readonly freshness: FreshnessMeter;
  /** Positions that the last look found behind the end of their partition. */
  readonly beyond: Map<string, string>;
  /** Has the job look soon. */
  nudge: () => void;
}
