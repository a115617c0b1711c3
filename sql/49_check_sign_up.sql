-- What auth.check() says of triggers on auth.users that will keep somebody out.

-- Where the text of a trigger's function copies new.email to, NULL included. Of an INSERT that names no columns, the place is the column's number.
CREATE FUNCTION auth.check_email_copies(body text, OUT relation text, OUT attribute text, OUT place integer) RETURNS SETOF record
    LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 1 AS 'MODULE_PATHNAME', 'check_email_copies_wrapper';
COMMENT ON FUNCTION auth.check_email_copies(text) IS 'the columns that the text of a function writes new.email into, as far as its INSERTs say so plainly';

CREATE FUNCTION auth.check_sign_up(OUT severity text, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1 SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off SET standard_conforming_strings = on SET jit = off AS $$
    SELECT DISTINCT 'warning', format('%I ON auth.users', t.tgname),
        format('It copies new.email into %s.%I, which is NOT NULL: whoever''s address another account holds has none in auth.users, '
            'and cannot sign up (sign_up_trigger_failed).', c.relation::regclass, a.attname),
        format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL;', c.relation::regclass, a.attname)
    FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid
        CROSS JOIN LATERAL auth.check_email_copies(p.prosrc) AS e
        CROSS JOIN LATERAL (SELECT parse_ident(e.relation)) AS i (parts)
        CROSS JOIN LATERAL (
            -- A table without a schema is looked for where the function's own search path leads, and in public.
            SELECT r.oid FROM (
                SELECT 0, i.parts[1] WHERE cardinality(i.parts) = 2
                UNION ALL
                SELECT s.place, btrim(s.name, ' "')
                FROM unnest(p.proconfig) AS g, string_to_table(substr(g, 13), ',') WITH ORDINALITY AS s (name, place)
                WHERE starts_with(g, 'search_path=') AND cardinality(i.parts) = 1
                UNION ALL
                SELECT 2147483647, 'public' WHERE cardinality(i.parts) = 1
            ) AS s (place, name)
                JOIN pg_namespace AS n ON n.nspname = s.name
                JOIN pg_class AS r ON r.relnamespace = n.oid AND r.relname = i.parts[cardinality(i.parts)]
            ORDER BY s.place LIMIT 1
        ) AS c (relation)
        JOIN pg_attribute AS a ON a.attrelid = c.relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull
            AND CASE WHEN e.attribute IS NULL THEN a.attnum = e.place ELSE a.attname = (parse_ident(e.attribute))[1] END
    WHERE t.tgrelid = to_regclass('auth.users') AND NOT t.tgisinternal AND t.tgtype & 4 <> 0
        AND p.prosrc ~* 'new\s*\.\s*email'
$$;
COMMENT ON FUNCTION auth.check_sign_up() IS 'the part of auth.check() about triggers on auth.users that copy an address into a column that is NOT NULL';
