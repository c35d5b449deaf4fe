/** What a bad disk does to a whole server: damage is named and never a wrong row; what was answered is there afterwards. */
import { spawnSync } from 'node:child_process';
import { cp, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startKafka } from '../../scripts/services/kafka.ts';
import { produce } from '../kit/kafka-messages.ts';
import { createTopic } from '../kit/kafka-topics.ts';
import { type Millrace, startMillrace } from '../kit/millrace.ts';
import { waitFor } from '../kit/wait-for.ts';

let base: string;
let server: Millrace | undefined;

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'millrace-disk-'));
});
afterEach(async () => {
  await server?.kill();
  server = undefined;
  await rm(base, { recursive: true, force: true });
});

const start = async (dataDir: string) => {
  server = await startMillrace({ be: 1, dataDir, quiet: true });
  return server;
};
const end = async () => {
  await server?.end();
  server = undefined;
};
const outcome = <T>(work: Promise<T>) =>
  work.then(
    (value) => ({ value, error: undefined }),
    (error: Error) => ({ value: undefined, error: error.message }),
  );

const TABLES =
  'CREATE DATABASE d; CREATE TABLE d.small (id INT NOT NULL, v VARCHAR(20)) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1; CREATE TABLE d.big (id BIGINT NOT NULL, v VARCHAR(40)) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1';
const SMALL = 300;
const values = Array.from({ length: SMALL }, (_, i) => `(${i}, 'v${i}')`).join(', ');
const SUMS = {
  small: 'SELECT count(*) AS n, sum(id) AS s, count(DISTINCT v) AS d FROM d.small',
  big: 'SELECT count(*) AS n, sum(id) AS s, count(DISTINCT v) AS d FROM d.big',
};

async function fill(at: Millrace): Promise<void> {
  await at.query(TABLES);
  await at.query(`INSERT INTO d.small VALUES ${values}`);
  await at.query(
    "INSERT INTO d.big SELECT a.id * 1000 + b.id, concat('x', a.id * 1000 + b.id) FROM d.small a CROSS JOIN d.small b",
  );
}

const sums = async (at: Millrace) => ({
  small: await at.query(SUMS.small),
  big: await at.query(SUMS.big),
});

async function filesUnder(dir: string): Promise<string[]> {
  const found = await readdir(dir, { recursive: true, withFileTypes: true });
  return found
    .filter((one) => one.isFile())
    .map((one) => relative(dir, join(one.parentPath, one.name)))
    .sort();
}

/** Same bits in every run. */
function chosen(length: number, count: number): number[] {
  const step = Math.max(1, Math.floor(length / count));
  return Array.from({ length: Math.min(count, length) }, (_, i) =>
    Math.min(length - 1, i * step + ((i * 7919) % step)),
  );
}

describe('a flipped bit', () => {
  it('in each kind of file: named, never a wrong row', async () => {
    const whole = join(base, 'whole');
    await fill(await start(whole));
    await end();
    // Once more, so that files of an earlier run are there as well.
    const truth = await sums(await start(whole));
    await server?.query("INSERT INTO d.small VALUES (1000, 'late')");
    const late = await sums(server as Millrace);
    await end();
    expect(truth.big).toEqual([{ n: '90000', s: String(truth.big[0]?.s), d: '90000' }]);

    // LevelDB's own log of its doings, and locks, hold nothing that is read.
    const files = (await filesUnder(whole)).filter(
      (name) => !/(^|\/)(LOG(\.old)?|LOCK|millrace\.pid)$|^lock\//.test(name),
    );
    const kinds = new Set(files.map((name) => name.replaceAll(/[0-9a-f-]{6,}|\d+/g, '#')));
    expect(kinds.size).toBeGreaterThan(5);
    const seen = { right: 0, refused: 0, failed: 0 };
    for (const name of files) {
      const { size } = await stat(join(whole, name));
      for (const at of chosen(size, 3)) {
        const dir = join(base, 'flipped');
        await cp(whole, dir, { recursive: true });
        const bytes = await readFile(join(dir, name));
        bytes[at] = (bytes[at] as number) ^ (1 << (at % 8));
        await writeFile(join(dir, name), bytes);
        const where = `${name} byte ${at}`;
        const started = await outcome(start(dir));
        if (started.value === undefined) {
          expect(started.error, where).toMatch(/millrace(: | stops: )\S/);
          expect(started.error, where).not.toMatch(/\n\s+at /);
          seen.refused++;
        } else {
          for (const table of ['small', 'big'] as const) {
            const found = await outcome(started.value.query(SUMS[table]));
            if (found.value === undefined) {
              expect(found.error, where).toMatch(/damage|lost a tail|not readable/i);
              seen.failed++;
            } else {
              expect(found.value, where).toEqual(late[table]);
              seen.right++;
            }
          }
        }
        await server?.kill();
        server = undefined;
        await rm(dir, { recursive: true, force: true });
      }
    }
    process.stdout.write(`flipped bits in ${files.length} files: ${JSON.stringify(seen)}\n`);
    expect(seen.refused).toBeGreaterThan(0);
    expect(seen.failed).toBeGreaterThan(0);
  }, 300_000);
});

