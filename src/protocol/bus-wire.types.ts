/** What a transport gives to `BusCore`: bytes on subjects. Envelopes, requests and errors are the core's business. */
export interface WireMessage {
  readonly subject: string;
  readonly bytes: Uint8Array;
  /** Where an answer goes. */
  readonly reply?: string;
  /** Set on a reply subject instead of an answer: nobody listened, or whoever listened went away. */
  readonly unanswered?: 'none' | 'gone';
}

export interface BusWire {
  /**
   * Hands bytes over, or throws a LoadError: `BUS_DISCONNECTED`, `BUS_BUSY`, `BUS_MESSAGE_TOO_LARGE`.
   * Never delivers within the call, and never keeps bytes for a later connection (B5).
   */
  send(subject: string, bytes: Uint8Array, reply?: string): void;
  /** May be called while disconnected; lasts over reconnects. The handler never throws. */
  listen(pattern: string, handler: (message: WireMessage) => void): { close(): void };
  /** The asker has given up waiting on this reply subject. */
  forget?(reply: string): void;
  /** Called once by the core: the connection was lost, so answers under way will not come. */
  onDown(handler: (reason: string) => void): void;
  flush(): Promise<void>;
  status(): { readonly connected: boolean; readonly since: number; readonly reason?: string };
  close(): Promise<void>;
}
