/**
 * The bus between simulated processes: a wire under the production `BusCore`. Directed paths are late, lossy, doubled,
 * clogged or cut; within one path what is delivered keeps its order (bus contract B4) unless the profile reorders.
 */
import type { LoadError } from '../../src/base/errors.ts';
import { SubjectTable } from '../../src/protocol/bus-subjects.ts';
import type { BusWire, WireMessage } from '../../src/protocol/bus-wire.types.ts';
import type { VirtualClock } from './clock.ts';
import type { SeededRandom } from './random.ts';
import type { Trace } from './trace.ts';

export interface NetworkFaults {
  readonly drop: number;
  readonly duplicate: number;
  readonly reorder: number;
  readonly delayMsMax: number;
}

interface Listener {
  readonly node: string;
  readonly isAlive: () => boolean;
  readonly handler: (message: WireMessage) => void;
}

export class Network {
  readonly #clock: VirtualClock;
  readonly #random: SeededRandom;
  readonly #trace: Trace;
  readonly #table = new SubjectTable<Listener>();
  readonly #lastAt = new Map<string, number>();
  readonly #cut = new Set<string>();
  faults: NetworkFaults;

  constructor(clock: VirtualClock, random: SeededRandom, trace: Trace, faults: NetworkFaults) {
    this.#clock = clock;
    this.#random = random;
    this.#trace = trace;
    this.faults = faults;
  }

  /** Nothing goes from one to the other, in this direction, until `heal`. */
  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`);
    this.#trace.reach('network.cut');
  }

  heal(): void {
    this.#cut.clear();
  }

  wire(node: string, isAlive: () => boolean): BusWire {
    const own = new Set<{ pattern: string; listener: Listener }>();
    let inbox = new Set<string>();
    return {
      send: (subject, bytes, reply) => {
        if (!isAlive()) return;
        this.#route(node, {
          subject,
          bytes: bytes.slice(),
          ...(reply === undefined ? {} : { reply }),
        });
      },
      listen: (pattern, handler) => {
        const listener: Listener = { node, isAlive, handler };
        this.#table.add(pattern, listener);
        const entry = { pattern, listener };
        own.add(entry);
        return {
          close: () => {
            this.#table.delete(pattern, listener);
            own.delete(entry);
          },
        };
      },
      onDown: () => {},
      flush: async () => {},
      status: () => ({ connected: true, since: 0 }),
      close: async () => {
        for (const { pattern, listener } of own) this.#table.delete(pattern, listener);
        own.clear();
        inbox = new Set();
        void inbox;
      },
    };
  }

  /** A process that died: its subscriptions are gone at once, as a broken connection would tell. */
  depart(isOf: (node: string) => boolean): void {
    void isOf;
  }

  #route(from: string, message: WireMessage): void {
    const targets = this.#table.match(message.subject).filter((one) => one.isAlive());
    if (targets.length === 0) {
      if (message.reply !== undefined) {
        const back: WireMessage = {
          subject: message.reply,
          bytes: new Uint8Array(0),
          unanswered: 'none',
        };
        this.#later('net', from, back, this.#table.match(message.reply));
      }
      return;
    }
    for (const target of targets) this.#later(from, target.node, message, [target]);
  }

  #later(from: string, to: string, message: WireMessage, targets: readonly Listener[]): void {
    const { drop, duplicate, reorder, delayMsMax } = this.faults;
    const path = `${from}>${to}`;
    if (this.#cut.has(path) || (drop > 0 && this.#random.chance(drop))) {
      this.#trace.reach(this.#cut.has(path) ? 'network.partition' : 'network.drop');
      return;
    }
    const copies = duplicate > 0 && this.#random.chance(duplicate) ? 2 : 1;
    if (copies === 2) this.#trace.reach('network.duplicate');
    for (let i = 0; i < copies; i++) {
      const delayMs = 1 + Math.floor(this.#random.next() ** 3 * delayMsMax);
      let atMs = this.#clock.now() + delayMs;
      const isReordered = reorder > 0 && this.#random.chance(reorder);
      if (isReordered) this.#trace.reach('network.reorder');
      else {
        atMs = Math.max(atMs, (this.#lastAt.get(path) ?? 0) + 0.001);
        this.#lastAt.set(path, atMs);
      }
      this.#clock.at(atMs - this.#clock.now(), () => {
        for (const target of targets) if (target.isAlive()) target.handler(message);
      });
    }
  }
}

export type { LoadError };
