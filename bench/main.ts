/**
 * Measurements beside a peer in the same run, on a real Kafka. Never part of a test.
 *
 *   npm run bench -- routine-load [--rows N] [--format json|csv] [--rounds N] [--partitions N] [--be N]
 *                                 [--variant plain|columns|aggregate | --beside-rows N] [--compression none|lz4|zstd]
 *                                 [--no-python]
 *   npm run bench -- freshness    [--rate N] [--seconds N] [--format json|csv]
 *   npm run bench -- idle         [--jobs N] [--seconds N] [--rounds N]
 *   npm run bench -- recovery     [--entries N] [--rounds N]
 *   npm run bench -- query        [--rows N] [--rounds N]
 *
 * The result goes to bench/results/ as JSON, with machine, versions and commit; `--no-keep` leaves that out.
 */
import { parseArgs } from 'node:util';
import { benchFreshness } from './freshness.ts';
import { benchIdle } from './idle.ts';
import type { Format } from './messages.ts';
import { watchStolen } from './process-usage.ts';
import { benchQuery } from './query.ts';
import type { BenchCodec } from './raw-producer.ts';
import { benchRecovery } from './recovery.ts';
import { keep, surroundings } from './report.ts';
import { benchRoutineLoad } from './routine-load.ts';
import { type VariantName, variants } from './variants.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    rows: { type: 'string' },
    format: { type: 'string', default: 'json' },
    rounds: { type: 'string', default: '3' },
    partitions: { type: 'string', default: '3' },
    be: { type: 'string' },
    variant: { type: 'string', default: 'plain' },
    compression: { type: 'string', default: 'none' },
    'beside-rows': { type: 'string', default: '0' },
    python: { type: 'boolean', default: true },
    rate: { type: 'string', default: '20000' },
    seconds: { type: 'string', default: '60' },
    jobs: { type: 'string', default: '1000' },
    entries: { type: 'string', default: '10000' },
    keep: { type: 'boolean', default: true },
  },
});

const say = (text: string) => process.stdout.write(`${text}\n`);

function oneOf<T extends string>(name: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === value);
  if (found !== undefined) return found;
  process.stderr.write(`--${name} is one of ${allowed.join(', ')}\n`);
  process.exit(2);
}

const whole = (text: string | undefined, otherwise: number) => Number(text ?? otherwise);
const format = oneOf<Format>('format', values.format, ['json', 'csv']);
const variant = oneOf('variant', values.variant, Object.keys(variants) as VariantName[]);
const compression = oneOf<BenchCodec>('compression', values.compression, ['none', 'lz4', 'zstd']);
const rounds = whole(values.rounds, 3);
const partitions = whole(values.partitions, 3);
const seconds = whole(values.seconds, 60);

const benches: Readonly<Record<string, () => { name: string; result: Promise<object> }>> = {
  'routine-load': () => {
    const rows = whole(values.rows, 5_000_000);
    const { python } = values;
    const be = whole(values.be, 1);
    return {
      name: [format, variant, compression, rows].join('-'),
      result: benchRoutineLoad({
        rows,
        format,
        rounds,
        partitions,
        be,
        compression,
        variant,
        besideRows: whole(values['beside-rows'], 0),
        python,
        say,
      }),
    };
  },
  freshness: () => {
    const rate = whole(values.rate, 20_000);
    const be = whole(values.be, 3);
    return {
      name: [format, rate].join('-'),
      result: benchFreshness({ rate, seconds, format, partitions, be, say }),
    };
  },
  idle: () => {
    const jobs = whole(values.jobs, 1_000);
    const be = whole(values.be, 3);
    return { name: String(jobs), result: benchIdle({ jobs, seconds, rounds, be, say }) };
  },
  recovery: () => {
    const entries = whole(values.entries, 10_000);
    const be = whole(values.be, 3);
    return { name: String(entries), result: benchRecovery({ entries, rounds, be, say }) };
  },
  query: () => {
    const rows = whole(values.rows, 10_000_000);
    const be = whole(values.be, 1);
    return { name: String(rows), result: benchQuery({ rows, rounds, partitions, be, say }) };
  },
};

const [name = ''] = positionals;
const bench = benches[name];
if (bench === undefined) {
  process.stderr.write(`usage: npm run bench -- ${Object.keys(benches).join('|')} [options]\n`);
  process.exit(2);
}
const about = await surroundings();
const stolen = await watchStolen();
const started = bench();
const report = {
  bench: name,
  options: { ...values },
  ...(await started.result),
  stolenShare: await stolen(),
  ...about,
  at: new Date().toISOString(),
};
say(JSON.stringify(report, null, 2));
if (values.keep) say(`kept as ${await keep(`${name}-${started.name}`, report)}`);
process.exit(0);
