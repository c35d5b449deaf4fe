import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Ports below the range that systems give to outgoing connections (32768 and up on Linux): a server
 * that was killed must find its port free when it comes back, and a client that keeps calling a dead
 * port in that range can end up connected to itself.
 */
const portMin = 20_000;
const portMax = 32_000;

export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () =>
      server.close(() => resolve(true)),
    );
  });
}

/** So many different ports of 127.0.0.1 that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  for (let tries = 0; ports.size < count; tries += 1) {
    if (tries > 1_000) throw new Error(`no ${count} free ports between ${portMin} and ${portMax}`);
    const port = randomInt(portMin, portMax);
    if (await isPortFree(port)) ports.add(port);
  }
  return [...ports];
}
