/** What the FE keeps of a job and its tasks beside their facts: lost in a crash, and made anew. */
import type { Actor } from 'xstate';
import type { routineLoadJobMachine } from '../../machines/routine-load-job.ts';
import type { routineLoadTaskMachine } from '../../machines/routine-load-task.ts';

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
}

export interface LiveJob {
  readonly jobId: number;
  readonly actor: Actor<typeof routineLoadJobMachine>;
  readonly tasks: Map<string, LiveTask>;
  latest: Record<string, string>;
  latestMs: number | null;
  /** Aborts in a row, for the tasks' back-off. */
  failures: number;
}
