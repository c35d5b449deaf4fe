/**
 * What only a mistake of ours can cause. The process stops, since going on could write a wrong fact;
 * what a peer, a disk or a user can cause is a `LoadError` or a `DamageError` instead.
 */
export class AssertionFailed extends Error {
  override name = 'AssertionFailed';
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionFailed(message);
}

/** For the default branch of an exhaustive switch. */
export function unreachable(value: never): never {
  throw new AssertionFailed(`unexpected value ${JSON.stringify(value)}`);
}
