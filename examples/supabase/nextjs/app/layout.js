export const metadata = { title: 'Login with WorkOS' };

export default function Layout({ children }) {
  return <html lang="en"><body>{children}</body></html>;
}
