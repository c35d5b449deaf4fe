/** Routes takes of parts between the threads of one process. Buffers pass through by transfer, unread. */
import type { MessagePort } from 'node:worker_threads';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { PartOp } from './part-ops.types.ts';

export interface PartHub {
  /** The hub's end of a store's channel. A later store of the same address takes its place. */
  attach(port: MessagePort, address: string): void;
  close(): Promise<void>;
}

interface Ticket {
  readonly taker: MessagePort;
  readonly owner: MessagePort;
  readonly n: number;
}

export function createPartHub(options: { readonly clock: Clock; readonly log: Log }): PartHub {
  const owners = new Map<string, MessagePort>();
  const ports = new Map<MessagePort, Promise<void>>();
  const tickets = new Map<number, Ticket>();
  let numbers = 0;

  function onOp(port: MessagePort, op: PartOp): void {
    switch (op.op) {
      case 'take': {
        const owner = owners.get(op.owner);
        if (owner === undefined) {
          post(port, { op: 'gone', n: op.n, reason: 'owner of the part is not here' });
          return;
        }
        numbers += 1;
        tickets.set(numbers, { taker: port, owner, n: op.n });
        post(owner, { op: 'give', id: op.id, ticket: numbers });
        return;
      }
      case 'given': {
        const ticket = redeem(port, op.ticket);
        if (ticket === undefined) return;
        post(ticket.taker, { op: 'part', n: ticket.n, bytes: op.bytes }, [op.bytes.buffer]);
        return;
      }
      case 'ungiven': {
        const ticket = redeem(port, op.ticket);
        if (ticket === undefined) return;
        post(ticket.taker, { op: 'gone', n: ticket.n, reason: 'part was taken or has expired' });
        return;
      }
      default:
        options.log.write('warn', 'unknown part operation', { op: op.op });
    }
  }

  function redeem(owner: MessagePort, number: number): Ticket | undefined {
    const ticket = tickets.get(number);
    if (ticket?.owner !== owner) return undefined;
    tickets.delete(number);
    return ticket;
  }

  function post(port: MessagePort, op: PartOp, transfer: ArrayBuffer[] = []): void {
    if (ports.has(port)) port.postMessage(op, transfer);
  }

  function leave(port: MessagePort, address: string): void {
    ports.delete(port);
    if (owners.get(address) === port) owners.delete(address);
    for (const [number, ticket] of [...tickets]) {
      if (ticket.owner !== port && ticket.taker !== port) continue;
      tickets.delete(number);
      post(ticket.taker, { op: 'gone', n: ticket.n, reason: 'owner of the part went away' });
    }
  }

  return {
    attach(port, address) {
      owners.set(address, port);
      port.on('message', (op: PartOp) => onOp(port, op));
      const closed = new Promise<void>((resolve) => {
        port.on('close', () => {
          leave(port, address);
          resolve();
        });
      });
      ports.set(port, closed);
      port.unref(); // A worker's own thread, or a take that waits, keeps the process alive.
    },
    async close() {
      const closed = [...ports.values()];
      for (const port of [...ports.keys()]) port.close();
      await Promise.all(closed);
    },
  };
}
