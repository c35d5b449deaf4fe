/**
 * The bus between threads of one process. The hub lives in the main thread and knows every subscription;
 * workers reach it through a MessagePort, users in its own thread directly.
 *
 *   L1. Nothing is delivered within the call that sent it, on any path.
 *   L2. Messages are encoded once and decoded by each receiver: nobody shares memory (T2).
 *   L3. A thread that goes away takes its subscriptions along, and requests that only it could have answered
 *       fail at once.
 */
import { type MessagePort, threadId } from 'node:worker_threads';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { BusCore, busy, closedError, disconnected } from '../bus-core.ts';
import { SubjectTable } from '../bus-subjects.ts';
import type { BusWire, WireMessage } from '../bus-wire.types.ts';
import { type PortOp, PortPipe } from './port-pipe.ts';

export interface LocalHubOptions {
  readonly clock: Clock;
  readonly log: Log;
}

/** Somebody attached: a user in this thread or the port of a worker. */
interface Party {
  readonly name: string;
  readonly listeners: Map<number, Listener>;
  /** False if it could not take the message. */
  deliver(sids: readonly number[], message: WireMessage): boolean;
}

interface Listener {
  readonly party: Party;
  readonly sid: number;
  readonly pattern: string;
}

interface Asked {
  readonly asker: Party;
  readonly targets: Set<Party>;
}

const noBytes = new Uint8Array(0);

export function createLocalHub(options: LocalHubOptions): LocalHub {
  return new LocalHub(options);
}

export class LocalHub {
  readonly #options: LocalHubOptions;
  readonly #table = new SubjectTable<Listener>();
  readonly #parties = new Set<Party>();
  readonly #asked = new Map<string, Asked>();
  readonly #pipes = new Set<PortPipe>();
  readonly #buses = new Map<BusWire, BusCore>();
  #queue: (() => void)[] = [];
  #inboxes = 0;

  constructor(options: LocalHubOptions) {
    this.#options = options;
  }

  /** A bus for users in the hub's own thread. */
  bus(from: string): BusCore {
    const { clock, log } = this.#options;
    const wire = this.#threadWire(from);
    this.#inboxes += 1;
    const bus = new BusCore({ from, clock, log, wire, inbox: `hub-${this.#inboxes}` });
    this.#buses.set(wire, bus);
    return bus;
  }

  /** The hub's end of a worker's channel; the worker calls `connectLocalBus` with the other. */
  attach(port: MessagePort, name: string): void {
    const pipe = new PortPipe(port, {
      op: (op) => this.#portOp(party, pipe, op),
      closed: () => {
        this.#pipes.delete(pipe);
        this.#options.log.write('info', 'bus thread left', { name });
        this.#depart(party);
      },
    });
    const party: Party = {
      name,
      listeners: new Map(),
      deliver: (sids, message) => pipe.carry({ op: 'deliver', sids, message }),
    };
    this.#pipes.add(pipe);
    this.#parties.add(party);
  }

  /** Names of those attached, for SHOW and tests. */
  parties(): readonly string[] {
    return [...this.#parties].map((party) => party.name);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#buses.values()].map((bus) => bus.close()));
    await Promise.all([...this.#pipes].map((pipe) => pipe.close()));
  }

  #threadWire(name: string): BusWire {
    const handlers = new Map<number, (message: WireMessage) => void>();
    const since = this.#options.clock.now();
    let sids = 0;
    let open = true;
    const party: Party = {
      name,
      listeners: new Map(),
      deliver: (called, message) => {
        this.#later(() => {
          for (const sid of called) handlers.get(sid)?.(message);
        });
        return true;
      },
    };
    this.#parties.add(party);
    const wire: BusWire = {
      send: (subject, bytes, reply) => {
        if (!open) throw closedError();
        this.#route(party, withReply(subject, bytes, reply));
      },
      listen: (pattern, handler) => {
        sids += 1;
        const sid = sids;
        handlers.set(sid, handler);
        this.#listen(party, sid, pattern);
        return {
          close: () => {
            handlers.delete(sid);
            this.#unlisten(party, sid);
          },
        };
      },
      forget: (reply) => this.#asked.delete(reply),
      onDown: () => {},
      flush: () => Promise.resolve(),
      status: () =>
        open ? { connected: true, since } : { connected: false, since, reason: 'closed' },
      close: async () => {
        open = false;
        this.#buses.delete(wire);
        this.#depart(party);
      },
    };
    return wire;
  }

