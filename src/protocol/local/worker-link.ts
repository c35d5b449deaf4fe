/** Both channels of a worker in one value for `workerData`: the bus and the part store. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Bus, PartStore } from '../bus.types.ts';
import { connectLocalBus, type LocalHub } from './local-bus.ts';
import type { PartHub } from './part-hub.ts';
import { connectPartStore } from './part-store.ts';

export interface WorkerLink {
  /** Node and incarnation, as `be-1.3`: the sender on the bus and the address on the part store. */
  readonly name: string;
  readonly bus: MessagePort;
  readonly parts: MessagePort;
}

/**
 * In the main thread:
 * `new Worker(file, { workerData: { link, … }, transferList: linkTransfers(link) })`.
 */
export function linkWorker(
  hubs: { readonly bus: LocalHub; readonly parts: PartHub },
  name: string,
): WorkerLink {
  const bus = new MessageChannel();
  const parts = new MessageChannel();
  hubs.bus.attach(bus.port1, name);
  hubs.parts.attach(parts.port1, name);
  return { name, bus: bus.port2, parts: parts.port2 };
}

export function linkTransfers(link: WorkerLink): MessagePort[] {
  return [link.bus, link.parts];
}

/** In the worker. Closing both lets the thread end. */
export function connectLink(
  link: WorkerLink,
  options: { readonly clock: Clock; readonly log: Log; readonly partBytesMax?: number },
): { readonly bus: Bus; readonly parts: PartStore } {
  const { clock, log, partBytesMax } = options;
  return {
    bus: connectLocalBus(link.bus, { from: link.name, clock, log }),
    parts: connectPartStore(link.parts, link.name, {
      clock,
      log,
      ...(partBytesMax === undefined ? {} : { bytesMax: partBytesMax }),
    }),
  };
}
