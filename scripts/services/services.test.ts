import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { javaMajorVersion } from './install.ts';
import { type NodeConfig, scramOptions, serverProperties } from './kafka-config.ts';
import { freePorts, isPortFree } from './ports.ts';
import { waitFor } from './wait-for.ts';

it.each([
  { name: 'today', output: 'openjdk version "17.0.15" 2025-04-15', major: 17 },
  { name: 'no minor version', output: 'openjdk version "21" 2023-09-19', major: 21 },
  { name: 'the old way', output: 'java version "1.8.0_402"', major: 8 },
  { name: 'after another line', output: 'Picked up X: -Y\nopenjdk version "25.0.1"', major: 25 },
  { name: 'something else', output: 'Unable to locate a Java Runtime', major: undefined },
])('java version: $name', ({ output, major }) => {
  expect(javaMajorVersion(output)).toBe(major);
});

describe('server.properties', () => {
  const config: NodeConfig = {
    nodeId: 1,
    roles: 'broker,controller',
    controllerId: 1,
    controllerPort: 20_001,
    listeners: { plaintext: 20_002 },
    dataDir: '/data',
    brokers: 1,
    overrides: {},
  };
  const tls = { file: '/tls/host.p12', password: 'p' };
  const all = { plaintext: 1, ssl: 2, saslPlaintext: 3, saslSsl: 4 };
  it.each([
    {
      name: 'K1: every address is 127.0.0.1',
      change: {},
      has: ['listeners=PLAINTEXT://127.0.0.1:20002,CONTROLLER://127.0.0.1:20001'],
      lacks: ['0.0.0.0', 'sasl', 'ssl.keystore'],
    },
    {
      name: 'K2: a controller alone advertises nothing',
      change: { roles: 'controller' as const, listeners: {} },
      has: ['listeners=CONTROLLER://127.0.0.1:20001\n'],
      lacks: ['advertised.listeners', 'inter.broker'],
    },
    {
      name: 'K2: two brokers keep two copies, and serve with one',
      change: { roles: 'broker' as const, brokers: 2, controllerId: 100 },
      has: [
        'default.replication.factor=2\n',
        'transaction.state.log.min.isr=1\n',
        'voters=100@127.0.0.1:20001\n',
      ],
      lacks: ['listeners=PLAINTEXT://127.0.0.1:20002,CONTROLLER'],
    },
    {
      name: 'four listeners',
      change: { listeners: all, keystore: tls },
      has: [
        'advertised.listeners=PLAINTEXT://127.0.0.1:1,SSL://127.0.0.1:2,SASL_PLAINTEXT://127.0.0.1:3,SASL_SSL://127.0.0.1:4\n',
        'ssl.keystore.location=/tls/host.p12\n',
        'listener.name.sasl_plaintext.plain.sasl.jaas.config=',
        'listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=',
      ],
      lacks: [],
    },
    {
      name: 'overrides win',
      change: { overrides: { 'num.io.threads': '7' } },
      has: ['num.io.threads=7\n'],
      lacks: ['num.io.threads=4'],
    },
  ])('$name', ({ change, has, lacks }) => {
    const text = serverProperties({ ...config, ...change });
    for (const part of has) expect(text).toContain(part);
    for (const part of lacks) expect(text).not.toContain(part);
  });

  it('only the SCRAM users are written into the cluster', () => {
    const options = scramOptions();
    expect(options.filter((option) => option === '--add-scram')).toHaveLength(2);
    expect(options.join(' ')).not.toContain('PLAIN=');
  });
});

describe('free ports', () => {
  it('are different, and below the ports of outgoing connections', async () => {
    const ports = await freePorts(5);
    expect(new Set(ports).size).toBe(5);
    expect(Math.max(...ports)).toBeLessThan(32_768);
  });

  it('a port somebody listens on is not free', async () => {
    const [port = 0] = await freePorts(1);
    expect(await isPortFree(port)).toBe(true);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    try {
      expect(await isPortFree(port)).toBe(false);
    } finally {
      server.close();
    }
  });
});

describe('waitFor', () => {
  const quick = { what: 'answer', intervalMs: 1 };

  it('gives the first truthy answer, also after errors', async () => {
    const answers = [() => false, () => fail('not yet'), () => 'here', () => 'too late'];
    expect(await waitFor(() => answers.shift()!(), quick)).toBe('here');
  });

  it('says what it waited for, and the last error', async () => {
    const never = waitFor(() => fail('refused'), { ...quick, timeoutMs: 5 });
    await expect(never).rejects.toThrow('no answer after 5 ms: refused');
  });

  it('gives up at once when waiting is pointless', async () => {
    const giveUp = () => fail('the server has ended');
    await expect(waitFor(() => false, { ...quick, giveUp })).rejects.toThrow(
      'the server has ended',
    );
  });

  function fail(message: string): never {
    throw new Error(message);
  }
});
