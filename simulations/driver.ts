/**
 * One run in two phases.
 *
 *   phase 1 (safety): faults; the invariants hold after every entry of a disk, and in every snapshot that a session gets.
 *   phase 2 (liveness): healed; within `CONVERGE_MS` everything in the logs is in the table, and the job runs.
 *   Where a disk was damaged (`havoc`), a stop that names the damage is a legal end as well.
 */

import type { JobFact } from '../src/actors/fe/fe-facts.ts';
import { DamageError } from '../src/base/errors.ts';
import { InvariantBroken } from './checkers/checker.ts';
import { checkJournalFold } from './checkers/journal-fold.ts';
import type { Faults } from './faults.ts';
import type { Harness } from './harness.ts';
import type { Workload } from './workload.ts';

const CONVERGE_MS = 400_000;
const STEPS_MAX = 50_000;
/** Heart-beats that do not come, until a BE is lost. */
const BEATS_LOST = 6;

export interface DriverHooks {
  /** Called once the cluster is up and the job made. */
  readonly scenario?: (harness: Harness) => void;
  /** What the operator does about a job that waits for a user; default: RESUME one that a user paused. */
  readonly mend?: (harness: Harness, job: JobFact) => void;
  /** The table of the INSERTs may be dropped. */
  readonly mayDropInserted?: boolean;
  /** What else must hold once all has converged. */
  readonly end?: (harness: Harness) => void;
  /** Rows that a fault of the scenario made unreadable are not demanded. */
  readonly rowsMayMiss?: boolean;
}

export class Driver {
  readonly #harness: Harness;
  readonly #faults: Faults;
  readonly #workload: Workload;
  readonly #hooks: DriverHooks;

  constructor(harness: Harness, faults: Faults, workload: Workload, hooks: DriverHooks) {
    this.#harness = harness;
    this.#faults = faults;
    this.#workload = workload;
    this.#hooks = hooks;
  }

  async run(): Promise<void> {
    const { fe, bes, options, checkers, world } = this.#harness;
    fe.onOpen = (opened) => {
      try {
        if (checkers.isHealthy) checkJournalFold(checkers.facts, opened);
      } catch (error) {
        checkers.broken ??= error;
      }
    };
    fe.start();
    for (const be of bes) be.start();
    await this.#setUp();
    this.#faults.start();
    this.#hooks.scenario?.(this.#harness);
    this.#workload.start();
    const chaosMs = 2 * options.batches * options.produceMs + 120_000;
    await this.#until(() => this.#workload.isProduced, chaosMs, 'the end of the messages');
    this.#faults.heal();
    this.#tend();
    await this.#converge();
    world.trace.reach('converged');
  }

