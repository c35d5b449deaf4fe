/** The MySQL port: one `Connection` per socket. */
import { createServer, type Socket } from 'node:net';
import { type Clock, sleep } from '../../base/clock.ts';
import { LoadError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { Connection } from './connection.ts';
import type { ConnectionHost, ConnectionView, WireTimeouts } from './connection.types.ts';
import type { SessionHost } from './mysql.types.ts';
import { writeErr } from './packets/err.ts';
import { PacketWriter } from './packets/packet-writer.ts';

const CLOSE_MS_MAX = 5_000;
const KEEP_ALIVE_MS = 60_000;

export interface MysqlServerOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly sessions: SessionHost;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  /** Default 4,096, those that have not logged in among them. */
  readonly connectionsMax?: number;
  /** Default: handshake 10 s, wait 28,800 s, write 600 s. */
  readonly timeouts?: Partial<WireTimeouts>;
}

export interface MysqlServer {
  listen(): Promise<{ readonly port: number }>;
  /** Ends all connections, aborting what they run, and waits at most 5 s for their sessions. */
  close(): Promise<void>;
  connections(): readonly ConnectionView[];
  /** `queryOnly`: the statement alone. `false`: no such connection. */
  kill(id: number, queryOnly: boolean): boolean;
}

export function createMysqlServer(options: MysqlServerOptions): MysqlServer {
  const { clock, log, random, sessions, connectionsMax = 4_096 } = options;
  const open = new Map<number, { readonly connection: Connection; readonly over: Promise<void> }>();
  const startedMs = clock.now();
  let lastId = 0;

  const connections = () => [...open.values()].map(({ connection }) => connection.view());
  const kill = (id: number, queryOnly: boolean): boolean => {
    const found = open.get(id)?.connection;
    if (queryOnly) found?.killQuery();
    else found?.destroy();
    return found !== undefined;
  };
  const host: ConnectionHost = {
    sessions,
    clock,
    log,
    random,
    timeouts: { handshakeMs: 10_000, waitMs: 28_800_000, writeMs: 600_000, ...options.timeouts },
    kill,
    connections,
    statistics: () =>
      `Uptime: ${Math.floor((clock.now() - startedMs) / 1_000)}  Threads: ${open.size}`,
  };

  const accept = (socket: Socket): void => {
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    if (open.size >= connectionsMax) {
      refuse(socket);
      return;
    }
    do lastId = lastId === 0xffff_ffff ? 1 : lastId + 1;
    while (open.has(lastId));
    const id = lastId;
    const connection = new Connection(id, socket, host);
    const over = connection.run().finally(() => open.delete(id));
    open.set(id, { connection, over });
  };

  const server = createServer(accept);
  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', (cause: NodeJS.ErrnoException) => {
          const where = `${options.host}:${options.port}`;
          reject(new LoadError('LISTEN_FAILED', `could not listen on ${where}`, { cause }));
        });
        server.listen(options.port, options.host, () => {
          server.removeAllListeners('error');
          server.on('error', (error) =>
            log.write('warn', 'accept failed', { error: String(error) }),
          );
          const address = server.address();
          resolve({ port: typeof address === 'object' && address !== null ? address.port : 0 });
        });
      }),
    close: async () => {
      server.close();
      const all = [...open.values()];
      for (const { connection } of all) connection.destroy();
      const ended = new AbortController();
      const allOver = Promise.all(all.map(({ over }) => over)).then(() => ended.abort());
      await Promise.race([allOver, sleep(clock, CLOSE_MS_MAX, ended.signal)]);
      if (open.size > 0) log.write('warn', 'sessions still running', { sessions: open.size });
    },
    connections,
    kill,
  };
}

function refuse(socket: Socket): void {
  const writer = new PacketWriter();
  writeErr(writer, { errno: 1040, sqlState: '08004', message: 'Too many connections' });
  socket.on('error', () => socket.destroy());
  socket.end(writer.take(), () => socket.destroy());
}
