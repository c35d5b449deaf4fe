/** What ADMIN SHOW and SET FRONTEND CONFIG know. Each item takes effect where it is read; none is for show. */
import { LoadError } from '../../base/errors.ts';

export interface ConfigItem {
  readonly name: string;
  readonly value: string;
  readonly min: number;
  readonly max: number;
  readonly comment: string;
  /** An older name, which journals and scripts may hold. */
  readonly alias?: string;
}

export const CONFIG_ITEMS: readonly ConfigItem[] = [
  {
    name: 'max_routine_load_task_concurrent_num',
    value: '5',
    min: 1,
    max: 10_000,
    comment: 'tasks of one job at the most',
  },
  {
    name: 'max_routine_load_task_num_per_be',
    value: '16',
    min: 1,
    max: 100_000,
    comment: 'tasks that one BE runs at a time',
  },
  {
    name: 'max_routine_load_batch_size',
    value: '4294967296',
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
    comment: 'bytes that one task reads at the most; a task ends behind the fetch that reaches it',
  },
  {
    name: 'routine_load_task_consume_second',
    value: '15',
    min: 1,
    max: 86_400,
    comment: 'how long a task reads; taken by a job when it is created',
  },
  {
    name: 'routine_load_task_timeout_second',
    value: '60',
    min: 1,
    max: 86_400,
    comment: 'how long a task may run; taken by a job when it is created',
  },
  {
    name: 'label_keep_max_num',
    value: '1000',
    min: 0,
    max: 1_000_000,
    comment: "users' labels of finished loads that are remembered, so that none is used twice",
  },
  {
    name: 'label_keep_max_second',
    value: '259200',
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
    comment: 'how long a stopped or cancelled job is listed by SHOW ALL',
  },
  {
    name: 'routine_load_poll_interval_ms',
    value: '60000',
    min: 10,
    max: 600_000,
    comment: 'how often an idle job looks by itself; its watcher wakes it before (ours)',
  },
  {
    name: 'commit_interval_min_ms',
    alias: 'routine_load_commit_interval_min_ms',
    value: '100',
    min: 0,
    max: 600_000,
    comment:
      'the shortest time from one transaction of a task to the next; grows with the versions of the table (ours)',
  },
  {
    name: 'heartbeat_interval_ms',
    value: '500',
    min: 50,
    max: 60_000,
    comment: 'how often a BE tells that it is alive; taken by a BE when it registers (ours)',
  },
  {
    name: 'heartbeat_timeout_ms',
    value: '15000',
    min: 200,
    max: 600_000,
    comment:
      'a BE that was silent for so long is lost; at least two heart-beats; taken when a BE registers (ours)',
  },
];

/** By its name or its older one. */
export function configItem(name: string): ConfigItem | undefined {
  return CONFIG_ITEMS.find((item) => item.name === name || item.alias === name);
}

/** Gives the item's name, which may have been asked for by its older one. */
export function checkConfig(name: string, text: string): string {
  const item = configItem(name);
  if (item === undefined) {
    throw new LoadError('CONFIG_UNKNOWN', `Config '${name}' does not exist or is not mutable`, {
      hint: `known are ${CONFIG_ITEMS.map((one) => one.name).join(', ')}`,
    });
  }
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < item.min || value > item.max) {
    throw new LoadError(
      'CONFIG_VALUE',
      `Config '${name}' takes a whole number from ${item.min} to ${item.max}, not '${text}'`,
    );
  }
  return item.name;
}
