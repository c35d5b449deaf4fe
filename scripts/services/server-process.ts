/**
 * One server as a child process.
 *
 *   B1. A server that belongs to this process never outlives it for long: exit hooks kill it, and a
 *       watchdog does if this process dies by SIGKILL. The watchdog is a shell that reads from a pipe
 *       of which only this process holds the other end.
 *   B2. A server that belongs to nobody (`owned: false`) has no ties: it stays when this process ends.
 *   B3. `stop` and `kill` return when the process is gone, so its port and files are free.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';

export interface ServerProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Gets stdout and stderr, appended. */
  readonly logFile: string;
  readonly owned: boolean;
}

export interface ServerProcess {
  readonly pid: number;
  readonly logFile: string;
  isRunning(): boolean;
  /** Throws if the process has ended, with the end of its log. */
  assertRunning(what: string): void;
  /** SIGTERM, and SIGKILL if that was not enough. */
  stop(graceMs?: number): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

const owned = new Set<ChildProcess>();
const ownedDirs = new Set<string>();
let hooked = false;

export function startServerProcess(options: ServerProcessOptions): ServerProcess {
  mkdirSync(dirname(options.logFile), { recursive: true });
  const log = openSync(options.logFile, 'a');
  // A group of its own: Ctrl-C on the terminal reaches us, and we decide when the server goes.
  const child = spawn(options.command, options.args, {
    stdio: ['ignore', log, log],
    detached: true,
  });
  closeSync(log);
  let spawnError: Error | undefined;
  child.once('error', (error) => {
    spawnError = error;
  });
  const release = options.owned && child.pid !== undefined ? own(child, child.pid) : undefined;
  child.unref();

  const isRunning = () =>
    child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  const gone = new Promise<void>((resolve) => {
    if (child.pid === undefined) resolve();
    child.once('exit', () => {
      owned.delete(child);
      release?.();
      resolve();
    });
  });
  const end = async (signal: NodeJS.Signals, graceMs: number) => {
    if (!isRunning()) return;
    child.ref(); // Somebody waits for the end now: the loop must not run dry before it.
    child.kill(signal);
    const force = setTimeout(() => child.kill('SIGKILL'), graceMs);
    await gone;
    clearTimeout(force);
  };

  return {
    pid: child.pid ?? -1,
    logFile: options.logFile,
    isRunning,
    assertRunning(what) {
      if (isRunning()) return;
      const how = spawnError?.message ?? child.signalCode ?? `status ${String(child.exitCode)}`;
      throw new ServerEnded(`${what} ended (${how}): ${logTail(options.logFile)}`);
    },
    stop: (graceMs = 10_000) => end('SIGTERM', graceMs),
    kill: () => end('SIGKILL', 10_000),
  };
}

export class ServerEnded extends Error {
  override name = 'ServerEnded';
}

/** The lines of a log that say most: errors if there are any, else the last ones. */
export function logTail(logFile: string): string {
  let text: string;
  try {
    text = readFileSync(logFile, 'utf8');
  } catch {
    return `no log at ${logFile}`;
  }
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const telling = lines.filter((line) => /error|fatal|exception/i.test(line)).slice(-6);
  return `${(telling.length > 0 ? telling : lines.slice(-6)).join(' | ').slice(0, 1_500)} (log: ${logFile})`;
}

/** A directory of a test's server, removed when its servers are gone, however this process ends. */
export function ownDir(dir: string): () => void {
  hookExit();
  ownedDirs.add(dir);
  const release = watch(dir, 'rm -rf "$1"');
  return () => {
    ownedDirs.delete(dir);
    release();
    rmSync(dir, { recursive: true, force: true });
  };
}

function own(child: ChildProcess, pid: number): () => void {
  hookExit();
  owned.add(child);
  return watch(String(pid), 'kill -9 "$1" 2>/dev/null');
}

/** B1. Runs `script` with `$1` once our end of the pipe closes without the word that all is well. */
function watch(argument: string, script: string): () => void {
  // Directories go a moment after the processes that write into them.
  const delay = script.startsWith('rm') ? 'sleep 1; ' : '';
  const watchdog = spawn('sh', ['-c', `read -r word || { ${delay}${script}; }`, 'sh', argument], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watchdog.on('error', () => {}); // No shell: the exit hooks remain.
  watchdog.stdin.on('error', () => {});
  watchdog.unref();
  (watchdog.stdin as unknown as { unref?: () => void }).unref?.();
  return () => watchdog.stdin.end('done\n');
}

function hookExit(): void {
  if (hooked) return;
  hooked = true;
  process.on('exit', () => {
    for (const child of owned) child.kill('SIGKILL');
    for (const dir of ownedDirs) rmSync(dir, { recursive: true, force: true });
  });
}
