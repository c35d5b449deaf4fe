/** A worker with a bus of its own; the test tells it what to do, and makes what its handlers answer. */
import { type MessagePort, workerData } from 'node:worker_threads';
import { systemClock } from '../../src/base/clock.ts';
import { fromErrorData, toErrorData } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import type { BusMeta, Subscription } from '../../src/protocol/bus.types.ts';
import { connectLink, type WorkerLink } from '../../src/protocol/local/worker-link.ts';
import type { WorkerOrder, WorkerReport } from './bus-worker.types.ts';

const { link, control } = workerData as { link: WorkerLink; control: MessagePort };
const { bus, parts } = connectLink(link, { clock: systemClock, log: silentLog });
const subscriptions = new Map<number, Subscription>();
const asked = new Map<number, { resolve(v: unknown): void; reject(e: unknown): void }>();
let calls = 0;

const report = (message: WorkerReport) => control.postMessage(message);

async function obey(order: WorkerOrder): Promise<unknown> {
  switch (order.do) {
    case 'publish':
      return bus.publish(order.subject, order.body);
    case 'request':
      return bus.request(order.subject, order.body, { timeoutMs: order.timeoutMs });
    case 'subscribe':
      subscriptions.set(
        order.id,
        bus.subscribe(order.subject, (body, meta) => report({ got: order.id, body, meta })),
      );
      return;
    case 'respond':
      subscriptions.set(
        order.id,
        bus.respond(order.subject, (body: unknown, meta: BusMeta) => {
          calls += 1;
          const call = calls;
          report({ asked: order.id, call, body, meta });
          return new Promise((resolve, reject) => asked.set(call, { resolve, reject }));
        }),
      );
      return;
    case 'answer':
      if (order.error === undefined) asked.get(order.call)?.resolve(order.value);
      else asked.get(order.call)?.reject(fromErrorData(order.error));
      asked.delete(order.call);
      return;
    case 'end':
      subscriptions.get(order.id)?.close();
      return;
    case 'ready':
      await bus.ready();
      return bus.status();
    case 'close':
      await bus.close();
      return bus.status();
    case 'offer':
      return parts.offer(order.bytes, order.options);
    case 'take':
      return parts.take(order.ref);
    case 'exit':
      process.exit(3);
  }
}

control.on('message', ({ n, order }: { n: number; order: WorkerOrder }) => {
  obey(order).then(
    (value) => report({ done: n, value }),
    (error) => report({ done: n, error: toErrorData(error) }),
  );
});
