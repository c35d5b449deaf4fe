/**
 * What wakes the tasks of a job: hints of its watcher on a BE, and looks of its own, which also find new partitions, positions
 * that are gone and brokers that cannot be reached.
 *
 *   W1. Hints are believed for nothing but to run a task or to look: lost, repeated or late ones change only the time.
 *   W2. A job looks from time to time whatever it was told; sooner while it fails, and while a task runs.
 */
import { sleep } from '../../base/clock.ts';
import type { Bus, Subscription } from '../../protocol/bus.types.ts';
import type { KafkaConfig } from '../../sources/kafka/kafka.types.ts';
import { feSubject, type KafkaDataReply, type KafkaDataRequest } from '../messages.ts';
import type { FeKernel } from './fe.types.ts';
import type { FeCore } from './fe-core.ts';
import type { JobFact, JobReason, JobState } from './fe-facts.ts';
import { clears, reasonOf } from './job-reasons.ts';
import type { LiveJob, LiveTask } from './live-jobs.types.ts';
import type { Nodes } from './nodes.ts';
import { Watches } from './watches.ts';

export const LOOK_TIMEOUT_MS = 12_000;
/** Between two looks, whatever asks for them. */
const LOOK_MS_MIN = 500;
const FAILED_LOOK_MS_MAX = 5_000;
const BUSY_LOOK_MS = 5_000;

/** How a look moves its job. */
export interface JobMoves {
  live(jobId: number): LiveJob | undefined;
  ask(jobId: number, state: JobState, reason: JobReason | null, epoch: number): Promise<void>;
  unstable(jobId: number, epoch: number, error: unknown): Promise<void>;
}

export class JobWatch {
  readonly #core: FeCore;
  readonly #kernel: FeKernel;
  readonly #moves: JobMoves;
  readonly #watches: Watches;
  readonly #hints: Subscription;
  #closed = false;

