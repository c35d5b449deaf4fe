/** What happened, in order: hashed as it comes (two runs of a seed must agree), and kept for a failure or `--trace`. */
import { createHash } from 'node:crypto';

export interface TraceEvent {
  readonly atMs: number;
  readonly who: string;
  readonly what: string;
  readonly fields?: Readonly<Record<string, unknown>>;
}

export class Trace {
  readonly #now: () => number;
  readonly #hash = createHash('sha256');
  readonly #kept: TraceEvent[] = [];
  readonly #keep: number;
  readonly reached = new Map<string, number>();

  /** `keep`: how many of the last events stay in memory. */
  constructor(now: () => number, keep: number) {
    this.#now = now;
    this.#keep = keep;
  }

  add(who: string, what: string, fields?: Readonly<Record<string, unknown>>): void {
    const event: TraceEvent = {
      atMs: this.#now(),
      who,
      what,
      ...(fields === undefined ? {} : { fields }),
    };
    this.#hash.update(`${JSON.stringify(event)}\n`);
    this.#kept.push(event);
    if (this.#kept.length > 2 * this.#keep) this.#kept.splice(0, this.#kept.length - this.#keep);
  }

  /** Fault kinds and state edges that a run got to. */
  reach(name: string): void {
    this.reached.set(name, (this.reached.get(name) ?? 0) + 1);
  }

  digest(): string {
    return this.#hash.copy().digest('hex').slice(0, 16);
  }

  last(count: number): readonly TraceEvent[] {
    return this.#kept.slice(-count);
  }
}
