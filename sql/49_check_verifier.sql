-- The part of auth.check() about databases that verify what another one signs. Its code stands in src/verifier/checking.rs.
CREATE FUNCTION auth.check_verifier(OUT severity text, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1 AS 'MODULE_PATHNAME', 'check_verifier_wrapper';
COMMENT ON FUNCTION auth.check_verifier() IS 'the part of auth.check() about publications of sessions, and about a database that only verifies';
