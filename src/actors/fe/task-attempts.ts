/** One transaction of a task: asked of its BE, decided here, or recorded as aborted (DESIGN.md, decision 1). */
import { assert } from '../../base/assert.ts';
import { LoadError, toErrorData } from '../../base/errors.ts';
import { randomUuid } from '../../base/random.ts';
import type { TaskResult } from '../../machines/routine-load-task.ts';
import { planLoad } from '../../sql/statements/load-plan.ts';
import type { AbortMessage, TaskRunReply, TaskRunRequest } from '../messages.ts';
import type { FeKernel } from './fe.types.ts';
import type { FeCore } from './fe-core.ts';
import type { JobFact, RejectRef, TableFact } from './fe-facts.ts';
import type { LiveJob, LiveTask } from './live-jobs.types.ts';
import { placeTarget } from './load-target.ts';
import type { Nodes } from './nodes.ts';
import type { Txns } from './txns.ts';

const REJECTS_MAX = 50;

export class TaskAttempts {
  readonly #core: FeCore;
  readonly #kernel: FeKernel;
  readonly #nodes: Nodes;
  readonly #txns: Txns;

  constructor(core: FeCore, kernel: FeKernel, nodes: Nodes, txns: Txns) {
    this.#core = core;
    this.#kernel = kernel;
    this.#nodes = nodes;
    this.#txns = txns;
  }

  async run(
    live: LiveJob,
    task: LiveTask,
    slot: { beId: string; incarnation: string },
  ): Promise<TaskResult> {
    const { clock, journal } = this.#core;
    const fact = journal.head.jobs.get(live.jobId);
    assert(fact !== undefined, 'a live job has its fact');
    const table = journal.head.tables.get(fact.tableId);
    if (table === undefined) throw new LoadError('TABLE_DROPPED', 'the table was dropped');
    const txnId = this.#txns.nextTxnId();
    const label = `${fact.name}-${fact.jobId}-${task.taskId}`;
    const beginMs = clock.now();
    task.executeStartMs = beginMs;
    task.beId = slot.beId;
    task.txnId = txnId;
    task.txnStatus = 'PREPARE';
    const { properties } = fact.definition;
    let empty = false;
    let staged: Extract<TaskRunReply, { kind: 'staged' }> | undefined;
    const outcome = await this.#txns.run(
      {
        txnId,
        prepare: async (signal) => {
          const reply = await this.#nodes.requestOnce<TaskRunReply>(
            slot,
            'task-run',
            this.#request(fact, table, task, txnId, label),
            { timeoutMs: properties.taskTimeoutSecond * 1000, signal },
          );
          if (reply.kind === 'empty') {
            empty = true;
            return null;
          }
          staged = reply;
          live.latest = { ...live.latest, ...reply.ends };
          checkRatio(reply.counts, properties.maxFilterRatio, reply.rejects);
          task.txnStatus = 'PREPARED';
          return {
            txnId,
            attempt: 1,
            dbId: fact.dbId,
            tableId: table.tableId,
            schemaId: table.schema.schemaId,
            label,
            source: 'routine_load' as const,
            job: { jobId: fact.jobId, epoch: task.epoch, taskId: task.taskId },
            votes: reply.votes,
            progress: reply.progress,
            timestamps: reply.timestamps,
            counts: reply.counts,
            rejects: reply.rejects,
            beginMs,
          };
        },
        abort: () => this.#tellAbort(txnId, empty),
      },
      task.abort.signal,
    );
    if (empty) return { kind: 'empty' };
    if (!outcome.committed) {
      await this.#recordAbort(fact.jobId, txnId, label, slot.beId, outcome.cause);
      return { kind: 'aborted', cause: outcome.cause };
    }
    task.txnStatus = 'COMMITTED';
    await outcome.visible;
    if (staged !== undefined) {
      const { loaded, filtered, unselected } = staged.counts;
      live.freshness.note(staged.producedMs, loaded + filtered + unselected, clock.now());
    }
    return { kind: 'visible' };
  }

  async #tellAbort(txnId: number, empty: boolean): Promise<void> {
    if (empty) return;
    const message: AbortMessage = { fe: this.#core.stamp(), txnId, attempt: 1 };
    await Promise.all(
      this.#nodes
        .alive()
        .map((be) =>
          this.#nodes.request(be, 'abort', message, { timeoutMs: 2_000 }).catch(() => undefined),
        ),
    );
  }

  async #recordAbort(
    jobId: number,
    txnId: number,
    label: string,
    beId: string,
    cause: unknown,
  ): Promise<void> {
    const data = toErrorData(cause);
    if (data.code === 'TASK_DROPPED') return;
    const atMs = this.#core.clock.now();
    const count = Number(data.details?.rejects ?? 0);
    const rejects: RejectRef | null =
      count > 0 ? { txnId, beId, label, count, aborted: true, atMs } : null;
    await this.#core.append({
      type: 'task.aborted',
      jobId,
      txnId,
      message: `[${new Date(atMs).toISOString()}] ${data.message}`,
      rejects,
      atMs,
    });
  }

  #request(
    fact: JobFact,
    table: TableFact,
    task: LiveTask,
    txnId: number,
    label: string,
  ): TaskRunRequest {
    const { clock, random } = this.#core;
    const { properties, source } = fact.definition;
    const context = { timezone: properties.timezone, nowMs: clock.now(), seed: randomUuid(random) };
    const plan = planLoad(table, fact.definition);
    return {
      fe: this.#core.stamp(),
      txnId,
      attempt: 1,
      label,
      kafka: this.#kernel.kafkaConfig(fact.dbId, source),
      topic: source.topic,
      groupId: source.custom['group.id'] ?? fact.name,
      ranges: task.partitions.map((partition) => {
        const from = fact.progress[String(partition)];
        assert(
          from !== undefined && !from.startsWith('OFFSET_'),
          'a task starts at a resolved offset',
        );
        return { partition, from };
      }),
      limits: {
        bytesMax: this.#kernel.configNumber('max_routine_load_batch_size'),
        consumeMs: Math.min(properties.taskConsumeSecond, properties.maxBatchIntervalS) * 1000,
      },
      format: plan.format,
      fields: plan.fields,
      transform: {
        schema: table.schema,
        sources: plan.sources,
        strict: plan.strict,
        context,
        ...(plan.where === undefined ? {} : { where: plan.where }),
      },
      target: placeTarget(table, this.#core),
      rejectsMax: REJECTS_MAX,
    };
  }
}

/** `filter.exact`: the ratio is of error rows among those that WHERE chose; 1 turns it off. */
function checkRatio(
  counts: { loaded: number; filtered: number },
  ratio: number,
  rejects: { count: number } | null,
): void {
  const total = counts.loaded + counts.filtered;
  if (ratio >= 1 || total === 0 || counts.filtered / total <= ratio) return;
  throw new LoadError(
    'TOO_MANY_FILTERED_ROWS',
    `too many filtered rows: ${counts.filtered} of ${total}, max_filter_ratio is ${ratio}`,
    { details: { filtered: counts.filtered, total, rejects: rejects?.count ?? 0 } },
  );
}
