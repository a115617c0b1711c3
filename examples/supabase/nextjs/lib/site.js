// This app's own address, never from Host, which is the browser's to choose.
export const ORIGIN = new URL(process.env.ORIGIN ?? `http://127.0.0.1:${process.env.PORT ?? 3000}`).origin;

// The page after the sign-in: a path of this site, whatever the query says, and without the tricks that make a browser or a
// proxy read another host out of it.
export function localPath(next) {
  if (!/^\/[^\\\p{Cc}]*$/u.test(next) || !URL.canParse(next, ORIGIN)) return '/';
  const { origin, pathname, search } = new URL(next, ORIGIN);
  return origin === ORIGIN && !/^\/(\/|%2f|%5c)/i.test(pathname) ? pathname + search : '/';
}

export const failed = (code = 'unexpected_failure') => `/?${new URLSearchParams({ error: code })}`;
