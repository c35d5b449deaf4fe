/**
 * The threads of the BEs as the main thread sees them. Most of a start is loading of modules, in each thread anew, so a
 * thread is started before anybody knows what it is for: `open` tells it where its data is, `register` that the FE answers.
 */
import { type MessagePort, Worker } from 'node:worker_threads';
import { systemClock } from '../base/clock.ts';
import { fromErrorData, LoadError } from '../base/errors.ts';
import type { BeWorkerData, BeWorkerMessage, BeWorkerOrder } from './be-worker.ts';

const CLOSE_MS = 15_000;
/**
 * Bytes of columns lie beside V8's heap. Those of young objects it frees in passing, once they are two thirds of this; what it
 * misses then it finds by a walk over its whole heap, which other cores do meanwhile. Objects are few in these threads.
 */
const YOUNG_MB_MAX = 12;

export class BeThread {
  readonly name: string;
  /** It is registered. Rejects when it failed before. */
  readonly ready: Promise<null>;
  /** The first reason for which the FE does not take it. */
  readonly refused: Promise<string>;
  /** Settled when it failed, at any time. */
  readonly failed: Promise<Error>;
  readonly #worker: Worker;
  readonly #loaded = Promise.withResolvers<void>();
  readonly #exited: Promise<void>;
  #closing: Promise<void> | undefined;

  constructor(name: string) {
    this.name = name;
    const file = import.meta.url.endsWith('.ts') ? './be-worker.ts' : './be-worker.js';
    const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_MB_MAX };
    const worker = new Worker(new URL(file, import.meta.url), { name, resourceLimits });
    this.#worker = worker;
    this.#exited = new Promise((resolve) => worker.once('exit', () => resolve()));
    const refused = Promise.withResolvers<string>();
    const failed = Promise.withResolvers<Error>();
    const ready = Promise.withResolvers<null>();
    const fail = (error: Error) => {
      ready.reject(error);
      failed.resolve(error);
    };
    worker.on('message', (message: BeWorkerMessage) => {
      if (message.type === 'ready') ready.resolve(null);
      if (message.type === 'loaded') this.#loaded.resolve();
      if (message.type === 'refused') refused.resolve(message.reason);
      if (message.type === 'failed') fail(fromErrorData(message.error));
    });
    worker.once('error', (error) =>
      fail(error instanceof Error ? error : new Error(String(error))),
    );
    this.ready = ready.promise;
    this.ready.catch(() => {});
    this.refused = refused.promise;
    this.failed = failed.promise;
  }

  open(data: BeWorkerData, transfer: MessagePort[]): void {
    this.#tell({ type: 'open', data }, transfer);
  }

  register(): void {
    this.#tell({ type: 'register' });
  }

  /** Loads what it needs for its work, which else its first statement does. */
  load(): Promise<void> {
    this.#tell({ type: 'load' });
    return Promise.race([this.#loaded.promise, this.#exited]);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #tell(order: BeWorkerOrder, transfer: MessagePort[] = []): void {
    this.#worker.postMessage(order, transfer);
  }

  async #close(): Promise<void> {
    this.#tell({ type: 'close' });
    const late = new Promise<'late'>((resolve) => {
      systemClock.setTimeout(() => resolve('late'), CLOSE_MS).unref();
    });
    if ((await Promise.race([this.#exited, late])) === 'late') {
      throw new LoadError('BE_CLOSE', `${this.name} did not close in ${CLOSE_MS} ms`);
    }
  }
}

export function startBeThreads(count: number): readonly BeThread[] {
  return Array.from({ length: count }, (_, i) => new BeThread(`be-${i + 1}`));
}
