/** Runs jobs in child processes, one job after another in each: a world takes one core. */
import { fork } from 'node:child_process';
import type { Job, Report } from './jobs.ts';

/** Worlds are short-lived garbage: a larger young generation costs some 100 MiB and saves a fifth of the time. */
const FEW_COLLECTIONS = ['--max-semi-space-size=64', '--heap-growing-percent=800'];

/** `next` gives jobs until there are none; `report` hears of each. */
export async function inProcesses(
  count: number,
  next: () => Job | undefined,
  report: (job: Job, result: Report) => void,
): Promise<void> {
  const child = () =>
    new Promise<void>((resolve, reject) => {
      let job = next();
      if (job === undefined) {
        resolve();
        return;
      }
      const running = fork(new URL('child.ts', import.meta.url).pathname, [], {
        serialization: 'advanced',
        execArgv: [...process.execArgv, ...FEW_COLLECTIONS],
      });
      running.on('message', (result) => {
        report(job as Job, result as Report);
        job = next();
        if (job === undefined) running.kill();
        else running.send(job);
      });
      running.on('error', reject);
      running.on('exit', (code) => {
        if (job === undefined) resolve();
        else reject(new Error(`a process ended with ${code} in ${JSON.stringify(job)}`));
      });
      running.send(job);
    });
  await Promise.all(Array.from({ length: count }, child));
}
