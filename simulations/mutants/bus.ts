/** Planted in answers, as they leave whoever gives them. */
import type { TaskRunReply } from '../../src/actors/messages.ts';
import type { Bus } from '../../src/protocol/bus.types.ts';
import type { Mutant } from '../harness.ts';
import { override } from '../world/override.ts';

/** A bus whose answers to some subject are changed on the way out. */
function answering(
  bus: Bus,
  subject: RegExp,
  change: (reply: unknown, body: unknown) => unknown,
): Bus {
  return override(bus, {
    respond: (pattern, handler) =>
      bus.respond(
        pattern,
        subject.test(pattern)
          ? async (body, meta) => change(await handler(body, meta), body)
          : handler,
      ),
  });
}

type Staged = Extract<TaskRunReply, { kind: 'staged' }>;

const onTaskRun = (change: (reply: Staged) => Staged) => (bus: Bus) =>
  answering(bus, /\.task-run$/, (reply) => {
    const run = reply as TaskRunReply;
    return run.kind === 'staged' ? change(run) : run;
  });

const moved = (reply: Staged, by: bigint): Staged => ({
  ...reply,
  progress: Object.fromEntries(
    Object.entries(reply.progress).map(([partition, { from, to }]) => {
      const next = BigInt(to) + by;
      return [partition, { from, to: String(next < 0n ? 0n : next) }];
    }),
  ),
});

const outcomes = (from: string, to: string) => (bus: Bus) =>
  answering(bus, /^fe\..*\.(?:ask|register)$/, (reply) => {
    const answer = reply as { outcomes?: { txnId: number; outcome: { kind: string } }[] };
    if (answer.outcomes === undefined) return reply;
    return {
      ...answer,
      outcomes: answer.outcomes.map((one) =>
        one.outcome.kind === from ? { ...one, outcome: { kind: to } } : one,
      ),
    };
  });

export const BUS_MUTANTS: readonly Mutant[] = [
  { name: 'progress.one-too-far', wrapBus: onTaskRun((reply) => moved(reply, 1n)) },
  { name: 'progress.one-short', wrapBus: onTaskRun((reply) => moved(reply, -1n)) },
  {
    name: 'progress.partition-forgotten',
    wrapBus: onTaskRun((reply) => ({
      ...reply,
      progress: Object.fromEntries(Object.entries(reply.progress).slice(1)),
    })),
  },
  {
    name: 'vote.forgotten',
    wrapBus: onTaskRun((reply) => ({ ...reply, votes: reply.votes.slice(1) })),
  },
  { name: 'outcome.undecided-is-aborted', wrapBus: outcomes('undecided', 'aborted') },
  { name: 'outcome.committed-is-aborted', wrapBus: outcomes('committed', 'aborted') },
  {
    name: 'progress.counted',
    // Control records have offsets too.
    wrapBus: onTaskRun((reply) => {
      const [only, ...others] = Object.entries(reply.progress);
      if (only === undefined || others.length > 0) return reply;
      const { loaded, filtered, unselected, empty } = reply.counts;
      const [partition, { from }] = only;
      const to = String(BigInt(from) + BigInt(loaded + filtered + unselected + empty));
      return { ...reply, progress: { [partition]: { from, to } } };
    }),
  },
  {
    name: 'rejects.outside-the-commit',
    wrapBus: onTaskRun((reply) => ({ ...reply, rejects: null })),
  },
  {
    name: 'bus.rejects-stop-progress',
    wrapBus: onTaskRun((reply) => (reply.rejects === null ? reply : { ...reply, progress: {} })),
  },
];
