-- The part of auth.check() about the mirror of WorkOS: whether it is followed, and what customers have to mend. It says
-- nothing where nobody has begun to follow WorkOS.
CREATE FUNCTION auth.check_mirror(OUT severity text, OUT object text, OUT finding text, OUT remedy text) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
    WITH state AS (
        SELECT s.since, s.failed_at, s.last_error, s.reconciled_at, greatest(s.page_at, s.reconciled_at) AS known_at, greatest(s.drained_at, s.reconciled_at) AS drained
        FROM auth.workos_sync_state AS s WHERE s.since IS NOT NULL
    ), old AS (
        SELECT s.*, s.known_at OPERATOR(pg_catalog.<) (pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.make_interval(days => 25)) AS is_lost
        FROM state AS s
    )
    SELECT 'warning', 'auth.workos_sync', 'The tables were never compared with all that WorkOS has: who has left may not be known.',
        'CALL auth.reconcile_workos();'
    FROM old AS s WHERE s.reconciled_at IS NULL
    UNION ALL
    SELECT 'error', 'auth.workos_sync',
        pg_catalog.format('WorkOS was last followed on %s, and events of so long ago may be gone: who has left since may not be known.',
            pg_catalog.to_char(s.known_at, 'YYYY-MM-DD')),
        'CALL auth.reconcile_workos();'
    FROM old AS s WHERE s.is_lost
    UNION ALL
    SELECT 'warning', 'auth.workos_sync',
        pg_catalog.format('The tables were last up to date with WorkOS %s minutes ago: who has left since still reads.',
            pg_catalog.floor(pg_catalog.date_part('epoch', pg_catalog.now() OPERATOR(pg_catalog.-) s.drained) OPERATOR(pg_catalog./) 60)),
        'CALL auth.sync_workos(1000);'
    FROM old AS s
    WHERE NOT s.is_lost AND s.drained OPERATOR(pg_catalog.<) (pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.make_interval(mins => 10))
    UNION ALL
    SELECT 'warning', 'auth.workos_sync', pg_catalog.format('Following WorkOS failed last: %s', s.last_error),
        'SELECT ''Remove the cause that the finding names. The next call of auth.sync_workos() tries again.'' AS by_hand;'
    FROM old AS s WHERE s.failed_at OPERATOR(pg_catalog.>) coalesce(s.known_at, s.since)
    UNION ALL
    SELECT 'warning', c.id,
        pg_catalog.format('The certificate of this connection of %s %s on %s: people of the customer cannot sign in then.',
            coalesce(c.organization_id, 'no organization'),
            CASE WHEN c.certificate_expires_at OPERATOR(pg_catalog.<) pg_catalog.now() THEN 'expired' ELSE 'expires' END,
            pg_catalog.to_char(c.certificate_expires_at, 'YYYY-MM-DD')),
        'SELECT ''Have the customer renew it: auth.workos_portal_link(organization => …, intent => ''''certificate_renewal'''') makes the link.'' AS by_hand;'
    FROM auth.connections AS c
    WHERE c.state OPERATOR(pg_catalog.=) 'active'
        AND c.certificate_expires_at OPERATOR(pg_catalog.<) (pg_catalog.now() OPERATOR(pg_catalog.+) pg_catalog.make_interval(days => 30))
    UNION ALL
    SELECT 'warning', d.id,
        pg_catalog.format('WorkOS cannot read this directory of %s, whose credentials are invalid: who leaves there is not known.',
            coalesce(d.organization_id, 'no organization')),
        'SELECT ''Have the customer connect it again: auth.workos_portal_link(organization => …, intent => ''''dsync'''') makes the link.'' AS by_hand;'
    FROM auth.directories AS d WHERE d.state OPERATOR(pg_catalog.=) 'invalid_credentials'
$$;
COMMENT ON FUNCTION auth.check_mirror() IS 'the part of auth.check() about the mirror of WorkOS: how old it is, why following WorkOS failed, certificates that expire, directories that WorkOS cannot read';
