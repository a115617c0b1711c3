-- What auth.check() compares with: everything that is attached to the extension's tables now, at the end of the installation.
-- An update script that attaches something makes the function anew, in the same way.
DO $installed$
BEGIN
    EXECUTE pg_catalog.format(
        'CREATE FUNCTION auth.check_installed() RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS %L',
        (SELECT pg_catalog.format('SELECT %L::text[]', pg_catalog.array_agg(a.kind || ' ' || a.identity ORDER BY a.kind COLLATE "C", a.identity COLLATE "C"))
         FROM auth.check_attached() AS a)
    );
END
$installed$;
COMMENT ON FUNCTION auth.check_installed() IS 'what was attached to the extension''s tables when it was installed; anything else is somebody else''s';
