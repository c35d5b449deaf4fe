/** A child of processes.ts: a job comes, its report goes back. */
import { coreNow, type Job, runJob } from './jobs.ts';

process.on('message', (job) => {
  void runJob(job as Job, coreNow).then((result) => process.send?.(result));
});
