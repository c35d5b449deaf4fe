/**
 * Idle partitions of one Kafka configuration, on a BE: which have data? A locator finds the leaders, a watcher for each
 * broker waits there (src/machines/watch-locator.ts, broker-watcher.ts). What is found is told to the FE once: a partition
 * is watched again when the FE asks for it again.
 */
import { type Actor, createActor, fromPromise } from 'xstate';
import type { Clock } from '../../base/clock.ts';
import { LoadError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import {
  brokerWatcherMachine,
  type Waited,
  type WatcherInput,
} from '../../machines/broker-watcher.ts';
import { type Located, watchLocatorMachine } from '../../machines/watch-locator.ts';
import type {
  KafkaConfig,
  KafkaPort,
  KafkaWatch,
  TopicMetadata,
  WatchedEnd,
  WatchedPartition,
} from '../../sources/kafka/kafka.types.ts';
import type { KafkaHint, KafkaWatchJob } from '../messages.ts';

export interface ClusterWatchOptions {
  readonly kafka: KafkaPort;
  readonly config: KafkaConfig;
  readonly clock: Clock;
  readonly log: Log;
  /** Tells the FE; gives the jobs that it does not have any more. */
  readonly report: (hints: readonly KafkaHint[]) => Promise<readonly number[]>;
}

/** New partitions are seen after so long. */
const REFRESH_MS = 10_000;
/** The long request waits this long once nothing came for a while; the first ones are shorter. */
const LONG_MS_MAX = 20_000;
const LONG_MS_MIN = 500;
const SHORT_MS = 50;
/** Failures in a row after which the jobs are told to look for themselves, since their users want to know. */
const FAILURES_TOLD = 2;
const OUT_OF_RANGE = 1;
const LEADER_CODES = new Set([5, 6, 9, 74, 75, 78]);

interface Entry {
  readonly jobId: number;
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  broker: number | null;
  /** Part of the long request that waits, or of the next one. */
  isLong: boolean;
}

interface Job {
  readonly topic: string;
  readonly known: number | null;
  readonly entries: Map<number, Entry>;
}

interface Broker {
  readonly lanes: readonly Actor<typeof brokerWatcherMachine>[];
  /** Long requests in a row that were answered by time. */
  quiet: number;
  failures: number;
}

export class ClusterWatch {
  readonly #options: ClusterWatchOptions;
  readonly #jobs = new Map<number, Job>();
  readonly #brokers = new Map<number, Broker>();
  readonly #hints = new Map<number, Omit<KafkaHint, 'jobId'>>();
  readonly #leaders = new Map<string, ReadonlyMap<number, number>>();
  readonly #locator: Actor<typeof watchLocatorMachine>;
  #link: Promise<KafkaWatch> | undefined;
  #located = Promise.withResolvers<void>();
  #locateFailures = 0;
  #isReporting = false;
  /** The last answer led to the wrong leader. */
  #isDoubted = false;
  #reports = Promise.resolve();
  #closed = false;

  constructor(options: ClusterWatchOptions) {
    this.#options = options;
    this.#locator = createActor(
      watchLocatorMachine.provide({
        actors: {
          locate: fromPromise<Located, { readonly all: boolean }>(({ input }) =>
            this.#locate(input.all),
          ),
        },
      }),
      { id: 'watch-locator', clock: options.clock, input: { refreshMs: REFRESH_MS } },
    );
    this.#locator.start();
  }

  get size(): number {
    return this.#jobs.size;
  }

  /** Each in place of what was watched for the job before. */
  set(jobs: readonly KafkaWatchJob[]): void {
    const touched = new Set<number>();
    let isLost = false;
    for (const { jobId, topic, known, offsets } of jobs) {
      const before = this.#jobs.get(jobId);
      const entries = new Map<number, Entry>();
      for (const [key, text] of Object.entries(offsets)) {
        const partition = Number(key);
        const old = before?.topic === topic ? before.entries.get(partition) : undefined;
        const offset = BigInt(text);
        if (old !== undefined && old.offset === offset) {
          entries.set(partition, old);
          continue;
        }
        const broker = this.#leaderOf(topic, partition);
        entries.set(partition, { jobId, topic, partition, offset, broker, isLong: false });
        if (broker === null) isLost = true;
        else touched.add(broker);
      }
      this.#jobs.set(jobId, { topic, known, entries });
    }
    if (isLost) this.#locator.send({ type: 'locate.wanted' });
    for (const broker of touched) this.#changed(broker);
  }

  drop(jobId: number): void {
    this.#jobs.delete(jobId);
    this.#hints.delete(jobId);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#jobs.clear();
    this.#locator.stop();
    for (const { lanes } of this.#brokers.values()) for (const lane of lanes) lane.stop();
    const link = await this.#link?.catch(() => undefined);
    await link?.close();
  }

  #leaderOf(topic: string, partition: number): number | null {
    return this.#leaders.get(topic)?.get(partition) ?? null;
  }

  #opened(): Promise<KafkaWatch> {
    if (this.#closed) {
      return Promise.reject(new LoadError('KAFKA_CLOSED', 'the watcher was closed'));
    }
    if (this.#link === undefined) {
      const link = this.#options.kafka.openWatch(this.#options.config);
      this.#link = link;
      link.catch(() => {
        if (this.#link === link) this.#link = undefined;
      });
    }
    return this.#link;
  }

  #entries(): Entry[] {
    return [...this.#jobs.values()].flatMap(({ entries }) => [...entries.values()]);
  }

  /** L1 and L2 of the locator. */
  async #locate(all: boolean): Promise<Located> {
    const located = this.#located;
    try {
      const topics = new Set<string>();
      for (const { topic, entries } of this.#jobs.values()) {
        if (all || [...entries.values()].some(({ broker }) => broker === null)) topics.add(topic);
      }
      if (topics.size === 0) return { left: 0 };
      const found = await (await this.#opened()).metadataOf([...topics], this.#isDoubted);
      this.#isDoubted = false;
      if (this.#closed) return { left: 0 };
      for (const [topic, { errorCode, partitions }] of found) {
        if (errorCode !== 0) this.#leaders.delete(topic);
        else {
          const led = partitions.filter(({ leader }) => leader >= 0);
          this.#leaders.set(topic, new Map(led.map((one) => [one.partition, one.leader])));
        }
      }
      this.#compare(found);
      this.#recovered();
      return { left: this.#place() };
    } catch (error) {
      this.#locateFailures += 1;
      if (this.#locateFailures === FAILURES_TOLD) this.#tellAll();
      this.#options.log.write('debug', 'leaders were not found', { error: String(error) });
      throw error;
    } finally {
      this.#located = Promise.withResolvers<void>();
      located.resolve();
    }
  }

  /** Gives what has no leader, or another one than before, to the watcher of its leader: a broker may be silent for long. */
  #place(): number {
    const touched = new Set<number>();
    let left = 0;
    for (const entry of this.#entries()) {
      const leader = this.#leaderOf(entry.topic, entry.partition);
      if (entry.broker !== null && (leader === null || leader === entry.broker)) continue;
      entry.broker = leader;
      entry.isLong = false;
      if (entry.broker === null) left += 1;
      else touched.add(entry.broker);
    }
    for (const broker of touched) this.#changed(broker);
    return left;
  }

  /** New partitions, or a topic that is gone: the jobs look for themselves. */
  #compare(found: ReadonlyMap<string, TopicMetadata>): void {
    for (const [jobId, { topic, known }] of this.#jobs) {
      const metadata = found.get(topic);
      if (metadata === undefined) continue;
      const { errorCode, partitions } = metadata;
      if (errorCode !== 0 || (known !== null && partitions.length > known)) this.#tell(jobId);
    }
  }

  #recovered(): void {
    if (this.#locateFailures >= FAILURES_TOLD) this.#tellAll();
    this.#locateFailures = 0;
  }

  #tellAll(): void {
    for (const jobId of this.#jobs.keys()) this.#tell(jobId);
  }

  /** Without a partition: the FE looks for itself. */
  #tell(jobId: number, partition?: number, end?: bigint): void {
    const { ends, look } = this.#hints.get(jobId) ?? { ends: {}, look: false };
    const isLook = partition === undefined || end === undefined;
    // Never changed in place: one that is on its way is another than what came since.
    this.#hints.set(jobId, {
      ends: isLook ? ends : { ...ends, [partition]: String(end) },
      look: look || isLook,
    });
    if (isLook) this.#reportSoon();
  }

  /** What no watcher found, with all that comes in the same turn. */
  #reportSoon(): void {
    if (this.#isReporting) return;
    this.#isReporting = true;
    Promise.resolve()
      .then(() => {
        this.#isReporting = false;
        return this.#report();
      })
      .catch((error: unknown) => {
        // It stays, and goes with the next; the FE looks from time to time in any case.
        this.#options.log.write('debug', 'a hint was not heard', { error: String(error) });
      });
  }

  #changed(nodeId: number): void {
    let broker = this.#brokers.get(nodeId);
    if (broker === undefined) {
      broker = {
        lanes: (['long', 'short'] as const).map((lane) => this.#watcher(nodeId, lane)),
        quiet: 0,
        failures: 0,
      };
      this.#brokers.set(nodeId, broker);
      for (const lane of broker.lanes) lane.start();
    }
    const [long, short] = broker.lanes;
    // What comes while the long request waits is asked for by short ones until it is over.
    const isResting = long?.getSnapshot().value === 'resting';
    (isResting ? long : short)?.send({ type: 'watch.changed' });
    if (!isResting) long?.send({ type: 'watch.changed' });
  }

  #watcher(broker: number, lane: 'long' | 'short'): Actor<typeof brokerWatcherMachine> {
    return createActor(
      brokerWatcherMachine.provide({
        actors: {
          wait: fromPromise<Waited, WatcherInput>(({ input }) => this.#wait(input)),
          report: fromPromise<void, WatcherInput>(() => this.#report()),
          locate: fromPromise<void, WatcherInput>(({ input }) => this.#relocate(input.broker)),
        },
      }),
      {
        id: `broker-watcher.${broker}.${lane}`,
        clock: this.#options.clock,
        input: { broker, lane },
      },
    );
  }

  /** W1: one request over what the lane holds. */
  async #wait({ broker: nodeId, lane }: WatcherInput): Promise<Waited> {
    const broker = this.#brokers.get(nodeId)!;
    const mine: Entry[] = [];
    for (const entry of this.#entries()) {
      if (entry.broker !== nodeId) continue;
      if (lane === 'long') {
        if (!entry.isLong) broker.quiet = 0;
        entry.isLong = true;
      } else if (entry.isLong) continue;
      mine.push(entry);
    }
    if (mine.length === 0) return { asked: 0, found: false, refused: false };
    const asked = lowest(mine);
    const longMs = Math.min(LONG_MS_MIN * 2 ** broker.quiet, LONG_MS_MAX);
    let answers: readonly WatchedEnd[];
    try {
      answers = await (await this.#opened()).waitForData(nodeId, [...asked.values()], {
        maxWaitMs: lane === 'long' ? longMs : SHORT_MS,
        readCommitted: this.#options.config.readCommitted,
      });
    } catch (error) {
      broker.failures += 1;
      if (broker.failures === FAILURES_TOLD) this.#tellLed(nodeId);
      this.#unplace(mine);
      throw error;
    }
    if (broker.failures >= FAILURES_TOLD) this.#tellLed(nodeId);
    broker.failures = 0;
    const outcome = this.#take(nodeId, asked, answers);
    if (lane === 'long') broker.quiet = outcome.found || outcome.refused ? 0 : broker.quiet + 1;
    return { asked: asked.size, ...outcome };
  }

  /** Compares the ends with what is watched now; what was found is watched no more. */
  #take(
    nodeId: number,
    asked: ReadonlyMap<string, WatchedPartition>,
    answers: readonly WatchedEnd[],
  ): { found: boolean; refused: boolean } {
    const byPlace = new Map(answers.map((one) => [placeOf(one), one]));
    let found = false;
    let refused = false;
    for (const job of this.#jobs.values()) {
      for (const entry of [...job.entries.values()]) {
        const answer = entry.broker === nodeId ? byPlace.get(placeOf(entry)) : undefined;
        if (answer === undefined) continue;
        if (answer.errorCode === 0) {
          if (answer.end <= entry.offset) continue;
          this.#tell(entry.jobId, entry.partition, answer.end);
          job.entries.delete(entry.partition);
          found = true;
        } else if (LEADER_CODES.has(answer.errorCode)) {
          entry.broker = null;
          refused = true;
        } else if (
          answer.errorCode !== OUT_OF_RANGE ||
          asked.get(placeOf(entry))?.offset === entry.offset
        ) {
          this.#tell(entry.jobId);
          job.entries.delete(entry.partition);
          refused = true;
        }
      }
    }
    return { found, refused };
  }

  #tellLed(nodeId: number): void {
    for (const { broker, jobId } of this.#entries()) if (broker === nodeId) this.#tell(jobId);
  }

  #unplace(entries: readonly Entry[]): void {
    for (const entry of entries) {
      entry.broker = null;
      this.#leaders.delete(entry.topic);
    }
  }

  async #relocate(nodeId: number): Promise<void> {
    this.#isDoubted = true;
    for (const entry of this.#entries()) {
      if (entry.broker === null || entry.broker === nodeId) this.#unplace([entry]);
    }
    this.#locator.send({ type: 'locate.wanted' });
    await this.#located.promise;
  }

  /** One after the other, so that nothing is told twice for nothing. */
  #report(): Promise<void> {
    const report = this.#reports.then(
      () => this.#send(),
      () => this.#send(),
    );
    this.#reports = report;
    return report;
  }

  /** W2: told until it was heard. */
  async #send(): Promise<void> {
    const told = [...this.#hints];
    if (told.length === 0) return;
    const gone = await this.#options.report(
      told.map(([jobId, { ends, look }]) => ({ jobId, ends, look })),
    );
    for (const [jobId, hint] of told) {
      if (this.#hints.get(jobId) === hint) this.#hints.delete(jobId);
    }
    for (const jobId of gone) this.drop(jobId);
  }
}

const placeOf = ({ topic, partition }: { topic: string; partition: number }): string =>
  `${partition} ${topic}`;

/** One position for each partition, as a request may hold no more: of several jobs' the first. */
function lowest(entries: readonly Entry[]): ReadonlyMap<string, WatchedPartition> {
  const found = new Map<string, WatchedPartition>();
  for (const { topic, partition, offset } of entries) {
    const key = placeOf({ topic, partition });
    const known = found.get(key);
    if (known === undefined || offset < known.offset) found.set(key, { topic, partition, offset });
  }
  return found;
}
