import { defineConfig } from 'vitest/config';

/** Unit and in-process tests: no server, no network. Service tests have a configuration of their own. */
export default defineConfig({
  test: {
    include: [
      'src/**/*.test.ts',
      'test/**/*.test.ts',
      'scripts/**/*.test.ts',
      'simulations/**/*.test.ts',
      'bench/**/*.test.ts',
    ],
    exclude: ['**/node_modules/**', 'test/services/**', 'test/kill/**'],
    pool: 'forks',
    // XState's development build, which tests get, warns of two things that are meant: machines are made within an
    // action of another, and path tests send events to actors that have ended.
    onConsoleLog: (text) =>
      !/Custom actions should not call|was sent to stopped actor|^Event: \{/m.test(text),
    // Of a machine that others use too: nothing is measured here.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
