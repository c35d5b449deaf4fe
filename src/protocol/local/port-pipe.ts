/**
 * One end of a MessagePort that carries bus messages between threads, with a bound on what is under way:
 * a thread that does not read is not sent to for ever (B2 allows the loss, memory does not).
 */
import type { MessagePort } from 'node:worker_threads';
import type { WireMessage } from '../bus-wire.types.ts';

export type PortOp =
  | { readonly op: 'listen'; readonly sid: number; readonly pattern: string }
  | { readonly op: 'unlisten'; readonly sid: number }
  | { readonly op: 'send'; readonly message: WireMessage }
  | { readonly op: 'deliver'; readonly sids: readonly number[]; readonly message: WireMessage }
  | { readonly op: 'forget'; readonly reply: string }
  | { readonly op: 'ping'; readonly n: number }
  | { readonly op: 'pong'; readonly n: number };

type Flow = { readonly op: 'ack'; readonly bytes: number };

const ackBytes = 1 << 20;
const messageCost = 200;

export class PortPipe {
  readonly #port: MessagePort;
  readonly #underWayMax: number;
  #underWay = 0;
  #unacked = 0;
  #open = true;
  /** Resolves when the channel is gone, whoever closed it. */
  readonly closed: Promise<void>;

  constructor(
    port: MessagePort,
    events: { op(op: PortOp): void; closed(): void },
    underWayMax = 64 << 20,
  ) {
    this.#port = port;
    this.#underWayMax = underWayMax;
    port.on('message', (op: PortOp | Flow) => {
      if (op.op === 'ack') {
        this.#underWay -= op.bytes;
        return;
      }
      if (op.op === 'send' || op.op === 'deliver') this.#received(costOf(op.message));
      events.op(op);
    });
    this.closed = new Promise((resolve) => {
      port.on('close', () => {
        this.#open = false;
        events.closed();
        resolve();
      });
    });
  }

  /** False if the other side is gone. */
  control(op: PortOp): boolean {
    if (this.#open) this.#port.postMessage(op);
    return this.#open;
  }

  /** Bytes are copied by the port: nobody shares memory (T2). False if too much is under way, or nobody is there. */
  carry(op: Extract<PortOp, { readonly message: WireMessage }>): boolean {
    if (!this.#open || this.#underWay >= this.#underWayMax) return false;
    this.#underWay += costOf(op.message);
    this.#port.postMessage(op);
    return true;
  }

  get open(): boolean {
    return this.#open;
  }

  /** What was posted before still arrives. */
  close(): Promise<void> {
    if (this.#open) this.#port.close();
    return this.closed;
  }

  #received(bytes: number): void {
    this.#unacked += bytes;
    if (this.#unacked < ackBytes || !this.#open) return;
    this.#port.postMessage({ op: 'ack', bytes: this.#unacked } satisfies Flow);
    this.#unacked = 0;
  }
}

function costOf(message: WireMessage): number {
  return message.bytes.length + messageCost;
}
