import { MessageChannel } from 'node:worker_threads';
import { expect, it } from 'vitest';
import type { WireMessage } from '../bus-wire.types.ts';
import { PortPipe } from './port-pipe.ts';

it('does not send to a reader that does not read, and goes on when it does', async () => {
  const { port1, port2 } = new MessageChannel();
  const pipe = new PortPipe(port1, { op: () => {}, closed: () => {} }, 4 << 20);
  const message: WireMessage = { subject: 'm.x', bytes: new Uint8Array(1 << 18) };
  let carried = 0;
  while (carried < 1_000 && pipe.carry({ op: 'send', message })) carried += 1;
  expect(carried).toBe(16);

  let read = 0;
  const all = new Promise<void>((resolve) => {
    const reader = new PortPipe(port2, {
      op: () => {
        read += 1;
        if (read === carried + 1) resolve();
      },
      closed: () => {},
    });
    expect(reader.open).toBe(true);
  });
  while (!pipe.carry({ op: 'send', message })) await new Promise((next) => setImmediate(next));
  await all;
  await pipe.close();
  expect(pipe.carry({ op: 'send', message })).toBe(false);
  expect(pipe.control({ op: 'ping', n: 1 })).toBe(false);
});
