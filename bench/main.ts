/**
 * Measurements on a real Kafka, beside a peer in the same run. Never part of a test.
 *
 *   npm run bench -- routine-load [--rows 1000000] [--format json|csv] [--rounds 3] [--partitions 3] [--be 1] [--save]
 */
import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { benchRoutineLoad } from './routine-load.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rows: { type: 'string', default: '1000000' },
    format: { type: 'string', default: 'json' },
    rounds: { type: 'string', default: '3' },
    partitions: { type: 'string', default: '3' },
    be: { type: 'string', default: '1' },
    save: { type: 'boolean', default: false },
  },
});

if (positionals[0] !== 'routine-load' || !['json', 'csv'].includes(values.format)) {
  process.stderr.write(
    'usage: npm run bench -- routine-load [--rows N] [--format json|csv] [--rounds N] [--partitions N] [--be N] [--save]\n',
  );
  process.exit(2);
}

const result = await benchRoutineLoad({
  rows: Number(values.rows),
  format: values.format as 'json' | 'csv',
  rounds: Number(values.rounds),
  partitions: Number(values.partitions),
  be: Number(values.be),
  say: (text) => process.stdout.write(`${text}\n`),
});
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
const report = {
  bench: 'routine-load',
  ...values,
  ...result,
  machine: {
    cpu: cpus()[0]?.model,
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
  },
  node: process.version,
  commit,
};
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
if (values.save) {
  const file = new URL(
    `./results/routine-load-${values.format}-${values.rows}-${commit}.json`,
    import.meta.url,
  );
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
}
process.exit(0);
