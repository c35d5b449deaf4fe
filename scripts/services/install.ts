/**
 * Where the servers' programs come from.
 *
 *   A1. A program appears under its final name complete or not at all: it is fetched beside it and
 *       renamed, so two processes may install at once and a broken download leaves nothing behind.
 *   A2. What is missing is said in one sentence, and the hint holds the ways out.
 */
import { spawn } from 'node:child_process';
import { access, chmod, constants, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { LoadError } from '../../src/base/errors.ts';
import { cacheDir } from './places.ts';

export const kafkaVersion = '4.1.1';
export const natsVersion = '2.15.2';

const javaVersionMin = 17;

export type Say = (line: string) => void;

interface RunResult {
  readonly status: number | null;
  readonly output: string;
}

/** Runs a program to its end; undefined if there is no such program. */
export function run(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<RunResult | undefined> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'EACCES') resolve(undefined);
      else reject(error);
    });
    child.once('close', (status) => resolve({ status, output: Buffer.concat(chunks).toString() }));
  });
}

export async function findOnPath(name: string): Promise<string | undefined> {
  for (const dir of (process.env.PATH ?? '').split(delimiter)) {
    if (dir !== '' && (await exists(join(dir, name), constants.X_OK))) return join(dir, name);
  }
  return undefined;
}

async function exists(path: string, mode: number = constants.F_OK): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}

/** The last lines of a program's output, for an error of one sentence. */
function tail(output: string): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  const errors = lines.filter((line) => /error/i.test(line));
  return (errors.length > 0 ? errors.slice(0, 2) : lines.slice(-2)).join(' ').slice(0, 400);
}

/** The major version in what `java -version` prints: `version "17.0.15"`, or `"1.8.0"` for 8. */
export function javaMajorVersion(output: string): number | undefined {
  const found = /version "(?:1\.)?(\d+)/.exec(output);
  return found === null ? undefined : Number(found[1]);
}

export async function findJava(): Promise<string> {
  const home = process.env.JAVA_HOME;
  const fromHome = home === undefined || home === '' ? undefined : join(home, 'bin', 'java');
  const java =
    fromHome !== undefined && (await exists(fromHome, constants.X_OK)) ? fromHome : 'java';
  const hint = `install it (Debian: apt-get install openjdk-${javaVersionMin}-jre-headless maven), or set KAFKA_BROKERS=host:port to use a Kafka of your own`;
  const result = await run(java, ['-version']);
  if (result === undefined) {
    throw new LoadError(
      'JAVA_MISSING',
      `Kafka needs Java ${javaVersionMin} or later, and there is no "java" on PATH`,
      { hint },
    );
  }
  const major = javaMajorVersion(result.output);
  if (result.status !== 0 || major === undefined || major < javaVersionMin) {
    const found = major === undefined ? `"${java}" does not run` : `"${java}" is Java ${major}`;
    throw new LoadError(
      'JAVA_TOO_OLD',
      `Kafka needs Java ${javaVersionMin} or later, and ${found}`,
      { hint },
    );
  }
  return java;
}

/** The directory of Kafka's jars, fetched from Maven Central (54 MB) the first time. */
export async function installKafka(say: Say): Promise<string> {
  const libs = join(cacheDir, 'kafka', 'libs', kafkaVersion);
  if (await exists(libs)) return libs;
  const hint =
    'install it (Debian: apt-get install maven), or set KAFKA_BROKERS=host:port to use a Kafka of your own';
  if ((await findOnPath('mvn')) === undefined) {
    throw new LoadError(
      'MAVEN_MISSING',
      `Kafka ${kafkaVersion} comes from Maven Central, and there is no "mvn" on PATH`,
      { hint },
    );
  }
  say(`fetching Apache Kafka ${kafkaVersion} (54 MB, once)`);
  const pom = join(import.meta.dirname, 'pom.xml');
  await installAs(libs, async (dir) => {
    const args = ['-q', '-B', '-f', pom, 'dependency:copy-dependencies'];
    args.push(`-DoutputDirectory=${dir}`, '-DincludeScope=runtime');
    args.push(`-Dkafka.version=${kafkaVersion}`);
    const result = await run('mvn', args);
    if (result?.status !== 0) {
      throw new LoadError(
        'KAFKA_FETCH_FAILED',
        `Kafka ${kafkaVersion} could not be fetched with mvn: ${tail(result?.output ?? '')}`,
        {
          hint: 'check the network or the mirror in ~/.m2/settings.xml, or set KAFKA_BROKERS=host:port to use a Kafka of your own',
        },
      );
    }
  });
  return libs;
}

/** The program nats-server: from PATH, else built with Go, else (for root) the Debian package. */
export async function installNats(say: Say): Promise<string> {
  const found = await findOnPath('nats-server');
  if (found !== undefined) return found;
  const bin = join(cacheDir, 'bin', `nats-server-${natsVersion}`);
  if (await exists(bin)) return join(bin, 'nats-server');

  const failures: string[] = [];
  if ((await findOnPath('go')) === undefined) failures.push('there is no "go" on PATH to build it');
  else {
    say(`building nats-server ${natsVersion} with go (once, about a minute)`);
    try {
      await installAs(bin, async (dir) => {
        const module = `github.com/nats-io/nats-server/v2@v${natsVersion}`;
        const result = await run('go', ['install', module], { GOBIN: dir });
        if (result?.status !== 0)
          throw new Error(`go install failed: ${tail(result?.output ?? '')}`);
      });
      return join(bin, 'nats-server');
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }

  if (process.getuid?.() !== 0 || (await findOnPath('apt-get')) === undefined) {
    failures.push('the Debian package needs root and apt-get');
  } else {
    say('installing the Debian package nats-server');
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    const result = await run(
      'apt-get',
      ['install', '-y', '-q', '--no-install-recommends', 'nats-server'],
      env,
    );
    const installed = await findOnPath('nats-server');
    if (installed !== undefined) return installed;
    failures.push(`apt-get failed: ${tail(result?.output ?? '')}`);
  }
  throw new LoadError(
    'NATS_MISSING',
    `there is no "nats-server" on PATH, and it could not be installed: ${failures.join('; ')}`,
    {
      hint: 'put nats-server on PATH (Debian: apt-get install nats-server), or install Go, or set NATS_URL=nats://host:port to use a server of your own',
    },
  );
}

/** A1. `fill` gets an empty directory, which becomes `target` if it succeeds. */
async function installAs(target: string, fill: (dir: string) => Promise<void>): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const half = await mkdtemp(`${target}.half-`);
  try {
    await chmod(half, 0o755); // A shared cache is for other users too.
    await fill(half);
    await rename(half, target).catch(async (error: unknown) => {
      if (!(await exists(target))) throw error; // Somebody else was first: theirs is as good.
    });
  } finally {
    await rm(half, { recursive: true, force: true });
  }
}
