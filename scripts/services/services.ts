/**
 * The servers that stay: what `npm run services` and the quickstart start and end.
 *
 *   U1. `up` twice is `up` once: what runs is found by its process id and command line, and kept.
 *   U2. One `up` or `down` at a time works on a checkout; a second waits for the first.
 *   U3. A server that went down comes back with its data, and with its ports if they are still free.
 */
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LoadError } from '../../src/base/errors.ts';
import { run, type Say } from './install.ts';
import { accepts, startKafka } from './kafka.ts';
import { liveBrokers } from './kafka-client.ts';
import { startNats } from './nats.ts';
import { servicesDir } from './places.ts';
import { waitFor } from './wait-for.ts';

export const serviceNames = ['kafka', 'nats'] as const;
export type ServiceName = (typeof serviceNames)[number];

export interface Service {
  readonly name: ServiceName;
  /** What a client needs: `host:port[,host:port]` of Kafka, the URL of NATS. */
  readonly address: string;
  /** `environment`: somebody else's, named by KAFKA_BROKERS or NATS_URL, and never ended by us. */
  readonly from: 'started' | 'found' | 'environment';
  readonly pid?: number;
  readonly logFile?: string;
}

interface Saved {
  readonly address: string;
  readonly pid: number;
  readonly logFile: string;
  readonly dir: string;
  readonly ports: readonly number[];
}

type State = Partial<Record<ServiceName, Saved>>;

const stateFile = join(servicesDir, 'state.json');
const lockFile = join(servicesDir, 'lock');
const variables = { kafka: 'KAFKA_BROKERS', nats: 'NATS_URL' } as const;

/** Starts what does not run yet. Returns where everything that was asked for is. */
export async function up(names: readonly ServiceName[], say: Say): Promise<Service[]> {
  return locked(async () => {
    const services: Service[] = [];
    for (const name of serviceNames.filter((one) => names.includes(one))) {
      services.push(
        (await fromEnvironment(name)) ?? (await find(name)) ?? (await start(name, say)),
      );
    }
    return services;
  });
}

/** What runs now, and what the environment names. */
export async function status(): Promise<Service[]> {
  const services: Service[] = [];
  for (const name of serviceNames) {
    const address = process.env[variables[name]];
    const service: Service | undefined = address
      ? { name, address, from: 'environment' }
      : await find(name);
    if (service !== undefined) services.push(service);
  }
  return services;
}

/** Ends what `up` started. Returns what it ended. With `wipe` the data goes too. */
export async function down(
  names: readonly ServiceName[],
  options: { readonly wipe?: boolean } = {},
): Promise<ServiceName[]> {
  return locked(async () => {
    const ended: ServiceName[] = [];
    for (const name of names) {
      const saved = (await readState())[name];
      if (saved !== undefined && (await isOurs(saved))) {
        process.kill(saved.pid, 'SIGTERM');
        await gone(saved, 10_000).catch(async () => {
          process.kill(saved.pid, 'SIGKILL');
          await gone(saved, 10_000);
        });
        ended.push(name);
      }
      if (options.wipe) {
        await rm(dirOf(name), { recursive: true, force: true });
        await saveState(name, undefined);
      }
    }
    return ended;
  });
}

async function start(name: ServiceName, say: Say): Promise<Service> {
  const ports = (await readState())[name]?.ports ?? [];
  const dir = dirOf(name);
  say(`starting ${name}`);
  if (name === 'kafka') {
    const [plaintext, controller] = ports;
    const wished =
      plaintext === undefined || controller === undefined
        ? {}
        : { ports: { plaintext, controller } };
    const kafka = await startKafka({ dir, owned: false, say, ...wished });
    const broker = kafka.brokers[0]!;
    return save(name, {
      ...{ address: kafka.bootstrap, pid: broker.pid!, logFile: broker.logFile, dir },
      ports: [portOf(kafka.bootstrap), kafka.controllerPort],
    });
  }
  const [port] = ports;
  const nats = await startNats({ dir, owned: false, say, ...(port === undefined ? {} : { port }) });
  return save(name, {
    ...{ address: nats.url, pid: nats.pid!, logFile: nats.logFile, dir },
    ports: [portOf(nats.url)],
  });
}

async function save(name: ServiceName, saved: Saved): Promise<Service> {
  await saveState(name, saved);
  const { address, pid, logFile } = saved;
  return { name, address, pid, logFile, from: 'started' };
}

/** U1 */
async function find(name: ServiceName): Promise<Service | undefined> {
  const saved = (await readState())[name];
  if (saved === undefined || !(await isOurs(saved))) return undefined;
  const { address, pid, logFile } = saved;
  return { name, address, pid, logFile, from: 'found' };
}

async function fromEnvironment(name: ServiceName): Promise<Service | undefined> {
  const variable = variables[name];
  const address = process.env[variable];
  if (!address) return undefined;
  const answers =
    name === 'kafka'
      ? await liveBrokers(address).then(
          (brokers) => brokers.length > 0,
          () => false,
        )
      : await accepts(address.split(',')[0]!.replace(/^[a-z]+:\/\/(.*@)?/, ''));
  if (!answers) {
    throw new LoadError(
      'SERVICE_SILENT',
      `${variable} names "${address}", and no ${name} answers there`,
      {
        hint: `start that server, or unset ${variable} to have one started here`,
      },
    );
  }
  return { name, address, from: 'environment' };
}

const dirOf = (name: ServiceName) => join(servicesDir, 'up', name);
const portOf = (address: string) => Number(/:(\d+)$/.exec(address)?.[1]);

/** A process id can have gone to another program: only one that was started with our directory is ours. */
async function isOurs({ pid, dir }: Saved): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const commandLine =
    (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined)) ??
    (await run('ps', ['-ww', '-o', 'command=', '-p', String(pid)]))?.output ??
    '';
  return commandLine.includes(dir);
}

async function gone(saved: Saved, timeoutMs: number): Promise<void> {
  await waitFor(async () => !(await isOurs(saved)), {
    what: `end of process ${saved.pid}`,
    timeoutMs,
  });
}

async function readState(): Promise<State> {
  const text = await readFile(stateFile, 'utf8').catch(() => '{}');
  return JSON.parse(text) as State;
}

async function saveState(name: ServiceName, saved: Saved | undefined): Promise<void> {
  const { [name]: _, ...others } = await readState();
  const state: State = saved === undefined ? others : { ...others, [name]: saved };
  const half = `${stateFile}.half`;
  await writeFile(half, `${JSON.stringify(state, null, 2)}\n`);
  await rename(half, stateFile);
}

/** U2. A lock whose holder is dead is taken over. */
async function locked<T>(work: () => Promise<T>): Promise<T> {
  await mkdir(servicesDir, { recursive: true });
  await waitFor(
    async () => {
      try {
        const file = await open(lockFile, 'wx');
        await file.writeFile(String(process.pid));
        await file.close();
        return true;
      } catch {
        const holder = Number(await readFile(lockFile, 'utf8').catch(() => ''));
        if (holder > 0 && !isAlive(holder)) await rm(lockFile, { force: true });
        return false;
      }
    },
    { what: `turn: another process holds ${lockFile}`, timeoutMs: 300_000, intervalMs: 200 },
  );
  try {
    return await work();
  } finally {
    await rm(lockFile, { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
