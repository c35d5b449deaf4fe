/** A child of processes.ts: a job comes, its report goes back. */
import { type Job, runJob } from './jobs.ts';

const wallNow = performance.now.bind(performance);

process.on('message', (job) => {
  void runJob(job as Job, wallNow).then((result) => process.send?.(result));
});