describe('an older copy of a BE', () => {
  it('its tablets are damaged, which is said; other tables go on; TRUNCATE ends it', async () => {
    const dir = join(base, 'data');
    await fill(await start(dir));
    await end();
    await cp(join(dir, 'be-1'), join(base, 'older'), { recursive: true });
    await start(dir);
    await server?.query("INSERT INTO d.small VALUES (1000, 'late')");
    await end();
    await rm(join(dir, 'be-1'), { recursive: true });
    await cp(join(base, 'older'), join(dir, 'be-1'), { recursive: true });

    const again = await start(dir);
    const { error } = await outcome(again.query(SUMS.small));
    expect(error).toMatch(/damaged tablet \d+: BE "be-1" holds version 2 .*version 3 was visible/);
    expect((await outcome(again.query("INSERT INTO d.small VALUES (1, 'x')"))).error).toMatch(
      /damaged/,
    );
    expect(await again.query(SUMS.big)).toMatchObject([{ n: '90000' }]);
    const [tablet] = await again.query('SHOW TABLETS FROM d.small');
    expect(tablet?.Damaged).toMatch(/version 3 was visible/);
    await again.query('TRUNCATE TABLE d.small');
    await again.query("INSERT INTO d.small VALUES (1, 'x')");
    expect(await again.query(SUMS.small)).toEqual([{ n: '1', s: '1', d: '1' }]);
  });
});

const canMount = () => {
  const probe = spawnSync('sh', [
    '-c',
    'd=$(mktemp -d) && mount -t tmpfs -o size=1m millrace "$d" && umount "$d" && rmdir "$d"',
  ]);
  if (probe.status === 0) return true;
  process.stdout.write(`skipped: mounting a tmpfs is not allowed here (${probe.stderr})\n`);
  return false;
};

describe.skipIf(!canMount())('a small file system', () => {
  const run = (...args: string[]) => {
    const [command = '', ...rest] = args;
    const done = spawnSync(command, rest);
    if (done.status !== 0) throw new Error(`${args.join(' ')}: ${done.stderr}`);
  };
  let mounted: string;
  beforeEach(async () => {
    mounted = await mkdtemp(join(tmpdir(), 'millrace-tmpfs-'));
    run('mount', '-t', 'tmpfs', '-o', 'size=320m', 'millrace', mounted);
  });
  afterEach(async () => {
    await server?.kill();
    server = undefined;
    run('umount', '-l', mounted);
    await rm(mounted, { recursive: true, force: true });
  });

  it('full: what was answered is there after room was made and the server started again', async () => {
    const dir = join(mounted, 'data');
    const small = await start(dir);
    await small.query(TABLES);
    await small.query(`INSERT INTO d.small VALUES ${values}`);
    // All but a little is taken by another file.
    const filler = await open(join(mounted, 'filler'), 'w');
    const block = Buffer.alloc(1024 * 1024, 1);
    for (let isFull = false; !isFull; ) {
      const written = await filler.write(block).catch(() => ({ bytesWritten: 0 }));
      isFull = written.bytesWritten < block.length;
    }
    await filler.truncate((await filler.stat()).size - 64 * 1024);
    await filler.close();
    // Loads are refused with a reason while the process lives.
    const { error } = await outcome(small.query("INSERT INTO d.small VALUES (1000, 'x')"));
    expect(error).toMatch(/bytes left, loads need \d+/);
    expect(await small.query(SUMS.small)).toMatchObject([{ n: String(SMALL) }]);
    // What is written all the same fills the rest; a journal that could not be written ends the process (D3).
    const made: string[] = [];
    let failure: string | undefined;
    while (failure === undefined && made.length < 10_000) {
      const name = `t${made.length}`;
      const comment = 'c'.repeat(1_500);
      const sql = `CREATE TABLE d.${name} (id INT) DUPLICATE KEY(id) COMMENT "${comment}" DISTRIBUTED BY HASH(id) BUCKETS 1`;
      ({ error: failure } = await outcome(small.query(sql)));
      if (failure === undefined) made.push(name);
    }
    expect(failure).toMatch(/Lost connection|No space left/);
    expect(await small.exited).toBe(70);
    expect(small.log()).toMatch(/millrace stops: could not write to .*No space left on device/);
    await rm(join(mounted, 'filler'));
    const again = await start(dir);
    const tables = await again.query('SHOW TABLES FROM d');
    const there = new Set(tables.map(({ Tables_in_d }) => Tables_in_d));
    expect(made.filter((name) => !there.has(name))).toEqual([]);
    expect(await again.query(SUMS.small)).toMatchObject([{ n: String(SMALL) }]);
    await again.query("INSERT INTO d.small VALUES (1000, 'x')");
  });

  it('read-only: one sentence, and nothing is lost', async () => {
    const dir = join(mounted, 'data');
    const small = await start(dir);
    await small.query(TABLES);
    await small.query(`INSERT INTO d.small VALUES ${values}`);
    await end();
    run('mount', '-o', 'remount,ro', mounted);
    const { error } = await outcome(start(dir));
    expect(error).toMatch(/millrace: .*(read-only|EROFS)/i);
    expect(error).not.toMatch(/\n\s+at /);
    run('mount', '-o', 'remount,rw', mounted);
    expect(await (await start(dir)).query(SUMS.small)).toMatchObject([{ n: String(SMALL) }]);
  });
});

