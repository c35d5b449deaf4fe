/** What every bench says beside its figures: machine and versions; and where the result is kept. */
import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { kafkaVersion } from '../scripts/services/install.ts';

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

export const quantile = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[
    Math.min(values.length - 1, Math.floor(values.length * share))
  ] ?? 0;

export const round = (value: number, digits = 2): number => Number(value.toFixed(digits));

async function packageVersion(name: string): Promise<string> {
  const file = new URL(`../node_modules/${name}/package.json`, import.meta.url);
  return (JSON.parse(await readFile(file, 'utf8')) as { version: string }).version;
}

export async function surroundings(): Promise<object> {
  const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8' }).trim();
  const isClean = git('status', '--porcelain', '--untracked-files=no') === '';
  return {
    machine: {
      cpu: cpus()[0]?.model,
      cores: availableParallelism(),
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      kernel: release(),
      /** Of the minute before the bench: what others did on the machine meanwhile. */
      loadBefore: round(loadavg()[0] ?? 0, 1),
    },
    versions: {
      node: process.version,
      kafka: kafkaVersion,
      kafkajs: await packageVersion('kafkajs'),
      duckdb: await packageVersion('@duckdb/node-api'),
      millrace: git('rev-parse', '--short', 'HEAD') + (isClean ? '' : '+changes'),
    },
  };
}

export async function keep(name: string, report: object): Promise<string> {
  const file = new URL(`./results/${name}.json`, import.meta.url);
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
  return file.pathname;
}
