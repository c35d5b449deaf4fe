/**
 * A real Apache Kafka in KRaft mode.
 *
 *   K1. Every address is on 127.0.0.1, and a broker that comes back has the ports and the data it had.
 *   K2. One broker is its own controller. Of two brokers neither is: the controller is a third process,
 *       so that either broker can die and leaders still move.
 *   K3. A start returns when every broker is known to the cluster and every listener accepts.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { findJava, installKafka, run, type Say } from './install.ts';
import { liveBrokers } from './kafka-client.ts';
import {
  type KafkaUser,
  kafkaUsers,
  type ListenerName,
  type NodeConfig,
  scramOptions,
  serverProperties,
} from './kafka-config.ts';
import { makeTlsFiles } from './kafka-tls.ts';
import { runsDir } from './places.ts';
import { freePorts, isPortFree } from './ports.ts';
import { ownDir, ServerEnded, type ServerProcess, startServerProcess } from './server-process.ts';
import { waitFor } from './wait-for.ts';

export interface KafkaOptions {
  /** Default 1. */
  readonly brokers?: 1 | 2;
  /** `all` adds SSL, SASL_PLAINTEXT and SASL_SSL to PLAINTEXT. Default `plain`. */
  readonly listeners?: 'plain' | 'all';
  /** Kept when the server stops, and used again. Default: a new one, removed with the server. */
  readonly dir?: string;
  /** False: the server stays when this process ends. Default true. */
  readonly owned?: boolean;
  /** Wished ports of the first broker, taken if both are free. */
  readonly ports?: { readonly plaintext: number; readonly controller: number };
  /** Lines of server.properties that win, e.g. `{ 'message.max.bytes': '2000000' }`. */
  readonly properties?: Readonly<Record<string, string>>;
  readonly say?: Say;
}

export interface KafkaBroker {
  /** Kafka's node id: 1 for the first, 2 for the second. */
  readonly nodeId: number;
  readonly listeners: Readonly<Partial<Record<ListenerName, string>>>;
  readonly pid: number | undefined;
  readonly logFile: string;
}

export interface KafkaHandle {
  /** `host:port` of every broker's PLAINTEXT listener, with commas between. */
  readonly bootstrap: string;
  /** `host:port` lists like `bootstrap`, per listener; all but `plaintext` are empty without `all`. */
  readonly listeners: Readonly<Record<ListenerName, string>>;
  /** The authority that signed the brokers' certificate; empty without `all`. */
  readonly caPem: string;
  /** One user per mechanism, with names and passwords of their own. */
  readonly users: Readonly<Record<keyof typeof kafkaUsers, KafkaUser>>;
  readonly brokers: readonly KafkaBroker[];
  readonly dir: string;
  readonly controllerPort: number;
  /** SIGKILL to one broker. Returns when the process is gone. */
  kill(brokerIndex?: number): Promise<void>;
  /** Starts a broker that was killed, with its ports and data. Returns when it serves (K3). */
  restart(brokerIndex?: number): Promise<void>;
  /** Ends all processes, and removes the directory unless the caller named it. */
  stop(): Promise<void>;
}

interface Node {
  readonly config: NodeConfig;
  readonly propertiesFile: string;
  readonly logFile: string;
  process: ServerProcess | undefined;
}

const controllerOnlyId = 100;
const readyMsMax = 60_000;

export async function startKafka(options: KafkaOptions = {}): Promise<KafkaHandle> {
  const java = await findJava();
  const libs = await installKafka(options.say ?? (() => {}));
  // A port that was free can be taken before Kafka binds it; then other ports are tried.
  for (let tries = 1; ; tries += 1) {
    try {
      return await startCluster(java, libs, options);
    } catch (error) {
      const inUse = error instanceof ServerEnded && /address already in use/i.test(error.message);
      if (!inUse || tries === 3) throw error;
    }
  }
}

async function startCluster(
  java: string,
  libs: string,
  options: KafkaOptions,
): Promise<KafkaHandle> {
  if (options.dir === undefined) mkdirSync(runsDir, { recursive: true });
  else mkdirSync(options.dir, { recursive: true });
  const dir = options.dir ?? mkdtempSync(join(runsDir, 'kafka-'));
  const releaseDir = options.dir === undefined ? ownDir(dir) : () => {};
  const tls = options.listeners === 'all' ? await makeTlsFiles(join(dir, 'tls')) : undefined;
  const nodes = await planNodes(dir, options, tls?.keystore);
  const brokers = nodes.filter(({ config }) => config.roles !== 'controller');

  const start = (node: Node) => {
    node.process = startServerProcess({
      command: java,
      args: [
        ...['-Xmx384m', '-Xms64m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'],
        '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
        '-Dorg.slf4j.simpleLogger.showDateTime=true',
        ...['-cp', join(libs, '*'), 'kafka.Kafka', node.propertiesFile],
      ],
      logFile: node.logFile,
      owned: options.owned ?? true,
    });
  };
  const stop = async () => {
    // Brokers first: one that leaves tells its controller.
    await Promise.all(brokers.map((node) => node.process?.stop()));
    await Promise.all(nodes.map((node) => node.process?.stop()));
    releaseDir();
  };
  const nodeAt = (index: number): Node => {
    const node = brokers[index];
    if (node === undefined) throw new RangeError(`there is no broker ${index}`);
    return node;
  };

  try {
    await format(java, libs, nodes, options.listeners === 'all');
    for (const node of nodes) start(node);
    await Promise.all(brokers.map((node) => untilReady(node)));
  } catch (error) {
    await stop();
    throw error;
  }

  const list = (name: ListenerName) =>
    brokers.flatMap(({ config }) => addressOf(config, name) ?? []).join(',');
  return {
    bootstrap: list('plaintext'),
    listeners: {
      plaintext: list('plaintext'),
      ssl: list('ssl'),
      saslPlaintext: list('saslPlaintext'),
      saslSsl: list('saslSsl'),
    },
    caPem: tls?.caPem ?? '',
    users: kafkaUsers,
    dir,
    controllerPort: nodes[0]!.config.controllerPort,
    get brokers() {
      return brokers.map((node) => describeBroker(node));
    },
    async kill(brokerIndex = 0) {
      await nodeAt(brokerIndex).process?.kill();
    },
    async restart(brokerIndex = 0) {
      const node = nodeAt(brokerIndex);
      if (node.process?.isRunning()) await node.process.stop();
      start(node);
      await untilReady(node);
    },
    stop,
  };
}

