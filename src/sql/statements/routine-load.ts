/** CREATE, ALTER, PAUSE, RESUME and STOP ROUTINE LOAD: checks against the head fold, then one entry. */
import type { FeKernel } from '../../actors/fe/fe.types.ts';
import type { JobDefinition, JobFact, JobReason, JobState } from '../../actors/fe/fe-facts.ts';
import { LoadError, toErrorData } from '../../base/errors.ts';
import { randomUuid } from '../../base/random.ts';
import type { LoadClauses, Statement } from '../ast/statement.ts';
import { defaultProperties, readJobProperties, readKafkaSource } from './job-properties.ts';
import { planLoad } from './load-plan.ts';

const LOOK_MS = 10_000;
const NAME = /^[-_A-Za-z0-9]{1,64}$/;

const isFinal = (state: JobState) => state === 'STOPPED' || state === 'CANCELLED';

/** The newest job of that name that is not final. */
export function operableJob(kernel: FeKernel, dbId: number, name: string): JobFact {
  const found = [...kernel.head.jobs.values()].find(
    (job) => job.dbId === dbId && job.name === name && !isFinal(job.state),
  );
  if (found !== undefined) return found;
  throw new LoadError('JOB_UNKNOWN', `There is not operable routine load job with name ${name}`, {
    hint: 'SHOW ALL ROUTINE LOAD lists stopped and cancelled ones too',
  });
}

type Create = Extract<Statement, { kind: 'createRoutineLoad' }>;
type Alter = Extract<Statement, { kind: 'alterRoutineLoad' }>;

export async function createRoutineLoad(
  kernel: FeKernel,
  statement: Create,
  dbId: number,
  user: string,
  timezone: string,
): Promise<void> {
  const { name } = statement.job;
  if (!NAME.test(name))
    throw new LoadError('NAME', `Incorrect ROUTINE LOAD NAME name '${name}'`, { errno: 5082 });
  if (statement.source.type !== 'KAFKA') {
    throw new LoadError(
      'SOURCE',
      `routine load job does not support this type ${statement.source.type}`,
    );
  }
  if (statement.clauses.partitions !== undefined) {
    throw new LoadError(
      'PARTITION',
      `Partition ${statement.clauses.partitions.names[0]} does not exist`,
    );
  }
  const defaults = defaultProperties({
    timezone,
    consumeSecond: kernel.configNumber('routine_load_task_consume_second'),
    timeoutSecond: kernel.configNumber('routine_load_task_timeout_second'),
  });
  const properties = readJobProperties(defaults, statement.properties, false);
  const { source, progress } = readKafkaSource(
    statement.source.properties,
    `${name}_${randomUuid(kernel.random)}`,
  );
  const definition: JobDefinition = { clauses: statement.clauses, properties, source };
  const tableOf = () => {
    const table = [...kernel.head.tables.values()].find(
      (one) => one.dbId === dbId && one.name === statement.table,
    );
    if (table === undefined) {
      throw new LoadError('TABLE_UNKNOWN', `Unknown table '${statement.table}'`, {
        errno: 5502,
        sqlState: '42602',
      });
    }
    return table;
  };
  planLoad(tableOf(), definition);
  await checkKafka(kernel, dbId, definition);
  // From here one turn: checks against the head fold and the entry.
  const { tableId } = tableOf();
  const used = [...kernel.head.jobs.values()].some(
    (job) => job.dbId === dbId && job.name === name && !isFinal(job.state),
  );
  if (used)
    throw new LoadError(
      'JOB_EXISTS',
      `Name ${name} already used in db ${kernel.head.dbs.get(dbId)?.name}`,
    );
  await kernel.append({
    type: 'job.created',
    jobId: kernel.nextId(),
    name,
    dbId,
    tableId,
    user,
    definition,
    progress,
    atMs: kernel.clock.now(),
  });
}

