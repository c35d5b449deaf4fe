/**
 * Routine-load jobs of the FE: one job actor and its task actors per job, made from facts.
 *
 *   E1. A task of an older epoch commits nothing; it is dropped here and refused in `decide`.
 *   E2. Whatever a job waits for is in its facts or in its tasks' messages.
 */
import { createActor, fromPromise } from 'xstate';
import { assert } from '../../base/assert.ts';
import { LoadError, toErrorData } from '../../base/errors.ts';
import { type JobContext, routineLoadJobMachine } from '../../machines/routine-load-job.ts';
import type { TaskResult } from '../../machines/routine-load-task.ts';
import type { Bus } from '../../protocol/bus.types.ts';
import { commitIntervalMs, restMs } from './commit-interval.ts';
import type { FeKernel, TaskView } from './fe.types.ts';
import type { FeCore } from './fe-core.ts';
import type { FeEntry, JobFact, JobReason, JobState } from './fe-facts.ts';
import { FreshnessMeter, type FreshnessView } from './freshness.ts';
import { startPositions } from './job-positions.ts';
import { clears, reasonOf, retryDelayMs } from './job-reasons.ts';
import { JobWatch, LOOK_TIMEOUT_MS } from './job-watch.ts';
import type { LiveJob, LiveTask } from './live-jobs.types.ts';
import { createLiveTask, type TaskStart } from './live-task.ts';
import type { Nodes } from './nodes.ts';
import { TaskAttempts } from './task-attempts.ts';
import type { Txns } from './txns.ts';

const EMPTIES_MAX = 8;

export class Jobs {
  readonly #core: FeCore;
  readonly #kernel: FeKernel;
  readonly #nodes: Nodes;
  readonly #attempts: TaskAttempts;
  readonly #txns: Txns;
  readonly #watch: JobWatch;
  /** Tasks without a slot. */
  readonly #queued = new Set<LiveTask>();
  readonly #jobs = new Map<number, LiveJob>();
  #closed = false;

