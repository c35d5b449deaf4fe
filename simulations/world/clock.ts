/**
 * Virtual time: one step per due event, ties broken by the seed, so that a seed has one history. Nothing outside of the
 * world may settle a promise (PROTOCOL.md E2): a step ends when the microtask queue is dry.
 */
import type { Clock } from '../../src/base/clock.ts';
import type { SeededRandom } from './random.ts';

/** Whose event it is: a dead process gets none, a paused one gets its events when it goes on. */
export interface Owner {
  alive: boolean;
  pausedUntilMs: number;
  /** How far its wall clock is off. */
  skewMs: number;
}

interface Due {
  readonly atMs: number;
  /** Drawn at scheduling: events of one moment come in an order of the seed's. */
  readonly tie: number;
  readonly id: number;
  readonly run: () => void;
  readonly owner: Owner | undefined;
}

const isBefore = (a: Due, b: Due): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && (a.tie < b.tie || (a.tie === b.tie && a.id < b.id)));

/** Turns of the event loop run all microtasks between them. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

export class VirtualClock {
  readonly #random: SeededRandom;
  readonly #heap: Due[] = [];
  readonly #cancelled = new Set<number>();
  #nowMs: number;
  #ids = 0;
  steps = 0;
  /** Stretches of more than 10 s in which nothing was due. */
  idleMs = 0;

  constructor(random: SeededRandom, startMs: number) {
    this.#random = random;
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  at(delayMs: number, run: () => void, owner?: Owner): number {
    this.#ids += 1;
    const id = this.#ids;
    const atMs = this.#nowMs + Math.max(0, delayMs);
    this.#push({ atMs, tie: this.#random.next(), id, run, owner });
    return id;
  }

  /** Never resolves for a process that died meanwhile. */
  wait(delayMs: number, owner: Owner): Promise<void> {
    return new Promise((resolve) => this.at(delayMs, resolve, owner));
  }

  cancel(id: number): void {
    this.#cancelled.add(id);
  }

  /** The clock port of one process. */
  clockFor(owner: Owner): Clock {
    return {
      now: () => this.#nowMs + owner.skewMs,
      setTimeout: (fn, delayMs) => this.at(delayMs, fn, owner),
      clearTimeout: (id) => {
        if (typeof id === 'number') this.cancel(id);
      },
    };
  }

  /** Lets what follows from a call made outside of a step come to rest. */
  settle(): Promise<void> {
    return turn();
  }

  /** Runs the next event and what follows from it; false when nothing is due any more. */
  async step(): Promise<boolean> {
    let next = this.#pop();
    while (next !== undefined && this.#cancelled.delete(next.id)) next = this.#pop();
    if (next === undefined) return false;
    if (next.atMs - this.#nowMs > 10_000) this.idleMs += next.atMs - this.#nowMs;
    this.#nowMs = next.atMs;
    const { owner } = next;
    if (owner?.alive && owner.pausedUntilMs > this.#nowMs) {
      this.#push({ ...next, atMs: owner.pausedUntilMs });
      return true;
    }
    this.steps += 1;
    if (owner?.alive === false) return true;
    next.run();
    await turn();
    return true;
  }

  #push(due: Due): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(due);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(due, heap[parent] as Due)) break;
      heap[at] = heap[parent] as Due;
      at = parent;
    }
    heap[at] = due;
  }

  #pop(): Due | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, heap[child] as Due)) child += 1;
      if (!isBefore(heap[child] as Due, last)) break;
      heap[at] = heap[child] as Due;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}
