export default {
  poweredByHeader: false,
  outputFileTracingRoot: import.meta.dirname, // another lockfile further up is not this app's
};