async function planNodes(
  dir: string,
  options: KafkaOptions,
  keystore: NodeConfig['keystore'],
): Promise<Node[]> {
  const brokers = options.brokers ?? 1;
  const names: ListenerName[] =
    options.listeners === 'all' ? ['plaintext', 'ssl', 'saslPlaintext', 'saslSsl'] : ['plaintext'];
  const ports = await freePorts(1 + brokers * names.length);
  const wished = options.ports;
  if (wished && (await isPortFree(wished.plaintext)) && (await isPortFree(wished.controller))) {
    ports[0] = wished.controller;
    ports[1] = wished.plaintext;
  }
  const [controllerPort = 0, ...brokerPorts] = ports;
  const controllerId = brokers === 1 ? 1 : controllerOnlyId;

  const node = (
    nodeId: number,
    roles: NodeConfig['roles'],
    listeners: NodeConfig['listeners'],
  ): Node => {
    const name = roles === 'controller' ? 'controller' : `broker-${nodeId}`;
    return {
      config: {
        ...{ nodeId, roles, controllerId, controllerPort, listeners, brokers },
        dataDir: join(dir, name),
        overrides: options.properties ?? {},
        ...(keystore === undefined || roles === 'controller' ? {} : { keystore }),
      },
      propertiesFile: join(dir, `${name}.properties`),
      logFile: join(dir, `${name}.log`),
      process: undefined,
    };
  };
  const nodes = brokers === 1 ? [] : [node(controllerOnlyId, 'controller', {})];
  for (let index = 0; index < brokers; index += 1) {
    const listeners = Object.fromEntries(
      names.map((name, at) => [name, brokerPorts[index * names.length + at]]),
    ) as NodeConfig['listeners'];
    nodes.push(node(index + 1, brokers === 1 ? 'broker,controller' : 'broker', listeners));
  }
  return nodes;
}

/** Writes the properties, and formats data directories that are new. All nodes share one cluster id. */
async function format(
  java: string,
  libs: string,
  nodes: readonly Node[],
  withScramUsers: boolean,
): Promise<void> {
  const clusterId = `m${randomBytes(16).toString('base64url').slice(1, 21)}A`;
  await Promise.all(
    nodes.map(async ({ config, propertiesFile }) => {
      await writeFile(propertiesFile, serverProperties(config));
      if (existsSync(join(config.dataDir, 'meta.properties'))) return;
      const result = await run(java, [
        ...['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'],
        '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
        ...['-cp', join(libs, '*'), 'kafka.tools.StorageTool'],
        ...['format', '-t', clusterId, '-c', propertiesFile],
        ...(withScramUsers ? scramOptions() : []),
      ]);
      if (result?.status !== 0) {
        throw new Error(`Kafka's storage could not be formatted: ${result?.output ?? ''}`);
      }
    }),
  );
}

/** K3 */
async function untilReady(node: Node): Promise<void> {
  const what = `Kafka broker ${node.config.nodeId}`;
  const addresses = Object.keys(node.config.listeners).flatMap(
    (name) => addressOf(node.config, name as ListenerName) ?? [],
  );
  await waitFor(
    async () => {
      for (const address of addresses) {
        if (!(await accepts(address))) return false;
      }
      return (await liveBrokers(addresses[0]!)).includes(node.config.nodeId);
    },
    {
      what: `answer of ${what} (log: ${node.logFile})`,
      timeoutMs: readyMsMax,
      intervalMs: 100,
      giveUp: () => node.process?.assertRunning(what),
    },
  );
}

export function accepts(address: string): Promise<boolean> {
  const [host = '', port = ''] = address.split(':');
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port) });
    const done = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => done(true));
    socket.once('error', () => done(false));
    socket.setTimeout(1_000, () => done(false));
  });
}

function addressOf(config: NodeConfig, name: ListenerName): string | undefined {
  const port = config.listeners[name];
  return port === undefined ? undefined : `127.0.0.1:${port}`;
}

function describeBroker({ config, process, logFile }: Node): KafkaBroker {
  const names = Object.keys(config.listeners) as ListenerName[];
  return {
    nodeId: config.nodeId,
    listeners: Object.fromEntries(names.map((name) => [name, addressOf(config, name)!])),
    pid: process?.isRunning() ? process.pid : undefined,
    logFile,
  };
}
