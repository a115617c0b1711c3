-- What auth.check() compares with: everything that the extension consists of now, at the end of the installation, and how each is restored.
-- An update script that adds or changes something makes the function anew, in the same way. It cannot tell of itself.
DO $installed$
BEGIN
    EXECUTE pg_catalog.format(
        'CREATE FUNCTION auth.check_installed('
        'OUT version integer, OUT kind text, OUT identity text, OUT relation text, OUT name text, OUT state jsonb, OUT printed text, OUT restore text'
        ') RETURNS SETOF record LANGUAGE sql STABLE PARALLEL SAFE ROWS 400 SET search_path = pg_catalog, pg_temp AS %L',
        (SELECT pg_catalog.format(
            'SELECT %s, i.kind, i.identity, i.relation, i.name, i.state, i.printed, i.restore FROM jsonb_to_recordset(%L)'
            ' AS i (kind text, identity text, relation text, name text, state jsonb, printed text, restore text)',
            pg_catalog.current_setting('server_version_num')::integer / 10000,
            pg_catalog.jsonb_agg(pg_catalog.to_jsonb(m) - 'classid' - 'objid' ORDER BY m.kind COLLATE "C", m.identity COLLATE "C"))
         FROM auth.check_members() AS m)
    );
END
$installed$;
COMMENT ON FUNCTION auth.check_installed() IS
    'what auth.check_members() said when the extension was installed, under that version of Postgres; anything else is somebody else''s doing';
