import { defineConfig } from 'vitest/config';

/** Unit and in-process tests: no server, no network. Service tests have a configuration of their own. */
export default defineConfig({
  test: {
    include: [
      'src/**/*.test.ts',
      'test/**/*.test.ts',
      'scripts/**/*.test.ts',
      'simulations/**/*.test.ts',
    ],
    exclude: ['**/node_modules/**', 'test/services/**', 'test/kill/**'],
    pool: 'forks',
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
