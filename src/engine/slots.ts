/** Counts who may run at a time, first come, first served (PROTOCOL.md T3). */
import type { Clock } from '../base/clock.ts';
import { LoadError } from '../base/errors.ts';
import { engineClosed } from './engine-errors.ts';

export interface SlotLimit {
  readonly count: number;
  /** Who has waited so long gives up; absent: never. */
  readonly waitMsMax?: number;
  readonly clock: Clock;
  readonly tooMany: () => LoadError;
}

export class Slots {
  readonly #limit: SlotLimit;
  readonly #waiting = new Set<{ go: () => void; fail: (error: unknown) => void }>();
  #taken = 0;
  #closed = false;
  #idle: (() => void) | undefined;

  constructor(limit: SlotLimit) {
    this.#limit = limit;
  }

  /** Resolves with the call that gives the slot back, which may be called twice. */
  async take(signal?: AbortSignal): Promise<() => void> {
    if (this.#closed) throw engineClosed();
    signal?.throwIfAborted();
    if (this.#taken >= this.#limit.count) await this.#wait(signal);
    else this.#taken += 1;
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#give();
    };
  }

  /** Who waits or comes fails. */
  refuse(): void {
    this.#closed = true;
    for (const one of [...this.#waiting]) one.fail(engineClosed());
  }

  /** As above; resolves when all slots have been given back. */
  async close(): Promise<void> {
    this.refuse();
    if (this.#taken > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  #give(): void {
    const [next] = this.#waiting;
    // The slot goes from hand to hand: nobody who comes now can take it first.
    if (next !== undefined) {
      next.go();
      return;
    }
    this.#taken -= 1;
    if (this.#taken === 0) this.#idle?.();
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    const { clock, waitMsMax, tooMany } = this.#limit;
    return new Promise((resolve, reject) => {
      const done = () => {
        this.#waiting.delete(one);
        if (timer !== undefined) clock.clearTimeout(timer);
        signal?.removeEventListener('abort', aborted);
      };
      const one = {
        go: () => {
          done();
          resolve();
        },
        fail: (error: unknown) => {
          done();
          reject(error);
        },
      };
      const aborted = () => one.fail(signal?.reason);
      const timer =
        waitMsMax === undefined
          ? undefined
          : clock.setTimeout(() => one.fail(tooMany()), waitMsMax);
      signal?.addEventListener('abort', aborted, { once: true });
      this.#waiting.add(one);
    });
  }
}

export function tooManyStatements(): LoadError {
  return new LoadError('TOO_MANY_QUERIES', 'too many queries are open on this backend', {
    transient: true,
    hint: 'read the results of running queries to their end or close them, then try again',
  });
}