  constructor(core: FeCore, kernel: FeKernel, nodes: Nodes, txns: Txns, bus: Bus) {
    this.#core = core;
    this.#kernel = kernel;
    this.#nodes = nodes;
    this.#attempts = new TaskAttempts(core, kernel, nodes, txns);
    this.#txns = txns;
    this.#watch = new JobWatch(core, kernel, nodes, bus, {
      live: (jobId) => this.#jobs.get(jobId),
      ask: (jobId, state, reason, epoch) => this.#ask(jobId, state, reason, epoch),
      unstable: (jobId, epoch, error) => this.#unstable(jobId, epoch, error, 'watch'),
    });
    nodes.onChange((what) => {
      for (const task of [...this.#queued]) task.actor.send({ type: 'task.slot' });
      if (what === 'slot') return;
      for (const live of this.#jobs.values()) live.actor.send({ type: 'job.reconsider' });
    });
  }

  /** After replay: an actor for every job that is not final; what a crash cut short is completed. */
  recover(): void {
    for (const fact of this.#core.journal.head.jobs.values()) {
      if (fact.state === 'STOPPED' || fact.state === 'CANCELLED') continue;
      if (fact.overLimit !== null) {
        const { errors, limit } = fact.overLimit;
        this.#inBackground(
          this.#ask(
            fact.jobId,
            'PAUSED',
            reasonOf.tooManyErrors(errors, limit, this.#core.clock.now()),
          ),
        );
      }
      this.#create(fact.jobId);
    }
  }

  /** Moves the actors by what was queued (routine-load-job.ts: facts come first). */
  onEntry(entry: FeEntry): void {
    switch (entry.type) {
      case 'job.created':
        this.#create(entry.jobId);
        return;
      case 'job.scheduled':
        this.#jobs.get(entry.jobId)?.actor.send({ type: 'fact.scheduled' });
        return;
      case 'job.state':
        this.#onState(entry.jobId, entry.state, entry.reason);
        return;
      case 'job.removed':
        this.#jobs.delete(entry.jobId);
        return;
      case 'table.dropped':
      case 'db.dropped':
        this.#cancelOrphans();
        return;
      case 'config.set':
        for (const live of this.#jobs.values()) live.actor.send({ type: 'job.reconsider' });
        return;
      default:
        return;
    }
  }

  tasks(jobId: number): TaskView[] {
    const live = this.#jobs.get(jobId);
    const fact = this.#core.journal.durable.jobs.get(jobId);
    if (live === undefined || fact === undefined) return [];
    return [...live.tasks.values()].map((task) => ({
      taskId: task.taskId,
      jobId,
      txnId: task.txnId,
      txnStatus: task.txnStatus,
      createdMs: task.createdMs,
      lastScheduledMs: task.lastScheduledMs,
      executeStartMs: task.executeStartMs,
      timeoutS: fact.definition.properties.taskTimeoutSecond,
      beId: task.beId,
      partitions: task.partitions,
      message: task.actor.getSnapshot().context.message,
    }));
  }

  latestOffsets(jobId: number): { offsets: Record<string, string>; atMs: number | null } {
    const live = this.#jobs.get(jobId);
    return { offsets: live?.latest ?? {}, atMs: live?.latestMs ?? null };
  }

  freshness(jobId: number): FreshnessView | null {
    return this.#jobs.get(jobId)?.freshness.view(this.#core.clock.now()) ?? null;
  }

  close(): void {
    this.#closed = true;
    this.#watch.close();
    for (const live of this.#jobs.values()) {
      this.#dropTasks(live);
      live.actor.stop();
    }
  }

  #onState(jobId: number, state: JobState, reason: JobReason | null): void {
    const live = this.#jobs.get(jobId);
    if (live === undefined) return;
    const { clock } = this.#core;
    switch (state) {
      case 'RUNNING':
        live.actor.send({ type: 'fact.stable' });
        return;
      case 'UNSTABLE':
        live.actor.send({ type: 'fact.unstable' });
        return;
      case 'PAUSED':
        live.actor.send({
          type: 'fact.paused',
          retryDelayMs: retryDelayMs(reason, clock.now()),
        });
        return;
      case 'NEED_SCHEDULE':
        live.actor.send({ type: 'fact.needSchedule' });
        return;
      case 'STOPPED':
        live.actor.send({ type: 'fact.stopped' });
        this.#forget(live);
        return;
      case 'CANCELLED':
        live.actor.send({ type: 'fact.cancelled' });
        this.#forget(live);
        return;
    }
  }

  #forget(live: LiveJob): void {
    this.#dropTasks(live);
    this.#jobs.delete(live.jobId);
  }

  #cancelOrphans(): void {
    const { head } = this.#core.journal;
    for (const { jobId } of [...this.#jobs.values()]) {
      const fact = head.jobs.get(jobId);
      if (fact === undefined || head.tables.has(fact.tableId)) continue;
      this.#inBackground(this.#ask(jobId, 'CANCELLED', reasonOf.tableGone(this.#core.clock.now())));
    }
  }

  #fact(jobId: number): JobFact {
    const fact = this.#core.journal.head.jobs.get(jobId);
    assert(fact !== undefined, `job ${jobId} has an actor and no fact`);
    return fact;
  }

  /** Asks for a state, unless the facts have moved on meanwhile. */
  async #ask(
    jobId: number,
    state: JobState,
    reason: JobReason | null,
    epoch?: number,
  ): Promise<void> {
    const fact = this.#core.journal.head.jobs.get(jobId);
    if (fact === undefined || fact.state === 'STOPPED' || fact.state === 'CANCELLED') return;
    if (epoch !== undefined && fact.epoch !== epoch) return;
    await this.#core.append({
      type: 'job.state',
      jobId,
      state,
      reason,
      by: 'system',
      atMs: this.#core.clock.now(),
    });
  }

  /** Nobody waits for it. What can fail is the journal: that ends the process (D3), or this FE decides no more (D4). */
  #inBackground(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.#core.log.write('warn', 'a job could not be moved', { error: String(error) });
    });
  }

  #create(jobId: number): void {
    const fact = this.#fact(jobId);
    const { clock } = this.#core;
    const live: LiveJob = {
      jobId,
      tasks: new Map(),
      latest: {},
      latestMs: null,
      failures: 0,
      kafka: null,
      freshness: new FreshnessMeter(),
      beyond: new Map(),
      nudge: () => {},
      actor: createActor(
        routineLoadJobMachine.provide({
          actors: {
            schedule: fromPromise<void, JobContext>(({ signal }) => this.#schedule(jobId, signal)),
            reconsider: fromPromise<void, JobContext>(() => this.#reconsider(jobId)),
            watch: fromPromise<void, JobContext>(({ signal }) => this.#watch.look(live, signal)),
            autoResume: fromPromise<void, JobContext>(() => this.#autoResume(jobId)),
          },
          actions: {
            startTasks: () => this.#startTasks(live),
            dropTasks: () => this.#dropTasks(live),
          },
        }),
        {
          id: `routine-load-job.${jobId}`,
          clock,
          input: {
            jobId,
            state: fact.state,
            retryDelayMs: retryDelayMs(fact.reason, clock.now()),
          },
        },
      ),
    };
    this.#jobs.set(jobId, live);
    live.actor.start();
  }

  #concurrency(fact: JobFact, partitions: number): number {
    return Math.min(
      partitions,
      fact.definition.properties.desiredConcurrentNumber,
      this.#nodes.alive().length,
      this.#kernel.configNumber('max_routine_load_task_concurrent_num'),
    );
  }

  /** Partitions, positions, tasks. A cause that passes is left to the machine's back-off, with its reason shown. */
  async #schedule(jobId: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#core;
    const fact = this.#fact(jobId);
    const epoch = fact.epoch;
    const { source } = fact.definition;
    try {
      if (!this.#core.journal.head.tables.has(fact.tableId)) {
        await this.#ask(jobId, 'CANCELLED', reasonOf.tableGone(clock.now()), epoch);
        return;
      }
      const kafka = this.#kernel.kafkaConfig(fact.dbId, source);
      const look = await this.#kernel.lookKafka(
        { kafka, topic: source.topic, want: ['partitions', 'beginning', 'end'] },
        LOOK_TIMEOUT_MS,
      );
      if (signal.aborted) return;
      const { partitions, progress } = startPositions(fact, look);
      const n = this.#concurrency(fact, partitions.length);
      if (n <= 0) throw new LoadError('NO_BACKEND', 'no BE is alive', { transient: true });
      if (this.#core.journal.head.jobs.get(jobId)?.epoch !== epoch) return;
      const live = this.#jobs.get(jobId);
      if (live !== undefined) {
        live.latest = { ...look.end };
        live.latestMs = clock.now();
      }
      await this.#core.append({
        type: 'job.scheduled',
        jobId,
        partitions,
        progress,
        concurrency: n,
        atMs: clock.now(),
      });
    } catch (error) {
      await this.#scheduleFailed(jobId, epoch, error);
      throw error;
    }
  }

  async #scheduleFailed(jobId: number, epoch: number, error: unknown): Promise<void> {
    const data = toErrorData(error);
    const { clock } = this.#core;
    const fact = this.#fact(jobId);
    if (data.transient === true) {
      const reason = reasonOf.waiting(data, clock.now());
      if (fact.reason?.cause === reason.cause && fact.reason.message === reason.message) return;
      await this.#ask(jobId, 'NEED_SCHEDULE', reason, epoch);
      return;
    }
    await this.#ask(jobId, 'PAUSED', reasonOf.pausedBy(data, fact, clock.now()), epoch);
  }

  async #reconsider(jobId: number): Promise<void> {
    const fact = this.#fact(jobId);
    const n = this.#concurrency(fact, fact.partitions.length);
    if (n <= 0 || n === fact.concurrency) return;
    if (fact.state !== 'RUNNING' && fact.state !== 'UNSTABLE') return;
    await this.#core.append({
      type: 'job.scheduled',
      jobId,
      partitions: fact.partitions,
      progress: {},
      concurrency: n,
      atMs: this.#core.clock.now(),
    });
  }

  async #autoResume(jobId: number): Promise<void> {
    const fact = this.#fact(jobId);
    if (fact.state !== 'PAUSED') return;
    await this.#ask(jobId, 'NEED_SCHEDULE', null, fact.epoch);
  }

  async #unstable(
    jobId: number,
    epoch: number,
    error: unknown,
    by: 'watch' | 'task',
  ): Promise<void> {
    const fact = this.#core.journal.head.jobs.get(jobId);
    if (fact === undefined || fact.epoch !== epoch) return;
    const reason = reasonOf.unstable(toErrorData(error), by, this.#core.clock.now());
    if (fact.state === 'UNSTABLE' && fact.reason?.cause === reason.cause) return;
    await this.#ask(jobId, 'UNSTABLE', reason, epoch);
  }

  /** routine-load.md 4.3: the partition at index j goes to task j mod n. */
  #startTasks(live: LiveJob): void {
    this.#dropTasks(live);
    live.kafka = null;
    const fact = this.#fact(live.jobId);
    for (let i = 0; i < fact.concurrency; i++) {
      const partitions = fact.partitions.filter((_, j) => j % fact.concurrency === i);
      this.#startTask(live, { partitions, epoch: fact.epoch });
    }
  }

  #dropTasks(live: LiveJob): void {
    for (const task of live.tasks.values()) {
      task.abort.abort(new LoadError('TASK_DROPPED', 'the task was dropped', { transient: true }));
      task.actor.stop();
      this.#queued.delete(task);
    }
    live.tasks.clear();
    this.#watch.drop(live.jobId);
  }

  #startTask(live: LiveJob, start: TaskStart): void {
    const { maxBatchIntervalS } = this.#fact(live.jobId).definition.properties;
    const task = createLiveTask({
      jobId: live.jobId,
      intervalMs: maxBatchIntervalS * 1000,
      start,
      core: this.#core,
      nodes: this.#nodes,
      slotsMax: () => this.#kernel.configNumber('max_routine_load_task_num_per_be'),
      run: (task, slot) => this.#attempts.run(live, task, slot),
      due: (task) => this.#watch.wake(live, task),
      queued: (task, isQueued) => {
        if (isQueued) this.#queued.add(task);
        else this.#queued.delete(task);
      },
      ended: (task, result) => this.#inBackground(this.#taskEnded(live, task, result)),
    });
    live.tasks.set(task.taskId, task);
    task.actor.start();
    this.#watch.sync(live);
  }

  async #taskEnded(live: LiveJob, task: LiveTask, result: TaskResult): Promise<void> {
    if (!live.tasks.delete(task.taskId) || result.kind === 'dropped') return;
    const fact = this.#core.journal.head.jobs.get(live.jobId);
    if (fact === undefined || fact.epoch !== task.epoch) return;
    if (result.kind !== 'aborted') {
      live.failures = 0;
      if (clears(fact, 'task')) await this.#ask(live.jobId, 'RUNNING', null, task.epoch);
      this.#renew(live, task, {
        delayMs: this.#restMs(fact, task, result),
        empties: result.kind === 'empty' ? task.empties + 1 : 0,
      });
      return;
    }
    live.failures += 1;
    const data = toErrorData(result.cause);
    const message = `previous task aborted because of ${data.message}`;
    const delayMs = Math.min(250 * 2 ** Math.min(live.failures, 8), 10_000);
    this.#renew(live, task, { delayMs, message });
    if (data.code === 'TASK_DROPPED') return;
    const pause = reasonOf.afterAbort(data, fact, this.#core.clock.now());
    if (pause !== null) await this.#ask(live.jobId, 'PAUSED', pause, task.epoch);
    else await this.#unstable(live.jobId, task.epoch, result.cause, 'task');
  }

  /** Up to the next transaction; ever longer where what was told to be there is not. */
  #restMs(fact: JobFact, task: LiveTask, result: TaskResult): number {
    const minMs = this.#kernel.configNumber('commit_interval_min_ms');
    const maxMs = fact.definition.properties.maxBatchIntervalS * 1000;
    const intervalMs = commitIntervalMs(minMs, this.#txns.rowsets(fact.tableId), maxMs);
    if (result.kind === 'visible') {
      return restMs(intervalMs, task.executeStartMs, this.#core.clock.now());
    }
    const growth = 2 ** Math.min(task.empties, EMPTIES_MAX);
    return Math.max(intervalMs, Math.min(Math.max(intervalMs, 10) * growth, maxMs));
  }

  #renew(
    live: LiveJob,
    task: LiveTask,
    start: Pick<TaskStart, 'delayMs' | 'message' | 'empties'>,
  ): void {
    const fact = this.#core.journal.head.jobs.get(live.jobId);
    if (this.#closed || fact === undefined || fact.epoch !== task.epoch) return;
    const { partitions, epoch, beId: preferred } = task;
    this.#startTask(live, { ...start, partitions, epoch, preferred });
  }
}
