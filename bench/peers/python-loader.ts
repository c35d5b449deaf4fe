/** Runs `loader.py` in a virtual environment of its own, made at the first use. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const venv = new URL('../../.services/bench-venv', import.meta.url).pathname;
const requirements = new URL('./requirements.txt', import.meta.url).pathname;
const loader = new URL('./loader.py', import.meta.url).pathname;

export interface PythonLoad {
  readonly seconds: number;
  readonly rows: number;
  readonly distinct: number;
  readonly sum: string;
  readonly cpuSeconds: number;
  readonly peakRssMiB: number;
  readonly duckdb: string;
}

/** Null: there is no python3, or its packages cannot be had; `say` is told why. */
export async function pythonPeer(say: (text: string) => void): Promise<string | null> {
  const python = join(venv, 'bin/python');
  try {
    const wanted = await readFile(requirements, 'utf8');
    const stamp = join(venv, 'requirements.txt');
    if (existsSync(stamp) && (await readFile(stamp, 'utf8')) === wanted) return python;
    await rm(venv, { recursive: true, force: true });
    await run('python3', ['-m', 'venv', venv]);
    await run(python, ['-m', 'pip', 'install', '-q', '-r', requirements]);
    await writeFile(stamp, wanted);
    return python;
  } catch (error) {
    say(`without the Python loader: ${String(error).slice(0, 300)}`);
    return null;
  }
}

export async function pythonLoad(
  python: string,
  of: { bootstrap: string; topic: string; partitions: number; rows: number; format: string },
): Promise<PythonLoad> {
  const dir = await mkdtemp(join(tmpdir(), 'bench-python-'));
  try {
    const { bootstrap, topic, partitions, rows, format } = of;
    const args = [
      bootstrap,
      topic,
      String(partitions),
      String(rows),
      format,
      join(dir, 'd.duckdb'),
    ];
    const { stdout } = await run(python, [loader, ...args]);
    return JSON.parse(stdout) as PythonLoad;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
