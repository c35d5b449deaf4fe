/**
 * Pins that this BE holds for queries of others (V3). They end with the query's `unpin`; where that message is lost or its
 * sender has died, they end because the coordinator is asked from time to time whether the query still runs.
 */
import { LoadError } from '../../base/errors.ts';
import { beSubject, type QueryAliveReply, type QueryAliveRequest } from '../messages.ts';
import type { BeContext } from './be.ts';

const ASK_MS = 30_000;
const ASK_TIMEOUT_MS = 5_000;
/** A coordinator that nobody answers for so often in a row is gone. */
const MISSES_MAX = 3;

interface Coordinator {
  readonly beId: string;
  readonly incarnation: string;
}

interface Lease {
  readonly coordinator: Coordinator;
  misses: number;
}

export class PinLeases {
  readonly #context: Pick<BeContext, 'bus' | 'store' | 'clock' | 'log'>;
  readonly #leases = new Map<string, Lease>();
  #timer: unknown;
  #closed = false;

  constructor(context: Pick<BeContext, 'bus' | 'store' | 'clock' | 'log'>) {
    this.#context = context;
  }

  hold(queryId: string, coordinator: Coordinator): void {
    this.#leases.set(queryId, { coordinator, misses: 0 });
    this.#schedule();
  }

  release(queryId: string): void {
    this.#leases.delete(queryId);
    this.#context.store.unpin(queryId);
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== undefined) this.#context.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const queryId of [...this.#leases.keys()]) this.release(queryId);
  }

  #schedule(): void {
    if (this.#closed || this.#timer !== undefined || this.#leases.size === 0) return;
    this.#timer = this.#context.clock.setTimeout(() => {
      void this.#askAll().finally(() => {
        this.#timer = undefined;
        this.#schedule();
      });
    }, ASK_MS);
  }

  async #askAll(): Promise<void> {
    const asked = new Map<string, { coordinator: Coordinator; queryIds: string[] }>();
    for (const [queryId, { coordinator }] of this.#leases) {
      const key = `${coordinator.beId}.${coordinator.incarnation}`;
      const known = asked.get(key);
      if (known === undefined) asked.set(key, { coordinator, queryIds: [queryId] });
      else known.queryIds.push(queryId);
    }
    await Promise.all([...asked.values()].map((one) => this.#ask(one.coordinator, one.queryIds)));
  }

  async #ask({ beId, incarnation }: Coordinator, queryIds: readonly string[]): Promise<void> {
    const { bus, log } = this.#context;
    const request: QueryAliveRequest = { queryIds };
    let alive: ReadonlySet<string>;
    try {
      const reply = await bus.request<QueryAliveReply>(
        beSubject(beId, incarnation, 'query-alive'),
        request,
        { timeoutMs: ASK_TIMEOUT_MS },
      );
      alive = new Set(reply.alive);
    } catch (error) {
      if (!(error instanceof LoadError)) throw error;
      alive = new Set(queryIds.filter((queryId) => this.#missed(queryId) < MISSES_MAX));
    }
    const gone = queryIds.filter((queryId) => !alive.has(queryId) && this.#leases.has(queryId));
    for (const queryId of gone) this.release(queryId);
    if (gone.length > 0) log.write('info', 'pins of ended queries released', { beId, gone });
  }

  #missed(queryId: string): number {
    const lease = this.#leases.get(queryId);
    if (lease === undefined) return 0;
    lease.misses += 1;
    return lease.misses;
  }
}