  constructor(core: FeCore, kernel: FeKernel, nodes: Nodes, bus: Bus, moves: JobMoves) {
    this.#core = core;
    this.#kernel = kernel;
    this.#moves = moves;
    const { clock, log, stamp } = core;
    this.#watches = new Watches({ nodes, stamp, clock, log });
    this.#hints = bus.respond(feSubject(core.stamp().incarnation, 'data'), (body) =>
      this.#onData(body as KafkaDataRequest),
    );
  }

  close(): void {
    this.#closed = true;
    this.#hints.close();
    this.#watches.close();
  }

  /** Looks for ends and new partitions until the job leaves RUNNING. */
  async look(live: LiveJob, signal: AbortSignal): Promise<void> {
    const { clock } = this.#core;
    let failures = 0;
    while (!signal.aborted && !this.#closed) {
      const nudged = new AbortController();
      live.nudge = () => nudged.abort();
      const outcome = await this.#lookOnce(live, signal);
      if (outcome === 'over' || signal.aborted) return;
      failures = outcome === 'failed' ? failures + 1 : 0;
      await sleep(clock, LOOK_MS_MIN, signal);
      const restMs = this.#intervalMs(live, failures) - LOOK_MS_MIN;
      if (restMs > 0) await sleep(clock, restMs, signal, nudged.signal);
    }
  }

  /** Data that is known of starts a task that waits; else it says that there is none. */
  wake(live: LiveJob, task: LiveTask): void {
    if (task.actor.getSnapshot().value !== 'waiting') return;
    const fact = this.#core.journal.head.jobs.get(live.jobId);
    if (fact === undefined || fact.epoch !== task.epoch) return;
    task.lastScheduledMs = this.#core.clock.now();
    if (task.partitions.some((partition) => isBehind(live, fact, partition))) {
      task.actor.send({ type: 'task.data' });
      return;
    }
    const { maxBatchIntervalS } = fact.definition.properties;
    task.actor.send({
      type: 'task.idle',
      message: `there is no new data in kafka, wait for ${maxBatchIntervalS} seconds to schedule again`,
    });
  }

  /** Has watched what nobody reads now and has no more data as far as it is known. */
  sync(live: LiveJob): void {
    const fact = this.#core.journal.head.jobs.get(live.jobId);
    if (fact === undefined || this.#closed) return;
    const kafka = this.#kafkaOf(live, fact);
    if (kafka === null) return;
    const offsets: Record<string, string> = {};
    for (const task of live.tasks.values()) {
      const { value } = task.actor.getSnapshot();
      if (task.epoch !== fact.epoch || (value !== 'resting' && value !== 'waiting')) continue;
      for (const partition of task.partitions) {
        const next = fact.progress[partition];
        if (next === undefined || next.startsWith('OFFSET_')) continue;
        if (!isBehind(live, fact, partition)) offsets[partition] = next;
      }
    }
    const { topic, pinned } = fact.definition.source;
    const known = pinned === null ? fact.partitions.length : null;
    this.#watches.set(live.jobId, { kafka, topic, known, offsets });
  }

  drop(jobId: number): void {
    this.#watches.drop(jobId);
  }

  /** A configuration that cannot be read (a file that was dropped) is what the next look tells. */
  #kafkaOf(live: LiveJob, fact: JobFact): KafkaConfig | null {
    try {
      live.kafka ??= this.#kernel.kafkaConfig(fact.dbId, fact.definition.source);
      return live.kafka;
    } catch {
      return null;
    }
  }

  #intervalMs(live: LiveJob, failures: number): number {
    const pollMs = this.#kernel.configNumber('routine_load_poll_interval_ms');
    if (failures > 0) return Math.min(LOOK_MS_MIN * 2 ** failures, FAILED_LOOK_MS_MAX, pollMs);
    const isBusy = [...live.tasks.values()].some(({ actor }) => {
      const { value } = actor.getSnapshot();
      return value !== 'waiting' && value !== 'resting';
    });
    return isBusy ? Math.min(BUSY_LOOK_MS, pollMs) : pollMs;
  }

  async #lookOnce(live: LiveJob, signal: AbortSignal): Promise<'done' | 'failed' | 'over'> {
    const { clock } = this.#core;
    const { jobId } = live;
    const fact = this.#core.journal.head.jobs.get(jobId);
    if (fact === undefined) return 'over';
    const { epoch } = fact;
    const { source } = fact.definition;
    const asked = { ...fact.progress };
    try {
      const kafka = this.#kernel.kafkaConfig(fact.dbId, source);
      live.kafka = kafka;
      const look = await this.#kernel.lookKafka(
        {
          kafka,
          topic: source.topic,
          partitions: fact.partitions,
          want: source.pinned === null ? ['partitions', 'end'] : ['end'],
        },
        LOOK_TIMEOUT_MS,
      );
      if (signal.aborted) return 'over';
      live.latest = { ...live.latest, ...look.end };
      live.latestMs = clock.now();
      if (clears(fact, 'watch')) await this.#moves.ask(jobId, 'RUNNING', null, epoch);
      const fresh = look.partitions.filter((partition) => !fact.partitions.includes(partition));
      if (source.pinned === null && fresh.length > 0) {
        const reason = reasonOf.newPartitions(fresh, clock.now());
        await this.#moves.ask(jobId, 'NEED_SCHEDULE', reason, epoch);
        return 'over';
      }
      if (await this.#isBeyond(live, epoch, asked, look.end)) return 'over';
      for (const task of [...live.tasks.values()]) this.wake(live, task);
      this.sync(live);
      return 'done';
    } catch (error) {
      if (!signal.aborted) await this.#moves.unstable(jobId, epoch, error);
      return 'failed';
    }
  }

  /**
   * A position behind the log's end pauses the job, with its partition. `asked`: the positions from before the look; one
   * that moved since may well be behind an end that was true when it was told.
   */
  async #isBeyond(
    live: LiveJob,
    epoch: number,
    asked: Readonly<Record<string, string>>,
    ends: Readonly<Record<string, string>>,
  ): Promise<boolean> {
    const fact = this.#core.journal.head.jobs.get(live.jobId);
    if (fact === undefined) return true;
    for (const [key, latest] of Object.entries(ends)) {
      const next = fact.progress[key];
      if (next === undefined || next !== asked[key] || next.startsWith('OFFSET_')) continue;
      const isBeyond = BigInt(latest) < BigInt(next);
      // A leader that is new may be behind for a moment: the next look, soon, says the same or something else.
      const isConfirmed = live.beyond.get(key) === next;
      if (isBeyond) live.beyond.set(key, next);
      else live.beyond.delete(key);
      if (isBeyond && !isConfirmed) live.nudge();
      if (!isBeyond || !isConfirmed) continue;
      const reason = reasonOf.beyondEnd(fact, key, next, latest, this.#core.clock.now());
      await this.#moves.ask(live.jobId, 'PAUSED', reason, epoch);
      return true;
    }
    return false;
  }

  /** W1. */
  #onData({ hints }: KafkaDataRequest): KafkaDataReply {
    const gone: number[] = [];
    for (const { jobId, ends, look } of hints) {
      const live = this.#moves.live(jobId);
      if (live === undefined || !this.#watches.has(jobId)) {
        gone.push(jobId);
        continue;
      }
      this.#watches.heard(jobId, Object.keys(ends));
      live.latest = { ...live.latest, ...later(live.latest, ends) };
      live.latestMs = this.#core.clock.now();
      for (const task of [...live.tasks.values()]) {
        if (task.partitions.some((partition) => ends[partition] !== undefined)) {
          this.wake(live, task);
        }
      }
      this.sync(live);
      if (look) live.nudge();
    }
    return { gone };
  }
}

function isBehind(live: LiveJob, fact: JobFact, partition: number): boolean {
  const latest = live.latest[partition];
  const next = fact.progress[partition];
  if (latest === undefined || next === undefined || next.startsWith('OFFSET_')) return false;
  return BigInt(latest) > BigInt(next);
}

/** A late hint takes nothing back; what a look finds does. */
function later(
  known: Readonly<Record<string, string>>,
  ends: Readonly<Record<string, string>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(ends).filter(([partition, end]) => {
      const before = known[partition];
      return before === undefined || BigInt(end) > BigInt(before);
    }),
  );
}