// It may be there and not be allowed to trace.
const hasStrace = spawnSync('strace', ['-f', '-y', '-o', '/dev/null', 'true']).status === 0;
if (!hasStrace) {
  process.stdout.write(
    'skipped: the order of system calls, as strace is not there or may not trace\n',
  );
}

describe.skipIf(!hasStrace)('system calls', () => {
  const startTraced = async (trace: string) => {
    const calls = 'openat,write,writev,pwrite64,fsync,fdatasync,rename,renameat,renameat2';
    server = await startMillrace({
      be: 1,
      dataDir: join(base, 'data'),
      quiet: true,
      under: ['strace', '-f', '-y', '-ttt', '-s', '4000', '-o', trace, '-e', `trace=${calls}`],
    });
    return server;
  };
  const sizeOf = async (trace: string) => (await readFile(trace, 'latin1')).length;

  /** The calls that were recorded behind a position of the trace. */
  async function callsAfter(trace: string, from: number) {
    const lines = (await readFile(trace, 'latin1')).slice(from).split('\n');
    const first = (pattern: RegExp, after = -1) =>
      lines.findIndex((line, i) => i > after && pattern.test(line));
    /** The line at which a call had returned: other threads' calls may lie between. */
    const returned = (i: number) => {
      if (!lines[i]?.includes('unfinished')) return i;
      const [thread = ''] = (lines[i] ?? '').split(' ');
      return lines.findIndex(
        (line, k) => k > i && line.startsWith(`${thread} `) && line.includes('resumed'),
      );
    };
    return { lines, first, returned };
  }

  it('INSERT: part, its fsyncs, the vote, the decision, the answer, in this order', async () => {
    const trace = join(base, 'trace');
    const traced = await startTraced(trace);
    await traced.query(TABLES);
    await traced.query(`INSERT INTO d.small VALUES ${values}`);
    const before = await sizeOf(trace);
    await traced.query(
      "INSERT INTO d.big SELECT a.id * 1000 + b.id, concat('x', a.id * 1000 + b.id) FROM d.small a CROSS JOIN d.small b",
    );
    await end();
    const { lines, first, returned } = await callsAfter(trace, before);
    // D5: fsync of the file, then of its directory, then the vote with sync.
    const file = first(/f(?:data)?sync\(\d+<[^>]*\/be-1\/(?:staging|parts)\/[^>]+>/);
    expect(file, 'fsync of the part').toBeGreaterThan(-1);
    const folder = first(/fsync\(\d+<[^>]*\/be-1\/(?:staging|parts)>/, returned(file));
    expect(folder, 'fsync of its directory').toBeGreaterThan(-1);
    const vote = first(/write\(\d+<[^>]*\/be-1\/log\/\d+\.log>/, returned(folder));
    expect(vote, 'the vote').toBeGreaterThan(-1);
    const early = lines
      .slice(0, folder)
      .filter((line) => /write\(\d+<[^>]*\/be-1\/log\/\d+\.log>.*voted/.test(line));
    expect(early, 'a vote before the part is durable').toEqual([]);
    const voted = first(/fdatasync\(\d+<[^>]*\/be-1\/log\/\d+\.log>/, vote);
    expect(voted, 'sync of the vote').toBeGreaterThan(-1);
    // C1: the decision with sync, then the answer.
    const decision = first(/write\(\d+<[^>]*\/fe\/\d+\.log>.*txn\.committed/);
    expect(decision, 'the decision').toBeGreaterThan(returned(voted));
    const decided = first(/fdatasync\(\d+<[^>]*\/fe\/\d+\.log>/, decision);
    expect(decided, 'sync of the decision').toBeGreaterThan(-1);
    const answer = first(/writev?\(\d+<socket[^>]*>.*VISIBLE/);
    expect(answer, 'the answer').toBeGreaterThan(returned(decided));
  });

  it('a load: the vote is synced before the decision is written, the decision before it is published', async () => {
    const trace = join(base, 'trace');
    const kafka = await startKafka();
    try {
      const traced = await startTraced(trace);
      await traced.query(TABLES);
      await createTopic(kafka.bootstrap, 'order', 1);
      const messages = Array.from({ length: 100 }, (_, i) => ({ value: `${i},x` }));
      await produce(kafka.bootstrap, 'order', messages);
      const before = await sizeOf(trace);
      await traced.query(
        `CREATE ROUTINE LOAD d.j ON small COLUMNS TERMINATED BY "," FROM KAFKA ("kafka_broker_list" = "${kafka.bootstrap}", "kafka_topic" = "order", "property.kafka_default_offsets" = "OFFSET_BEGINNING")`,
      );
      await waitFor(async () => (await traced.query(SUMS.small))[0]?.n === '100', {
        what: '100 rows',
      });
      await end();
      const { first, returned } = await callsAfter(trace, before);
      const log = (dir: string) => `\\(\\d+<[^>]*\\/${dir}\\/\\d+\\.log>`;
      const vote = first(new RegExp(`write${log('be-1\\/log')}.*voted`));
      expect(vote, 'the vote').toBeGreaterThan(-1);
      const voted = first(new RegExp(`fdatasync${log('be-1\\/log')}`), vote);
      expect(voted, 'sync of the vote').toBeGreaterThan(-1);
      const decision = first(new RegExp(`write${log('fe')}.*txn\\.committed`));
      expect(decision, 'the decision').toBeGreaterThan(returned(voted));
      const decided = first(new RegExp(`fdatasync${log('fe')}`), decision);
      expect(decided, 'sync of the decision').toBeGreaterThan(-1);
      const published = first(new RegExp(`write${log('be-1\\/log')}.*published`), vote);
      expect(published, 'the publish').toBeGreaterThan(returned(decided));
    } finally {
      await kafka.stop();
    }
  });
});

describe('an FE whose journal is gone', () => {
  it('refuses to start beside a BE with a past', async () => {
    const dir = join(base, 'data');
    await fill(await start(dir));
    await end();
    await rm(join(dir, 'fe'), { recursive: true });
    const { error } = await outcome(start(dir));
    expect(error).toMatch(/promised itself to epoch 1 .*never had/);
    expect(error).toMatch(/--accept-loss/);
  });
});

describe('an older copy of the FE', () => {
  it('refuses to start and says why; --accept-loss goes on, and damages what is ahead', async () => {
    const dir = join(base, 'data');
    await fill(await start(dir));
    await end();
    await cp(join(dir, 'fe'), join(base, 'older'), { recursive: true });
    await start(dir);
    await server?.query("INSERT INTO d.small VALUES (1000, 'late')");
    await end();
    await rm(join(dir, 'fe'), { recursive: true });
    await cp(join(base, 'older'), join(dir, 'fe'), { recursive: true });

    const { error } = await outcome(start(dir));
    expect(error).toMatch(/lost a tail, or is an older copy|never had/);
    expect(error).toMatch(/--accept-loss/);
    server = await startMillrace({ be: 1, dataDir: dir, quiet: true, args: ['--accept-loss'] });
    expect((await outcome(server.query(SUMS.small))).error).toMatch(
      /damaged tablet \d+: BE "be-1" holds version 3 .*journal ends at version 2/,
    );
    expect(await server.query(SUMS.big)).toMatchObject([{ n: '90000' }]);
    await server.query('TRUNCATE TABLE d.small');
    await server.query("INSERT INTO d.small VALUES (1, 'x')");
    await end();
    // From now on without it.
    expect(await (await start(dir)).query(SUMS.small)).toMatchObject([{ n: '1' }]);
  });
});
