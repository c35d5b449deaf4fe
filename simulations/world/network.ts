/**
 * The bus between simulated processes: a wire under the production `BusCore`. Directed paths are late, lossy, doubled,
 * clogged or cut; within one path what is delivered keeps its order (bus contract B4) unless the options reorder. A
 * message may come again long after (`stale`), and all that is under way may be erased: the bus holds no truth.
 */
import { SubjectTable } from '../../src/protocol/bus-subjects.ts';
import type { BusWire, WireMessage } from '../../src/protocol/bus-wire.types.ts';
import type { Owner, VirtualClock } from './clock.ts';
import type { Points } from './points.ts';
import type { SeededRandom } from './random.ts';
import type { Trace } from './trace.ts';

export interface NetworkFaults {
  readonly drop: number;
  readonly duplicate: number;
  readonly reorder: number;
  /** A second copy comes seconds later: of an older epoch, or of what was settled long ago. */
  readonly stale: number;
  readonly delayMsMax: number;
}

interface Listener {
  readonly node: string;
  readonly owner: Owner;
  readonly handler: (message: WireMessage) => void;
}

/** Of one message: what happens to the next that a process sends. */
type Once = { readonly kind: 'lose' | 'repeat'; readonly from: string | null };

const REMEMBERED_MAX = 1_000;

export class Network {
  readonly #clock: VirtualClock;
  readonly #random: SeededRandom;
  readonly #trace: Trace;
  readonly #points: Points;
  readonly #table = new SubjectTable<Listener>();
  readonly #lastAt = new Map<string, number>();
  readonly #cut = new Set<string>();
  readonly #clogged = new Map<string, number>();
  readonly #once: Once[] = [];
  /** The verb that an inbox waits for, so that moments have names. */
  readonly #verbs = new Map<string, string>();
  #generation = 0;
  faults: NetworkFaults;

  constructor(
    clock: VirtualClock,
    random: SeededRandom,
    trace: Trace,
    points: Points,
    faults: NetworkFaults,
  ) {
    this.#clock = clock;
    this.#random = random;
    this.#trace = trace;
    this.#points = points;
    this.faults = faults;
  }

  /** Nothing goes from one to the other, in this direction, until `heal`. */
  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`);
    this.#trace.reach('net.cut');
  }

  /** What goes from one to the other waits so long, and then comes all at once. */
  clog(from: string, to: string, ms: number): void {
    this.#clogged.set(`${from}>${to}`, this.#clock.now() + ms);
    this.#trace.reach('net.clog');
  }

  heal(): void {
    this.#cut.clear();
    this.#clogged.clear();
  }

  /** `null`: whoever sends next. */
  loseNext(from: string | null): void {
    this.#once.push({ kind: 'lose', from });
  }

  repeatNext(from: string | null): void {
    this.#once.push({ kind: 'repeat', from });
  }

  /** All that is under way is gone. */
  erase(): void {
    this.#generation += 1;
    this.#trace.reach('net.erased');
  }

  wire(node: string, owner: Owner): BusWire {
    const own = new Set<{ pattern: string; listener: Listener }>();
    return {
      send: (subject, bytes, reply) => {
        if (!owner.alive) return;
        if (reply !== undefined) this.#remember(reply, subject);
        this.#route(node, {
          subject,
          bytes: bytes.slice(),
          ...(reply === undefined ? {} : { reply }),
        });
      },
      listen: (pattern, handler) => {
        const listener: Listener = { node, owner, handler };
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
      },
    };
  }

  #remember(reply: string, subject: string): void {
    this.#verbs.set(reply, subject.slice(subject.lastIndexOf('.') + 1));
    if (this.#verbs.size <= REMEMBERED_MAX) return;
    const oldest = this.#verbs.keys().next().value;
    if (oldest !== undefined) this.#verbs.delete(oldest);
  }

  /** `task-run`, or `task-run answer`. */
  #nameOf({ subject }: WireMessage): string {
    const asked = subject.startsWith('r.') ? this.#verbs.get(subject) : undefined;
    return asked === undefined ? subject.slice(subject.lastIndexOf('.') + 1) : `${asked} answer`;
  }

  #route(from: string, message: WireMessage): void {
    const targets = this.#table.match(message.subject).filter(({ owner }) => owner.alive);
    if (targets.length === 0) {
      if (message.reply === undefined) return;
      const back: WireMessage = {
        subject: message.reply,
        bytes: new Uint8Array(0),
        unanswered: 'none',
      };
      for (const target of this.#table.match(message.reply)) this.#later('net', back, target);
      return;
    }
    this.#points.hit(`${this.#nameOf(message)} sent`, from);
    for (const target of targets) this.#later(from, message, target);
  }

  #takeOnce(from: string): Once['kind'] | undefined {
    const i = this.#once.findIndex((one) => one.from === null || one.from === from);
    return i < 0 ? undefined : this.#once.splice(i, 1)[0]?.kind;
  }

  #later(from: string, message: WireMessage, target: Listener): void {
    const { drop, duplicate, reorder, stale, delayMsMax } = this.faults;
    const path = `${from}>${target.node}`;
    const once = this.#once.length === 0 ? undefined : this.#takeOnce(from);
    if (once === 'lose' || this.#cut.has(path) || (drop > 0 && this.#random.chance(drop))) {
      this.#trace.reach(this.#cut.has(path) ? 'net.partition' : 'net.drop');
      return;
    }
    if (stale > 0 && this.#random.chance(stale)) {
      this.#trace.reach('net.stale');
      this.#deliver(this.#random.whole(1_000, 20_000), message, target);
    }
    const isTwice = once === 'repeat' || (duplicate > 0 && this.#random.chance(duplicate));
    if (isTwice) this.#trace.reach('net.duplicate');
    for (let i = 0; i < (isTwice ? 2 : 1); i++) {
      const now = this.#clock.now();
      const delayMs = 1 + Math.floor(this.#random.next() ** 3 * delayMsMax);
      let atMs = Math.max(now + delayMs, this.#clogged.get(path) ?? 0);
      if (reorder > 0 && this.#random.chance(reorder)) this.#trace.reach('net.reorder');
      else {
        atMs = Math.max(atMs, (this.#lastAt.get(path) ?? 0) + 0.001);
        this.#lastAt.set(path, atMs);
      }
      this.#deliver(atMs - now, message, target);
    }
  }

  #deliver(delayMs: number, message: WireMessage, target: Listener): void {
    const generation = this.#generation;
    const arrive = () => {
      if (generation !== this.#generation) return;
      this.#points.hit(`${this.#nameOf(message)} delivered`, target.node);
      if (target.owner.alive) target.handler(message);
    };
    this.#clock.at(delayMs, arrive, target.owner);
  }
}
