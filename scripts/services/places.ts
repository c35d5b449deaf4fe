import { join } from 'node:path';

const checkout = join(import.meta.dirname, '..', '..');

/** Everything the servers write is below this folder of the checkout, which git ignores. */
export const servicesDir = join(checkout, '.services');

/** What is downloaded or built. `MILLRACE_SERVICES_CACHE` lets several checkouts share it. */
export const cacheDir = process.env.MILLRACE_SERVICES_CACHE || servicesDir;

/** Directories of servers that tests start; each is removed with its server. */
export const runsDir = join(servicesDir, 'runs');
