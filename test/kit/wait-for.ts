/** Tests wait as the servers' scripts do: by condition, never by sleeping. */
export { type WaitOptions, waitFor } from '../../scripts/services/wait-for.ts';
