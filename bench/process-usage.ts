/** CPU and memory of a process and its threads, and what others took of the machine, from /proc; Linux only. */
import { readdir, readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { round } from './report.ts';

export interface Usage {
  readonly cpuSeconds: number;
  /** CPU seconds by the threads' names: the FE is the main thread, each BE has one, an engine's are DuckDB's own. */
  readonly threads: Readonly<Record<string, number>>;
}

const TICKS_A_SECOND = 100;

/** `pid (name) state …`: user and system time are the 14th and 15th field. */
function readStat(text: string): { name: string; seconds: number } {
  const end = text.lastIndexOf(')');
  const fields = text.slice(end + 2).split(' ');
  const seconds = (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
  return { name: text.slice(text.indexOf('(') + 1, end), seconds };
}

export async function usageOf(pid: number): Promise<Usage> {
  const { seconds: cpuSeconds } = readStat(await readFile(`/proc/${pid}/stat`, 'utf8'));
  const threads: Record<string, number> = {};
  for (const id of await readdir(`/proc/${pid}/task`)) {
    const text = await readFile(`/proc/${pid}/task/${id}/stat`, 'utf8').catch(() => null);
    if (text === null) continue;
    const { name, seconds } = readStat(text);
    threads[name] = (threads[name] ?? 0) + seconds;
  }
  return { cpuSeconds, threads };
}

export function usedSince(before: Usage, after: Usage): Usage {
  const threads = Object.fromEntries(
    Object.entries(after.threads)
      .map(([name, seconds]): [string, number] => [name, seconds - (before.threads[name] ?? 0)])
      .filter(([, seconds]) => seconds >= 0.05)
      .sort((a, b) => b[1] - a[1])
      .map(([name, seconds]) => [name, Math.round(seconds * 100) / 100]),
  );
  const cpuSeconds = Math.round((after.cpuSeconds - before.cpuSeconds) * 100) / 100;
  return { cpuSeconds, threads };
}

/** Of the whole process, workers and all, since its start or the last `forgetPeak`. */
export async function peakRssMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Math.round(Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024);
}

/** How long its main thread could have run and had no core, since its start; 0 where the kernel does not tell. */
export async function coreWaitMs(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').catch(() => '');
  return Number(text.split(' ')[1] ?? 0) / 1e6;
}

/** Core seconds, over all cores, in which something wanted to run and the host of this virtual machine gave it nothing. */
async function stolenSeconds(): Promise<number> {
  const text = await readFile('/proc/stat', 'utf8').catch(() => '');
  return Number(/^cpu +(?:\d+ ){7}(\d+)/.exec(text)?.[1] ?? 0) / TICKS_A_SECOND;
}

/** From now until the answer is asked for: the share of all cores that the host kept for others. 0 on a machine of its own. */
export async function watchStolen(): Promise<() => Promise<number>> {
  const fromMs = performance.now();
  const before = await stolenSeconds();
  return async () => {
    const seconds = ((performance.now() - fromMs) / 1_000) * availableParallelism();
    return round(((await stolenSeconds()) - before) / seconds, 3);
  };
}
