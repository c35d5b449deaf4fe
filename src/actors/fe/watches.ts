/**
 * What the FE wants watched: positions of idle partitions, each told to the BE that watches for their Kafka configuration.
 *
 *   W1. Hints only: a job looks by itself from time to time, so that no loss here loses a row or stops a job.
 *   W2. A BE that came back, or took over, is told everything anew.
 */
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { KafkaConfig } from '../../sources/kafka/kafka.types.ts';
import { keyOf } from '../../sources/kafka/key-of.ts';
import type { FeStamp, KafkaWatchJob, KafkaWatchRequest } from '../messages.ts';
import type { BackendView } from './fe.types.ts';
import type { Nodes } from './nodes.ts';

export type Wanted = Pick<KafkaWatchJob, 'topic' | 'known' | 'offsets'> & {
  readonly kafka: KafkaConfig;
};

export interface WatchesOptions {
  readonly nodes: Pick<Nodes, 'alive' | 'request' | 'onChange'>;
  readonly stamp: () => FeStamp;
  readonly clock: Clock;
  readonly log: Log;
}

interface Watched {
  /** Null: dropped, and a BE is still to hear of it. */
  readonly wanted: Wanted | null;
  readonly key: string;
  readonly text: string;
  readonly seq: number;
  /** Who watches as far as it is known. */
  readonly told: Be | null;
}

type Be = Pick<BackendView, 'beId' | 'incarnation'>;

interface Batch {
  readonly to: Be;
  readonly kafka: KafkaConfig | null;
  readonly jobs: KafkaWatchJob[];
  readonly drop: { jobId: number; seq: number }[];
  bytes: number;
}

/** So that a message stays small (PROTOCOL.md T2). */
const BYTES_MAX = 128 * 1024;
const TIMEOUT_MS = 2_000;
const RETRY_MS = 1_000;

export class Watches {
  readonly #options: WatchesOptions;
  readonly #jobs = new Map<number, Watched>();
  /** Keys of configurations, since one may hold whole certificates. */
  readonly #keys = new WeakMap<KafkaConfig, string>();
  /** Jobs whose BE is to be told. */
  readonly #dirty = new Set<number>();
  #seq = 0;
  #timer: unknown = null;
  #closed = false;

  constructor(options: WatchesOptions) {
    this.#options = options;
    options.nodes.onChange((what) => {
      if (what === 'backends') this.#reassign();
    });
  }

  /** In place of what was wanted for the job before; the same again costs nothing. */
  set(jobId: number, wanted: Wanted): void {
    const known = this.#jobs.get(jobId);
    const key = this.#keyOf(wanted.kafka);
    const text = textOf(wanted);
    if (known?.wanted && known.key === key && known.text === text) return;
    this.#put(jobId, { wanted, key, text });
  }

  /** The BE told of these: it watches them no more. */
  heard(jobId: number, partitions: readonly string[]): void {
    const known = this.#jobs.get(jobId);
    if (!known?.wanted || partitions.length === 0) return;
    const offsets = { ...known.wanted.offsets };
    for (const partition of partitions) delete offsets[partition];
    const wanted = { ...known.wanted, offsets };
    this.#jobs.set(jobId, { ...known, wanted, text: textOf(wanted) });
  }

  drop(jobId: number): void {
    const known = this.#jobs.get(jobId);
    if (known?.wanted) this.#put(jobId, { wanted: null, key: known.key, text: '' });
  }

  has(jobId: number): boolean {
    return this.#jobs.get(jobId)?.wanted != null;
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) this.#options.clock.clearTimeout(this.#timer);
  }

  #keyOf(kafka: KafkaConfig): string {
    const known = this.#keys.get(kafka);
    if (known !== undefined) return known;
    const key = keyOf(kafka);
    this.#keys.set(kafka, key);
    return key;
  }

  #put(jobId: number, change: Pick<Watched, 'wanted' | 'key' | 'text'>): void {
    this.#seq += 1;
    const told = this.#jobs.get(jobId)?.told ?? null;
    this.#jobs.set(jobId, { ...change, seq: this.#seq, told });
    this.#dirty.add(jobId);
    this.#schedule(0);
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== null || this.#closed) return;
    this.#timer = this.#options.clock.setTimeout(() => {
      this.#timer = null;
      this.#flush();
    }, delayMs);
  }

  /** W2. */
  #reassign(): void {
    const alive = this.#options.nodes.alive();
    for (const [jobId, { told }] of this.#jobs) {
      const isThere = alive.some((be) => be.incarnation === told?.incarnation);
      if (!isThere) this.#dirty.add(jobId);
    }
    if (this.#dirty.size > 0) this.#schedule(0);
  }

  /** What is to be told, in messages that are small enough; who is not there is told when it comes (W2). */
  #flush(): void {
    const alive = this.#options.nodes.alive();
    const batches = new Map<string, Batch>();
    const batch = (to: Be, key: string, kafka: KafkaConfig | null): Batch => {
      const name = `${to.beId} ${key}`;
      let found = batches.get(name);
      if (found === undefined || found.bytes > BYTES_MAX) {
        if (found !== undefined) this.#send(found);
        found = { to, kafka, jobs: [], drop: [], bytes: 0 };
        batches.set(name, found);
      }
      return found;
    };
    for (const jobId of [...this.#dirty]) {
      const { wanted, told, key, seq, text } = this.#jobs.get(jobId)!;
      const before = alive.find((be) => be.incarnation === told?.incarnation);
      const to = wanted === null ? undefined : (before ?? chosen(alive, key));
      this.#dirty.delete(jobId);
      if (to !== undefined && wanted !== null) {
        const { topic, known, offsets } = wanted;
        const one = batch(to, key, wanted.kafka);
        one.jobs.push({ jobId, seq, topic, known, offsets });
        one.bytes += text.length + 64;
      } else if (wanted === null && before !== undefined) {
        const one = batch(before, '', null);
        one.drop.push({ jobId, seq });
        one.bytes += 32;
      } else if (wanted === null) this.#jobs.delete(jobId);
    }
    for (const one of batches.values()) this.#send(one);
  }

  #send({ to, kafka, jobs, drop }: Batch): void {
    const { nodes, stamp, log } = this.#options;
    const body: KafkaWatchRequest = { fe: stamp(), kafka, jobs, drop };
    nodes.request(to, 'kafka-watch', body, { timeoutMs: TIMEOUT_MS }).then(
      () => {
        for (const { jobId, seq } of [...jobs, ...drop]) {
          const known = this.#jobs.get(jobId);
          if (known?.seq !== seq) continue;
          if (known.wanted === null) this.#jobs.delete(jobId);
          else this.#jobs.set(jobId, { ...known, told: to });
        }
      },
      (error: unknown) => {
        log.write('debug', 'a watch was not taken', { beId: to.beId, error: String(error) });
        for (const { jobId, seq } of [...jobs, ...drop]) {
          if (this.#jobs.get(jobId)?.seq === seq) this.#dirty.add(jobId);
        }
        this.#schedule(RETRY_MS);
      },
    );
  }
}

const textOf = ({ topic, known, offsets }: Wanted): string =>
  JSON.stringify([topic, known, offsets]);

/** The same BE for the same configuration, as long as the same are there. */
function chosen(alive: readonly BackendView[], key: string): Be | undefined {
  let sum = 0;
  for (let i = 0; i < key.length; i++) sum = (sum * 31 + key.charCodeAt(i)) >>> 0;
  const sorted = [...alive].sort((a, b) => (a.beId < b.beId ? -1 : 1));
  return sorted[sum % sorted.length];
}