  #portOp(party: Party, pipe: PortPipe, op: PortOp): void {
    switch (op.op) {
      case 'send':
        this.#route(party, op.message);
        return;
      case 'listen':
        this.#listen(party, op.sid, op.pattern);
        return;
      case 'unlisten':
        this.#unlisten(party, op.sid);
        return;
      case 'forget':
        this.#asked.delete(op.reply);
        return;
      case 'ping':
        pipe.control({ op: 'pong', n: op.n });
        return;
      default:
        this.#options.log.write('warn', 'unknown bus operation', { name: party.name, op: op.op });
    }
  }

  #listen(party: Party, sid: number, pattern: string): void {
    const listener: Listener = { party, sid, pattern };
    this.#table.add(pattern, listener);
    party.listeners.set(sid, listener);
  }

  #unlisten(party: Party, sid: number): void {
    const listener = party.listeners.get(sid);
    if (listener === undefined) return;
    party.listeners.delete(sid);
    this.#table.delete(listener.pattern, listener);
  }

  #route(sender: Party, message: WireMessage): void {
    const { subject, reply } = message;
    this.#asked.delete(subject); // an answer: the first one ends the request
    const called = new Map<Party, number[]>();
    for (const { party, sid } of this.#table.match(subject)) {
      const sids = called.get(party);
      if (sids === undefined) called.set(party, [sid]);
      else sids.push(sid);
    }
    const targets = new Set<Party>();
    for (const [party, sids] of called) if (party.deliver(sids, message)) targets.add(party);
    if (reply === undefined) return;
    if (targets.size === 0) this.#unanswered(sender, reply, called.size === 0 ? 'none' : 'gone');
    else this.#asked.set(reply, { asker: sender, targets });
  }

  #unanswered(asker: Party, reply: string, unanswered: 'none' | 'gone'): void {
    this.#route(asker, { subject: reply, bytes: noBytes, unanswered });
  }

  #depart(party: Party): void {
    if (!this.#parties.delete(party)) return;
    for (const sid of [...party.listeners.keys()]) this.#unlisten(party, sid);
    for (const [reply, { asker, targets }] of [...this.#asked]) {
      if (asker === party) this.#asked.delete(reply);
      else if (targets.delete(party) && targets.size === 0) this.#unanswered(asker, reply, 'gone');
    }
  }

  /**
   * One queue for the whole thread keeps the order (B4). A turn, not a microtask: two who answer each other
   * without end would keep the thread from all I/O.
   */
  #later(deliver: () => void): void {
    this.#queue.push(deliver);
    if (this.#queue.length > 1) return;
    setImmediate(() => {
      const queue = this.#queue;
      this.#queue = [];
      for (const next of queue) next();
    });
  }
}

/** One inbox per bus of this thread: two nodes of one name must not get each other's answers. */
let inboxes = 0;

/** The worker's end of a channel whose other end the hub has attached. One bus per port. */
export function connectLocalBus(
  port: MessagePort,
  options: { readonly from: string; readonly clock: Clock; readonly log: Log },
): BusCore {
  const { from, clock, log } = options;
  inboxes += 1;
  const inbox = `port-${threadId}-${inboxes}`;
  return new BusCore({ from, clock, log, wire: new PortWire(port, clock), inbox });
}

class PortWire implements BusWire {
  readonly #pipe: PortPipe;
  readonly #clock: Clock;
  readonly #handlers = new Map<number, (message: WireMessage) => void>();
  readonly #pings = new Map<number, { resolve(): void; reject(error: Error): void }>();
  #since: number;
  #sids = 0;
  #closing = false;
  #down: (reason: string) => void = () => {};

  constructor(port: MessagePort, clock: Clock) {
    this.#clock = clock;
    this.#since = clock.now();
    this.#pipe = new PortPipe(port, { op: (op) => this.#op(op), closed: () => this.#left() });
  }

  send(subject: string, bytes: Uint8Array, reply?: string): void {
    if (!this.#pipe.open) throw this.#closing ? closedError() : disconnected('port closed');
    const message = withReply(subject, bytes, reply);
    if (!this.#pipe.carry({ op: 'send', message })) throw busy();
  }

  listen(pattern: string, handler: (message: WireMessage) => void): { close(): void } {
    this.#sids += 1;
    const sid = this.#sids;
    this.#handlers.set(sid, handler);
    this.#pipe.control({ op: 'listen', sid, pattern });
    return {
      close: () => {
        this.#handlers.delete(sid);
        this.#pipe.control({ op: 'unlisten', sid });
      },
    };
  }

  forget(reply: string): void {
    this.#pipe.control({ op: 'forget', reply });
  }

  onDown(handler: (reason: string) => void): void {
    this.#down = handler;
  }

  /** The port keeps the order, so what was sent before the ping is known when the pong is here. */
  flush(): Promise<void> {
    if (!this.#pipe.open) return Promise.reject(disconnected('port closed'));
    this.#sids += 1;
    const n = this.#sids;
    return new Promise((resolve, reject) => {
      this.#pings.set(n, { resolve, reject });
      this.#pipe.control({ op: 'ping', n });
    });
  }

  status(): { readonly connected: boolean; readonly since: number; readonly reason?: string } {
    return this.#pipe.open
      ? { connected: true, since: this.#since }
      : { connected: false, since: this.#since, reason: 'port closed' };
  }

  close(): Promise<void> {
    this.#closing = true;
    return this.#pipe.close();
  }

  #op(op: PortOp): void {
    if (op.op === 'deliver') {
      for (const sid of op.sids) this.#handlers.get(sid)?.(op.message);
    } else if (op.op === 'pong') {
      this.#pings.get(op.n)?.resolve();
      this.#pings.delete(op.n);
    }
  }

  #left(): void {
    this.#since = this.#clock.now();
    for (const ping of this.#pings.values()) ping.reject(disconnected('port closed'));
    this.#pings.clear();
    this.#down('port closed');
  }
}

function withReply(subject: string, bytes: Uint8Array, reply: string | undefined): WireMessage {
  return reply === undefined ? { subject, bytes } : { subject, bytes, reply };
}
