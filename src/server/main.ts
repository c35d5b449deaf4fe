#!/usr/bin/env node
/**
 * The command line. The thread pool is sized before anything asks for it: running DuckDB statements fill libuv's four
 * default threads, and a LevelDB read would wait behind them (PROTOCOL.md T3).
 *
 * Rows live outside of V8's heap, which counts them all the same: with its usual measure it would look through the whole
 * heap after every 30 MB that go by, some ten times a second, and find that little of it is garbage.
 *
 * Compiled modules are kept in the user's cache directory, for the next start and for the threads of the BEs, which else
 * compile them all again each.
 */
import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';

const POOL = 32;
if (Number(process.env.UV_THREADPOOL_SIZE ?? 0) < 16) {
  process.env.UV_THREADPOOL_SIZE = String(POOL);
}
setFlagsFromString('--heap-growing-percent=800');
const caches = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
const cache = process.env.NODE_COMPILE_CACHE ?? join(caches, 'millrace');
// Where it cannot be written nothing is kept. Threads look at the variable.
enableCompileCache(cache);
process.env.NODE_COMPILE_CACHE = cache;
const { runCommand } = await import('./command.ts');
await runCommand(process.argv.slice(2));
