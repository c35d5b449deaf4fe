#!/usr/bin/env node
/**
 * The command line. The thread pool is sized before anything asks for it: running DuckDB statements fill libuv's four
 * default threads, and a LevelDB read would wait behind them (PROTOCOL.md T3).
 */
const POOL = 32;
if (Number(process.env.UV_THREADPOOL_SIZE ?? 0) < 16) {
  process.env.UV_THREADPOOL_SIZE = String(POOL);
}
const { runCommand } = await import('./command.ts');
await runCommand(process.argv.slice(2));

export {};
