/** A real nats-server with JetStream, on 127.0.0.1. A restart keeps its port and its data. */
import { mkdirSync, mkdtempSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { installNats, type Say } from './install.ts';
import { runsDir } from './places.ts';
import { freePorts, isPortFree } from './ports.ts';
import { ownDir, type ServerProcess, startServerProcess } from './server-process.ts';
import { waitFor } from './wait-for.ts';

export interface NatsOptions {
  /** Kept when the server stops, and used again. Default: a new one, removed with the server. */
  readonly dir?: string;
  /** False: the server stays when this process ends. Default true. */
  readonly owned?: boolean;
  /** Wished port, taken if it is free. */
  readonly port?: number;
  readonly say?: Say;
}

export interface NatsHandle {
  readonly url: string;
  /** Where GET /healthz, /varz and /connz answer. */
  readonly monitorUrl: string;
  readonly pid: number | undefined;
  readonly dir: string;
  readonly logFile: string;
  /** SIGKILL. Returns when the process is gone. */
  kill(): Promise<void>;
  /** Starts it again with the same port and data. Returns when it serves. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function startNats(options: NatsOptions = {}): Promise<NatsHandle> {
  const command = await installNats(options.say ?? (() => {}));
  if (options.dir === undefined) mkdirSync(runsDir, { recursive: true });
  else mkdirSync(options.dir, { recursive: true });
  const dir = options.dir ?? mkdtempSync(join(runsDir, 'nats-'));
  const releaseDir = options.dir === undefined ? ownDir(dir) : () => {};
  const [free = 0, monitorPort = 0] = await freePorts(2);
  const wished = options.port;
  const port = wished !== undefined && (await isPortFree(wished)) ? wished : free;
  const monitorUrl = `http://127.0.0.1:${monitorPort}`;
  const configFile = join(dir, 'nats.conf');
  const logFile = join(dir, 'nats.log');
  await writeFile(
    configFile,
    [
      `listen: "127.0.0.1:${port}"`,
      `http: "127.0.0.1:${monitorPort}"`,
      `jetstream { store_dir: ${JSON.stringify(join(dir, 'jetstream'))} }`,
      '',
    ].join('\n'),
  );

  let server: ServerProcess | undefined;
  const start = async () => {
    const started = startServerProcess({
      command,
      args: ['-c', configFile],
      logFile,
      owned: options.owned ?? true,
    });
    server = started;
    await waitFor(async () => (await fetch(`${monitorUrl}/healthz`)).ok, {
      what: `answer of nats-server (log: ${logFile})`,
      giveUp: () => started.assertRunning('nats-server'),
    });
  };
  const stop = async () => {
    await server?.stop();
    releaseDir();
  };
  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url: `nats://127.0.0.1:${port}`,
    monitorUrl,
    dir,
    logFile,
    get pid() {
      return server?.isRunning() ? server.pid : undefined;
    },
    async kill() {
      await server?.kill();
    },
    async restart() {
      await server?.stop();
      await start();
    },
    stop,
  };
}
