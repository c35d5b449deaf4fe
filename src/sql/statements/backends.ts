/** ADMIN DROP BACKEND (PROTOCOL.md V4): an entry by a user, never by time; it damages what only that BE held. */
import type { FeKernel } from '../../actors/fe/fe.types.ts';
import { LoadError } from '../../base/errors.ts';

/** `backend`: the id or the name that SHOW BACKENDS shows. */
export async function dropBackend(kernel: FeKernel, backend: string): Promise<void> {
  const found = kernel.backends().filter((be) => be.beId === backend || be.name === backend);
  const [be] = found;
  if (be === undefined || found.length > 1) {
    const why = found.length > 1 ? 'is the name of several' : 'does not exist';
    throw new LoadError('BACKEND', `Backend "${backend}" ${why}`, {
      hint: 'SHOW BACKENDS lists ids and names',
    });
  }
  if (be.alive) {
    throw new LoadError('BACKEND', `Backend "${be.name}" (${be.beId}) is alive`, {
      hint: 'stop it first: what it holds becomes unreadable for good',
    });
  }
  await kernel.append({ type: 'be.dropped', beId: be.beId, atMs: kernel.clock.now() });
}
