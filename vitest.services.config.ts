import { defineConfig } from 'vitest/config';

/** Tests against real servers. They start what they need; one file at a time, as two cores are the measure. */
export default defineConfig({
  test: {
    include: ['test/services/**/*.test.ts', 'src/**/*.services.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});