  async #converge(): Promise<void> {
    const { fe, bes, checkers, world } = this.#harness;
    try {
      await this.#until(() => this.#isConverged() || fe.isStopped, CONVERGE_MS, 'convergence');
      if (fe.isStopped) throw fe.lastError;
      // What was voted for is asked about until it is settled (PROTOCOL.md C2).
      const isSettled = () => bes.every((be) => be.store?.inDoubt().length === 0);
      await this.#until(isSettled, 60_000, 'the end of all doubt');
      const isAnswered = () =>
        (this.#workload.unsettled.size === 0 || this.#hooks.mayDropInserted === true) &&
        this.#workload.openStatements === 0;
      await this.#until(isAnswered, CONVERGE_MS, 'an answer to every statement (live.answer)');
      await this.#look('loaded');
      if (this.#hooks.mayDropInserted !== true) await this.#look('inserted');
    } catch (error) {
      const damage =
        checkers.isHealthy || checkers.broken !== null ? null : this.#namedDamage(error);
      if (damage === null) throw error;
      world.trace.reach(`stopped: ${damage}`);
      return;
    }
    const [job] = [...(fe.fe?.durable.jobs.values() ?? [])];
    const desired = job?.definition.properties.desiredConcurrentNumber ?? 0;
    if (checkers.isHealthy && !this.#workload.isAlterInForce(desired)) {
      throw new InvariantBroken('alter.durable', `desired_concurrent_number is ${desired}`);
    }
    if (this.#hooks.rowsMayMiss !== true) checkers.end();
    this.#hooks.end?.(this.#harness);
    if (checkers.broken !== null) throw checkers.broken;
    if (fe.fe !== undefined && checkers.isHealthy) checkJournalFold(checkers.facts, fe.fe);
  }

  /** A stop is legal where it says what is damaged, and what to do (PROTOCOL.md D1, D4, D5). */
  #namedDamage(error: unknown): string | null {
    const { fe, bes } = this.#harness;
    if (error instanceof DamageError) return error.code;
    for (const { lastError, isStopped } of [fe, ...bes]) {
      if (isStopped && lastError instanceof DamageError) return lastError.code;
    }
    const kernel = fe.fe;
    if (kernel === undefined) return null;
    if (kernel.refusal() !== null) return 'FE_BEHIND';
    if ([...kernel.durable.tablets.values()].some(({ damaged }) => damaged !== null)) {
      return 'tablet damaged';
    }
    // A BE whose directory is gone is another BE: its tablets are without a node, and statements say so (V4).
    const ids = new Set(kernel.backends().flatMap((be) => (be.alive ? [be.beId] : [])));
    const isLost = [...kernel.durable.tablets.values()].some(({ beId }) => !ids.has(beId));
    if (isLost) return 'BE lost';
    // An FE whose directory is gone is a new cluster: the job, and the user, see that it is not there.
    if (kernel.durable.jobs.size === 0) return 'catalog lost';
    return null;
  }

  /** Steps until the condition holds. */
  async #until(condition: () => boolean, withinMs: number, what: string): Promise<void> {
    const { world, checkers } = this.#harness;
    const { clock } = world;
    const deadlineMs = clock.now() + withinMs;
    await clock.settle();
    while (!condition()) {
      if (clock.steps >= STEPS_MAX) {
        const where = `${what} was not reached within ${STEPS_MAX} steps`;
        throw new InvariantBroken('live.steps', `${where}; ${this.#waits()}`);
      }
      if (clock.now() > deadlineMs) {
        throw new InvariantBroken(
          'live.progress',
          `no ${what} in ${withinMs} ms; ${this.#waits()}`,
        );
      }
      this.#faults.due();
      if (!(await clock.step())) {
        throw new InvariantBroken('live.progress', `nothing is due, ${what} is waited for`);
      }
      if (checkers.broken !== null) throw checkers.broken;
    }
  }

  /** Who waits for whom. */
  #waits(): string {
    const { fe, bes, world } = this.#harness;
    const kernel = fe.fe;
    const up = bes.map((be) => `${be.name} ${be.isAlive} registered ${be.service?.registered}`);
    const statements = {
      open: this.#workload.openStatements,
      labels: [...this.#workload.unsettled],
    };
    if (kernel === undefined) {
      return `the FE is ${fe.isAlive ? 'opening' : `down: ${String(fe.lastError)}`}; ${up.join(', ')}`;
    }
    const jobs = [...kernel.durable.jobs.values()].map((job) => {
      const tasks = kernel.tasks(job.jobId).map(({ partitions, txnStatus, message, beId }) => ({
        partitions,
        txnStatus,
        message,
        beId,
      }));
      return { state: job.state, reason: job.reason?.message, progress: job.progress, tasks };
    });
    const nodes = kernel.backends().map(({ name, alive }) => `${name} ${alive}`);
    const ends = world.kafka.partitions.map((_, i) => String(world.kafka.stable(i)));
    const pending = [...kernel.durable.txns.keys()];
    const doubt = bes.map((be) => be.store?.inDoubt().map(({ txnId }) => txnId));
    const refusal = kernel.refusal();
    return JSON.stringify({ jobs, nodes, up, ends, pending, doubt, statements, refusal });
  }

