/** One task of a job as the FE has it: its actor, its slot on a BE, and what SHOW ROUTINE LOAD TASK tells of it. */
import { createActor, fromPromise } from 'xstate';
import { assert } from '../../base/assert.ts';
import { randomUuid } from '../../base/random.ts';
import {
  routineLoadTaskMachine,
  type TaskContext,
  type TaskResult,
} from '../../machines/routine-load-task.ts';
import type { FeCore } from './fe-core.ts';
import type { LiveTask } from './live-jobs.types.ts';
import type { Nodes } from './nodes.ts';

type Slot = ReturnType<Nodes['takeSlot']>;

export interface TaskStart {
  readonly partitions: readonly number[];
  readonly epoch: number;
  readonly delayMs?: number;
  readonly message?: string | null;
  /** The BE that the partitions were read by before. */
  readonly preferred?: string | null;
  /** Attempts in a row that found nothing. */
  readonly empties?: number;
}

export interface LiveTaskOptions {
  readonly jobId: number;
  /** The longest that it waits for data. */
  readonly intervalMs: number;
  readonly start: TaskStart;
  readonly core: Pick<FeCore, 'clock' | 'random'>;
  readonly nodes: Pick<Nodes, 'takeSlot' | 'freeSlot'>;
  /** Of a BE. */
  readonly slotsMax: () => number;
  readonly run: (task: LiveTask, slot: Slot) => Promise<TaskResult>;
  /** It waits for data from here on. */
  readonly due: (task: LiveTask) => void;
  /** It waits for a slot, or no more. */
  readonly queued: (task: LiveTask, isQueued: boolean) => void;
  readonly ended: (task: LiveTask, result: TaskResult) => void;
}

/** Its actor is not started yet. A task that is dropped, by its `abort`, gives its slot back. */
export function createLiveTask(options: LiveTaskOptions): LiveTask {
  const { core, nodes, start } = options;
  const { clock, random } = core;
  const { partitions, epoch, delayMs = 0, message = null, preferred = null } = start;
  const taskId = randomUuid(random);
  let slot: Slot | null = null;
  /** Looked at once the machine is where its action says. */
  let isDue = false;
  const free = () => {
    if (slot !== null) nodes.freeSlot(slot);
    slot = null;
  };
  const machine = routineLoadTaskMachine.provide({
    actors: {
      takeSlot: fromPromise<Slot, TaskContext>(async () => {
        slot = nodes.takeSlot(options.slotsMax(), preferred);
        return slot;
      }),
      run: fromPromise<TaskResult, TaskContext>(async ({ input }) => {
        assert(input.slot !== null, 'K2: a task runs with a slot');
        return options.run(task, input.slot);
      }),
    },
    actions: {
      freeSlot: free,
      schedule: () => {
        isDue = true;
      },
    },
  });
  const { jobId, intervalMs } = options;
  const input = { taskId, jobId, partitions, delayMs, message, intervalMs };
  const task: LiveTask = {
    taskId,
    epoch,
    partitions,
    createdMs: clock.now(),
    abort: new AbortController(),
    lastScheduledMs: null,
    executeStartMs: null,
    txnId: -1,
    txnStatus: 'UNKNOWN',
    beId: null,
    empties: start.empties ?? 0,
    actor: createActor(machine, { id: `routine-load-task.${taskId}`, clock, input }),
  };
  task.abort.signal.addEventListener('abort', free, { once: true });
  task.actor.subscribe({
    next: ({ value }) => {
      options.queued(task, value === 'queued');
      if (!isDue) return;
      isDue = false;
      options.due(task);
    },
    complete: () => {
      options.queued(task, false);
      options.ended(task, task.actor.getSnapshot().output ?? { kind: 'dropped' });
    },
  });
  return task;
}
