/**
 * The verb `kafka-watch`: what the FE wants watched, by Kafka configuration. Security that differs is another watcher.
 *
 *   W1. What an FE wanted ends with its incarnation.
 *   W2. Messages may come twice and in any order: for a job the highest `seq` counts.
 */
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Bus } from '../../protocol/bus.types.ts';
import type { KafkaConfig, KafkaPort } from '../../sources/kafka/kafka.types.ts';
import { keyOf } from '../../sources/kafka/key-of.ts';
import {
  feSubject,
  type KafkaDataReply,
  type KafkaDataRequest,
  type KafkaHint,
  type KafkaWatchRequest,
} from '../messages.ts';
import { ClusterWatch } from './cluster-watch.ts';

export interface KafkaWatchesOptions {
  readonly kafka: KafkaPort;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly beId: string;
}

const REPORT_TIMEOUT_MS = 2_000;
/** So that a message stays small (PROTOCOL.md T2). */
const HINTS_MAX = 500;

export class KafkaWatches {
  readonly #options: KafkaWatchesOptions;
  readonly #clusters = new Map<string, ClusterWatch>();
  /** By job: the message that counts, and where it is watched. */
  readonly #jobs = new Map<number, { readonly seq: number; readonly key: string | null }>();
  #incarnation = '';

  constructor(options: KafkaWatchesOptions) {
    this.#options = options;
  }

  set({ fe, kafka, jobs, drop }: KafkaWatchRequest): void {
    if (fe.incarnation !== this.#incarnation) {
      this.close();
      this.#incarnation = fe.incarnation;
    }
    const isNew = ({ jobId, seq }: { jobId: number; seq: number }) =>
      seq > (this.#jobs.get(jobId)?.seq ?? 0);
    for (const one of drop.filter(isNew)) this.#forget(one.jobId, one.seq);
    const taken = jobs.filter(isNew);
    if (kafka === null || taken.length === 0) return;
    const key = keyOf(kafka);
    for (const { jobId, seq } of taken) {
      const before = this.#jobs.get(jobId)?.key;
      if (before !== undefined && before !== null && before !== key) this.#forget(jobId, seq);
      this.#jobs.set(jobId, { seq, key });
    }
    this.#cluster(key, kafka).set(taken);
  }

  close(): void {
    for (const cluster of this.#clusters.values()) this.#end(cluster);
    this.#clusters.clear();
    this.#jobs.clear();
  }

  #cluster(key: string, config: KafkaConfig): ClusterWatch {
    const known = this.#clusters.get(key);
    if (known !== undefined) return known;
    const { kafka, clock, log } = this.#options;
    const incarnation = this.#incarnation;
    const report = (hints: readonly KafkaHint[]) => this.#report(incarnation, hints);
    const cluster = new ClusterWatch({ kafka, config, clock, log, report });
    this.#clusters.set(key, cluster);
    return cluster;
  }

  #forget(jobId: number, seq: number): void {
    const key = this.#jobs.get(jobId)?.key ?? null;
    this.#jobs.set(jobId, { seq, key: null });
    const cluster = key === null ? undefined : this.#clusters.get(key);
    if (key === null || cluster === undefined) return;
    cluster.drop(jobId);
    if (cluster.size > 0) return;
    this.#clusters.delete(key);
    this.#end(cluster);
  }

  #end(cluster: ClusterWatch): void {
    cluster.close().catch((error: unknown) => {
      this.#options.log.write('warn', 'a watcher was not closed', { error: String(error) });
    });
  }

  async #report(incarnation: string, hints: readonly KafkaHint[]): Promise<readonly number[]> {
    const { bus, beId } = this.#options;
    const gone: number[] = [];
    for (let from = 0; from < hints.length; from += HINTS_MAX) {
      const body: KafkaDataRequest = { beId, hints: hints.slice(from, from + HINTS_MAX) };
      const reply = await bus.request<KafkaDataReply>(feSubject(incarnation, 'data'), body, {
        timeoutMs: REPORT_TIMEOUT_MS,
      });
      gone.push(...reply.gone);
    }
    return gone;
  }
}
