/**
 * The ordered store: a sorted map of bytes with atomic writes. LevelDB in production, memory in unit tests,
 * the faulty disk in simulations; all pass test/compliance/ordered-store. It is not believed (PROTOCOL.md D1):
 * whoever keeps facts in it brings checksums and chains of its own.
 */
export type StoreOp =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array };

export interface OrderedStore {
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  /** Keys in [from, to), ascending (or descending with `reverse`), at most `limit`. */
  range(options: {
    from: Uint8Array;
    to: Uint8Array;
    limit?: number;
    reverse?: boolean;
  }): AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]>;
  /** All or nothing. With `sync` it resolves once the disk has it. After a failure the store is not to be used. */
  write(ops: readonly StoreOp[], options: { sync: boolean }): Promise<void>;
  close(): Promise<void>;
}