/** What cannot pass by itself is told now; a broker that cannot be reached is the job's to wait for, and to say so. */
async function checkKafka(
  kernel: FeKernel,
  dbId: number,
  definition: JobDefinition,
): Promise<void> {
  const { source } = definition;
  const kafka = kernel.kafkaConfig(dbId, source);
  try {
    const { partitions } = await kernel.lookKafka(
      { kafka, topic: source.topic, want: ['partitions'] },
      LOOK_MS,
    );
    const unknown = source.pinned?.find((one) => !partitions.includes(one));
    if (unknown !== undefined) {
      throw new LoadError(
        'KAFKA_UNKNOWN_PARTITION',
        `there is an invalid custom partition: ${unknown} for topic: ${source.topic}`,
        { details: { topic: source.topic, partition: unknown } },
      );
    }
  } catch (error) {
    const { code, transient } = toErrorData(error);
    if (transient === true || code === 'KAFKA_AUTH' || code === 'KAFKA_TLS') return;
    throw error;
  }
}

export async function alterRoutineLoad(
  kernel: FeKernel,
  statement: Alter,
  dbId: number,
  user: string,
): Promise<void> {
  const before = operableJob(kernel, dbId, statement.job.name);
  if (before.state !== 'PAUSED')
    throw new LoadError('JOB_STATE', 'Only supports modification of PAUSED jobs');
  const { source } = statement;
  if (source !== undefined && source.type !== 'KAFKA') {
    throw new LoadError('SOURCE', `The specified job type is not: ${source.type}`);
  }
  const given = Object.fromEntries(
    Object.entries(statement.clauses).filter(([, value]) => value !== undefined),
  ) as LoadClauses;
  const read =
    source === undefined
      ? undefined
      : readKafkaSource(source.properties, before.name, before.definition.source);
  const definition: JobDefinition = {
    clauses: { ...before.definition.clauses, ...given },
    properties: readJobProperties(before.definition.properties, statement.properties, true),
    source: read?.source ?? before.definition.source,
  };
  const table = kernel.head.tables.get(before.tableId);
  if (table === undefined) throw new LoadError('TABLE_UNKNOWN', 'the table of the job was dropped');
  planLoad(table, definition);
  if (read !== undefined) await checkKafka(kernel, dbId, definition);
  const now = operableJob(kernel, dbId, statement.job.name);
  if (now.epoch !== before.epoch || now.state !== 'PAUSED') {
    throw new LoadError('JOB_STATE', 'Only supports modification of PAUSED jobs');
  }
  await kernel.append({
    type: 'job.altered',
    jobId: before.jobId,
    definition,
    progress: read?.progress ?? {},
    user,
    atMs: kernel.clock.now(),
  });
}

export async function changeJob(
  kernel: FeKernel,
  dbId: number,
  name: string,
  to: 'PAUSED' | 'NEED_SCHEDULE' | 'STOPPED',
  user: string,
): Promise<void> {
  const job = operableJob(kernel, dbId, name);
  const from = job.state === 'UNSTABLE' ? 'RUNNING' : job.state;
  const allowed =
    to === 'STOPPED' || (to === 'PAUSED' ? from !== 'PAUSED' : from !== 'NEED_SCHEDULE');
  if (!allowed) throw new LoadError('JOB_STATE', `Could not transform ${from} to ${to}`);
  const atMs = kernel.clock.now();
  const reason: JobReason | null =
    to === 'PAUSED'
      ? {
          code: 100,
          cause: 'MANUAL_PAUSE',
          message: `User ${user} pauses routine load job`,
          sinceMs: atMs,
          next: 'RESUME ROUTINE LOAD goes on where it was',
        }
      : to === 'STOPPED'
        ? {
            code: 101,
            cause: 'MANUAL_STOP',
            message: `User ${user} stops routine load job`,
            sinceMs: atMs,
            next: 'a stopped job cannot be resumed: create a new one',
          }
        : null;
  await kernel.append({ type: 'job.state', jobId: job.jobId, state: to, reason, by: user, atMs });
}
