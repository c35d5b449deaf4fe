/**
 * What travels between a part store and its hub. A taker numbers its takes (`n`), the hub numbers what it asks
 * of owners (`ticket`): neither side can name, or answer, what is another's.
 */
export type PartOp =
  | { readonly op: 'take'; readonly owner: string; readonly id: string; readonly n: number }
  | { readonly op: 'give'; readonly id: string; readonly ticket: number }
  | { readonly op: 'given'; readonly ticket: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly op: 'ungiven'; readonly ticket: number }
  | { readonly op: 'part'; readonly n: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly op: 'gone'; readonly n: number; readonly reason: string };
