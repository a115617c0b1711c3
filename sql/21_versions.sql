-- Which version is installed, and what an update script needs. The code of each function stands in src/api/versions.rs.

CREATE FUNCTION auth.version(OUT library text, OUT sql text) RETURNS record
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'version_wrapper';
COMMENT ON FUNCTION auth.version() IS
    'the version of the library that this connection has loaded, and of the SQL objects in this database; where the library is the newer one, run ALTER EXTENSION workos_auth UPDATE';

CREATE FUNCTION auth.grant_outside_script(statement text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'grant_outside_script_wrapper';
COMMENT ON FUNCTION auth.grant_outside_script(text) IS
    'for update scripts: runs a GRANT to a user''s role so that a dump carries it. Postgres takes what a script grants for a part of the extension, and leaves it out of dumps';
