import node from '@astrojs/node';
import { defineConfig } from 'astro/config';

export default defineConfig({
  output: 'server',
  adapter: node({ mode: 'standalone' }),
  // Astro compares Origin with an address that it must know when it is built; logout.js compares it with ORIGIN.
  security: { checkOrigin: false },
});
