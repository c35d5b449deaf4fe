/** Drives a bus in a worker thread (bus-worker.ts) as if it were here, for the suites. */
import { MessageChannel, Worker } from 'node:worker_threads';
import { fromErrorData, toErrorData } from '../../src/base/errors.ts';
import type { Bus, BusMeta, PartRef, Subscription } from '../../src/protocol/bus.types.ts';
import { linkTransfers, type WorkerLink } from '../../src/protocol/local/worker-link.ts';
import type { WorkerOrder, WorkerReport } from './bus-worker.types.ts';

type Handler = (body: unknown, meta: BusMeta) => unknown;
type Status = ReturnType<Bus['status']>;

export class RemoteBus implements Bus {
  readonly worker: Worker;
  readonly #control;
  readonly #orders = new Map<number, { resolve(v: unknown): void; reject(e: unknown): void }>();
  readonly #handlers = new Map<number, Handler>();
  #numbers = 0;
  #status: Status = { connected: false, since: 0, reason: 'not asked yet' };

  constructor(link: WorkerLink) {
    const { port1, port2 } = new MessageChannel();
    this.#control = port1;
    this.worker = new Worker(new URL('./bus-worker.ts', import.meta.url), {
      workerData: { link, control: port2 },
      transferList: [...linkTransfers(link), port2],
    });
    this.worker.on('error', (error) => {
      for (const order of this.#orders.values()) order.reject(error);
    });
    port1.on('message', (message: WorkerReport) => this.#report(message));
  }

  order<T>(order: WorkerOrder): Promise<T> {
    this.#numbers += 1;
    const n = this.#numbers;
    this.#control.postMessage({ n, order });
    return new Promise((resolve, reject) => {
      this.#orders.set(n, { resolve: resolve as (value: unknown) => void, reject });
    });
  }

  offer(bytes: Uint8Array, options?: { takes?: number; ttlMs?: number }): Promise<PartRef> {
    return this.order({ do: 'offer', bytes, ...(options === undefined ? {} : { options }) });
  }

  take(ref: PartRef): Promise<Uint8Array> {
    return this.order({ do: 'take', ref });
  }

  publish(subject: string, body: unknown): void {
    void this.order({ do: 'publish', subject, body });
  }

  request<T>(subject: string, body: unknown, { timeoutMs }: { timeoutMs: number }): Promise<T> {
    return this.order({ do: 'request', subject, body, timeoutMs });
  }

  subscribe(subject: string, handler: Handler): Subscription {
    return this.#add('subscribe', subject, handler);
  }

  respond(subject: string, handler: Handler): Subscription {
    return this.#add('respond', subject, handler);
  }

  async ready(): Promise<void> {
    this.#status = await this.order<Status>({ do: 'ready' });
  }

  /** As of the last `ready` or `close`. */
  status(): Status {
    return this.#status;
  }

  async close(): Promise<void> {
    this.#status = await this.order<Status>({ do: 'close' });
  }

  async stop(): Promise<void> {
    this.#control.close();
    await this.worker.terminate();
  }

  #add(what: 'subscribe' | 'respond', subject: string, handler: Handler): Subscription {
    this.#numbers += 1;
    const id = this.#numbers;
    this.#handlers.set(id, handler);
    void this.order({ do: what, subject, id });
    return { close: () => void this.order({ do: 'end', id }) };
  }

  #report(message: WorkerReport): void {
    if ('done' in message) {
      const order = this.#orders.get(message.done);
      this.#orders.delete(message.done);
      if (message.error === undefined) order?.resolve(message.value);
      else order?.reject(fromErrorData(message.error));
    } else if ('got' in message) {
      // The suite's failing handlers fail here; that a bus survives its own is tested without a worker.
      void (async () => this.#handlers.get(message.got)?.(message.body, message.meta))().catch(
        () => {},
      );
    } else {
      void this.#answer(message);
    }
  }

  async #answer(message: Extract<WorkerReport, { asked: number }>): Promise<void> {
    const { call } = message;
    try {
      const value = await this.#handlers.get(message.asked)?.(message.body, message.meta);
      void this.order({ do: 'answer', call, value });
    } catch (error) {
      void this.order({ do: 'answer', call, error: toErrorData(error) });
    }
  }
}
