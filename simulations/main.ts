/** `npm run sim`: seeds of the simulation. Exit code 1 when an invariant broke. */
import { parseArgs } from 'node:util';
import { runSeed, type SeedResult } from './run.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
  },
});
const say = (text: string) => process.stdout.write(`${text}\n`);
const first = Number(values.seed);
const count = Number(values.seeds);
const now = () => performance.now();
let failures = 0;
const results: SeedResult[] = [];
for (let i = 0; i < count; i++) {
  const result = await runSeed(String(first + i), now);
  results.push(result);
  if (count <= 20) {
    say(
      `seed ${result.seed}: ${result.steps} steps, ${result.commits} commits, ${Math.round(result.virtualMs / 1000)} s virtual, ${Math.round(result.wallMs)} ms, ${result.digest}`,
    );
  }
  if (result.failure === null) continue;
  failures += 1;
  say(`seed ${result.seed} FAILED at ${result.failure.atMs} ms`);
  say(JSON.stringify(result.options));
  for (const event of result.events.slice(-60))
    say(
      `  ${Math.round(event.atMs)} ${event.who} ${event.what} ${event.fields === undefined ? '' : JSON.stringify(event.fields).slice(0, 200)}`,
    );
  say(result.failure.message.slice(0, 3000));
  say(`again: npm run sim -- --seed ${result.seed}`);
}
const commits = results.map((one) => one.commits).sort((a, b) => a - b);
const wall = results.reduce((sum, one) => sum + one.wallMs, 0);
const virtual = results.reduce((sum, one) => sum + one.virtualMs, 0);
say(
  `${count} seeds, ${failures} failed; median commits ${commits[commits.length >> 1]}, ${Math.round(wall)} ms wall, virtual/wall ${(virtual / wall).toFixed(0)}`,
);
process.exit(failures > 0 ? 1 : 0);