  async #setUp(): Promise<void> {
    const { fe, options } = this.#harness;
    const isUp = () =>
      fe.fe !== undefined && fe.fe.backends().filter(({ alive }) => alive).length === options.bes;
    await this.#until(isUp, 60_000, 'a cluster');
    const columns = '(id VARCHAR(40) NOT NULL, v BIGINT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id)';
    const sums =
      '(id VARCHAR(40) NOT NULL, v BIGINT SUM) AGGREGATE KEY(id) DISTRIBUTED BY HASH(id)';
    for (const sql of [
      `ADMIN SET FRONTEND CONFIG ("heartbeat_interval_ms" = "${options.heartbeatMs}")`,
      `ADMIN SET FRONTEND CONFIG ("heartbeat_timeout_ms" = "${BEATS_LOST * options.heartbeatMs}")`,
      `ADMIN SET FRONTEND CONFIG ("routine_load_poll_interval_ms" = "${options.pollMs}")`,
      'CREATE DATABASE d',
      `CREATE TABLE d.t ${options.aggregate ? sums : columns} BUCKETS ${options.buckets}`,
      `CREATE TABLE d.u ${columns} BUCKETS 2`,
      `CREATE ROUTINE LOAD d.j ON t COLUMNS TERMINATED BY "," PROPERTIES ("desired_concurrent_number" = "${options.desired}", "max_error_number" = "1000000", "task_consume_second" = "${options.consumeS}", "task_timeout_second" = "${options.timeoutS}") FROM KAFKA ("kafka_broker_list" = "b:1", "kafka_topic" = "t", "property.kafka_default_offsets" = "OFFSET_BEGINNING")`,
    ]) {
      await this.#settled(this.#workload.run(sql), sql);
    }
  }

  async #settled<T>(work: Promise<T>, what: string): Promise<T> {
    let isOver = false;
    const watch = () => {
      isOver = true;
    };
    work.then(watch, watch);
    await this.#until(() => isOver, CONVERGE_MS, what);
    return work;
  }

  /** The operator of the second phase: what a user paused is resumed. */
  #tend(): void {
    const { fe, world } = this.#harness;
    const tend = () => {
      const job = [...(fe.fe?.durable.jobs.values() ?? [])][0];
      if (job?.state === 'PAUSED' && job.reason?.retryAtMs === undefined) {
        if (job.reason?.cause === 'MANUAL_PAUSE') {
          this.#workload.run('RESUME ROUTINE LOAD FOR d.j').catch(() => {});
        } else this.#hooks.mend?.(this.#harness, job);
      }
      world.clock.at(1_000, tend);
    };
    world.clock.at(500, tend);
  }

  #isConverged(): boolean {
    const { fe, world } = this.#harness;
    const kernel = fe.fe;
    const job = kernel === undefined ? undefined : [...kernel.durable.jobs.values()][0];
    if (kernel === undefined || job?.state !== 'RUNNING' || kernel.durable.txns.size > 0) {
      return false;
    }
    return world.kafka.partitions.every(
      ({ open, end }, i) => open.size === 0 && job.progress[i] === String(end),
    );
  }

  /** Asked again while it fails with what may pass. */
  async #look(table: 'loaded' | 'inserted'): Promise<void> {
    const { clock } = this.#harness.world;
    const deadlineMs = clock.now() + 60_000;
    for (;;) {
      try {
        await this.#settled(this.#workload.snapshot(table), `SELECT of ${table}`);
        return;
      } catch (error) {
        if (error instanceof InvariantBroken || clock.now() > deadlineMs) throw error;
        const againMs = clock.now() + 500;
        await this.#until(() => clock.now() >= againMs, 5_000, 'a moment');
      }
    }
  }
}
